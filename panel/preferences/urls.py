"""Routes of what users prefer."""

from django.urls import path

from panel.preferences import views

app_name = "preferences"

urlpatterns = [
    path("columns/<slug:table>/", views.columns, name="columns"),
    path("views/<slug:table>/", views.view_list, name="views"),
    path("views/<slug:table>/add/", views.view_add, name="view_add"),
    path("views/<slug:table>/<int:pk>/", views.view_change, name="view_change"),
    path("views/<slug:table>/<int:pk>/delete/", views.view_delete, name="view_delete"),
]
