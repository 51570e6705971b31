"""Every route × role: who may reach it; test_object_permissions asks about which objects.

A route, websocket or job that declares nothing fails here.
"""

import re
from typing import Any

import pytest

from panel.accounts.middleware import declared_permission
from panel.accounts.permissions import PUBLIC
from panel.accounts.roles import GRANTS, PERMISSIONS, Role
from tests.panel.furnished import routes

ABSENT = 987654  # an object that does not exist: a right answer is 404, never 200


def _path(route: str) -> str:
    """A concrete path for a route with converters."""
    path = re.sub(r"<int:[^>]+>", str(ABSENT), route)
    path = re.sub(r"<uuid:[^>]+>", "00000000-0000-4000-8000-000000000000", path)
    return "/" + re.sub(r"<[^>]+>", "absent", path)


ROUTES = list(routes())


@pytest.mark.parametrize(("route", "view", "name"), ROUTES, ids=[route for route, _, _ in ROUTES])
def test_every_route_declares_a_known_permission(route: str, view: Any, name: str | None) -> None:
    permission = declared_permission(view, name)

    assert permission is not None, f"/{route} declares no permission: decorate its view with @requires or @public"
    assert permission in PERMISSIONS | {PUBLIC}


@pytest.mark.django_db
@pytest.mark.parametrize("role", [None, *Role.values])
@pytest.mark.parametrize(("route", "view", "name"), ROUTES, ids=[route for route, _, _ in ROUTES])
def test_a_route_refuses_whoever_lacks_its_permission(
    route: str, view: Any, name: str | None, role: str | None, make_user: Any, client_of: Any
) -> None:
    permission = declared_permission(view, name)
    if permission == PUBLIC or permission is None:
        pytest.skip("nobody is refused here")
    client = client_of(make_user("somebody", role))
    granted = permission in (GRANTS[role] if role else frozenset())

    for method in ("get", "post"):
        response = getattr(client, method)(_path(route))
        if granted:
            assert response.status_code != 403, f"{method} {route} refused {role}"
        else:
            assert response.status_code == 403, f"{method} {route} answered {role} with {response.status_code}"


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "view", "name"), ROUTES, ids=[route for route, _, _ in ROUTES])
def test_a_route_sends_strangers_to_the_login(route: str, view: Any, name: str | None, client_class: Any) -> None:
    if declared_permission(view, name) == PUBLIC:
        pytest.skip("open to all")

    response = client_class().get(_path(route))

    assert response.status_code == 302
    assert response["Location"].startswith("/account/login/")


@pytest.mark.parametrize("name", ["panel.routing"])
def test_every_websocket_route_declares_a_known_permission(name: str) -> None:
    from panel.routing import websocket

    inner = websocket
    while not hasattr(inner, "routes"):
        inner = getattr(inner, "inner", None) or inner.application
    assert inner.routes
    for route in inner.routes:
        handler = route.callback
        permission = getattr(handler, "permission", None) or getattr(
            getattr(handler, "consumer_class", None), "permission", None
        )
        assert permission in PERMISSIONS, f"websocket {route.pattern} declares no permission"


def test_every_job_declares_a_known_permission() -> None:
    from tasks.registry import all_jobs

    jobs = all_jobs()
    assert jobs
    for job in jobs:
        assert job.permission in PERMISSIONS, f"job {job.kind} declares no permission"
