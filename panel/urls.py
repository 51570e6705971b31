"""The routes of the panel. Each view declares its permission; the rest is refused."""

from allauth.account import views as account
from django.urls import include, path

from panel.health.views import healthz

urlpatterns = [
    path("account/login/", account.login, name="account_login"),
    path("account/logout/", account.logout, name="account_logout"),
    path("account/password/", account.password_change, name="account_change_password"),
    path("account/confirm/", account.reauthenticate, name="account_reauthenticate"),
    path("tasks/", include("tasks.urls")),
    path("audit/", include("panel.audit.urls")),
    path("health/", include("panel.health.urls")),
    path("", include("infrastructure.urls")),
    path("healthz", healthz, name="healthz"),
]
