"""Routes of the task pages."""

from django.urls import path

from tasks import views

app_name = "tasks"
urlpatterns = [
    path("", views.task_list, name="list"),
    path("<int:task_id>/", views.detail, name="detail"),
    path("<int:task_id>/cancel/", views.cancel_task, name="cancel"),
    path("<int:task_id>/retry/", views.retry_task, name="retry"),
    path("<int:task_id>/log.txt", views.log_text, name="log_text"),
    path("<int:task_id>/log.json", views.log_json, name="log_json"),
]
