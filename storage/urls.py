"""Routes of the storage."""

from django.urls import path

from storage.views import connect, disks, overview, services

app_name = "storage"

urlpatterns = [
    path("", overview.overview_page, name="overview"),
    path("disks/", disks.disk_list, name="disks"),
    path("services/", services.service_list, name="services"),
    path("connect/", connect.connect, name="connect"),
    path("connect/again/", connect.reconnect, name="reconnect"),
    path("disconnect/", connect.disconnect, name="disconnect"),
]
