"""Routes of the health page."""

from django.urls import path

from panel.health import views

app_name = "health"
urlpatterns = [path("", views.page, name="page")]
