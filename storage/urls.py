"""Routes of the storage."""

from django.urls import path

from storage.views import connect, disk_actions, disks, overview, services

app_name = "storage"

urlpatterns = [
    path("", overview.overview_page, name="overview"),
    path("disks/", disks.disk_list, name="disks"),
    path("disks/<int:number>/menu/", disk_actions.disk_menu, name="disk_menu"),
    path("disks/<int:number>/tier/", disk_actions.disk_tier, name="disk_tier"),
    path("disks/<int:number>/release/", disk_actions.disk_release, name="disk_release"),
    path("services/", services.service_list, name="services"),
    path("connect/", connect.connect, name="connect"),
    path("connect/again/", connect.reconnect, name="reconnect"),
    path("disconnect/", connect.disconnect, name="disconnect"),
]
