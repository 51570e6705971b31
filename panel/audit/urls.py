"""Routes of the audit trail."""

from django.urls import path

from panel.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.audit_list, name="list"),
    path("news/", views.news, name="news"),
    path("<int:pk>/", views.entry, name="entry"),
    path("export.csv", views.export, {"format": "csv"}, name="export_csv"),
    path("export.json", views.export, {"format": "json"}, name="export_json"),
]
