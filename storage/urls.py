"""Routes of the storage."""

from django.urls import path

from storage.views import (
    connect,
    datastores,
    disk,
    disk_actions,
    disk_add,
    disks,
    locations,
    overview,
    picker,
    services,
    settings,
)

app_name = "storage"

urlpatterns = [
    path("", overview.overview_page, name="overview"),
    path("disks/", disks.disk_list, name="disks"),
    path("disks/add/", disk_add.disk_add, name="disk_add"),
    path("disks/add/devices/", disk_add.disk_devices, name="disk_devices"),
    path("disks/locations/", locations.host_locations, name="locations"),
    path("disks/<int:number>/", disk.disk_detail, name="disk"),
    path("disks/<int:number>/menu/", disk_actions.disk_menu, name="disk_menu"),
    path("disks/<int:number>/tier/", disk_actions.disk_tier, name="disk_tier"),
    path("disks/<int:number>/release/", disk_actions.disk_release, name="disk_release"),
    path("services/", services.service_list, name="services"),
    path("settings/", settings.settings_page, name="settings"),
    path("settings/recovery/", settings.change_recovery, name="settings_recovery"),
    path("settings/marks/", settings.change_marks, name="settings_marks"),
    path("connect/", connect.connect, name="connect"),
    path("connect/again/", connect.reconnect, name="reconnect"),
    path("disconnect/", connect.disconnect, name="disconnect"),
    path("policies/", picker.policies, name="policies"),
    path("datastores/", datastores.datastore_list, name="datastores"),
    path("datastores/add/", datastores.datastore_add, name="datastore_add"),
    path("datastores/<int:pk>/", datastores.datastore_detail, name="datastore"),
    path("datastores/<int:pk>/remove/", datastores.datastore_remove, name="datastore_remove"),
]
