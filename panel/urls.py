"""The routes of the panel. Each view declares its permission; the rest is refused."""

from django.urls import include, path

from panel.health.views import healthz
from panel.search.views import search

urlpatterns = [
    path("account/", include("panel.users.account_urls")),
    path("setup/users/", include("panel.users.urls")),
    path("setup/about/", include("panel.about.urls")),
    path("search/", search, name="search"),
    path("tasks/", include("tasks.urls")),
    path("audit/", include("panel.audit.urls")),
    path("health/", include("panel.health.urls")),
    path("preferences/", include("panel.preferences.urls")),
    path("storage/", include("storage.urls")),
    path("iscsi/", include("iscsi.urls")),
    path("", include("infrastructure.urls")),
    path("healthz", healthz, name="healthz"),
]

# django-allauth answers with it too, when a limit on attempts is reached.
handler429 = "panel.accounts.limits.too_many"
handler500 = "panel.ui.errors.failed"
