"""Routes of the About page."""

from django.urls import path

from panel.about import views

app_name = "about"
urlpatterns = [path("", views.page, name="page")]
