"""The console page: what it shows before any script runs, and to whom."""

import re
import uuid
from typing import Any

import pytest
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from infrastructure.models import VE, ConsoleTicket, Node
from panel.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def ve() -> VE:
    node = Node.objects.create(name="primary", address="192.0.2.11", state="online", observed_at=timezone.now())
    return VE.objects.create(uuid=uuid.uuid4(), name="vmtest", kind="vm", node=node, state="running", graphics={})


def page(client: Any, ve: VE, query: str = "", **headers: str) -> str:
    answer = client.get(reverse("infrastructure:console", args=[ve.pk]) + query, headers=headers)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("query", ["", "?window=1"])
def test_it_carries_the_toolbar_and_no_ticket(operator: User, ve: VE, client_of: Any, query: str) -> None:
    html = page(client_of(operator), ve, query)

    assert 'role="toolbar" aria-label="Console"' in html
    assert "Connecting to vmtest" in html
    assert reverse("infrastructure:console_ticket", args=[ve.pk]) in html
    assert "Start vmtest" not in html
    assert not ConsoleTicket.objects.exists()


def test_a_stopped_ve_can_be_started_from_it(operator: User, ve: VE, client_of: Any) -> None:
    VE.objects.update(state="stopped")

    html = page(client_of(operator), ve)

    assert "vmtest is stopped" in html
    assert f'hx-post="{reverse("infrastructure:ve_start", args=[ve.pk])}"' in html


def test_the_state_of_the_ve_is_a_fragment(operator: User, ve: VE, client_of: Any) -> None:
    headers = {"HX-Request": "true", "HX-Target": "console-ve"}

    html = page(client_of(operator), ve, **headers)

    assert html.strip().startswith('<div id="console-ve" data-state="running"')


def test_markup_in_a_name_stays_text(operator: User, ve: VE, client_of: Any) -> None:
    VE.objects.update(name='"><script>alert(1)</script>')

    assert "<script>alert" not in page(client_of(operator), ve)


def test_a_viewer_is_refused(viewer: User, ve: VE, client_of: Any) -> None:
    assert client_of(viewer).get(reverse("infrastructure:console", args=[ve.pk])).status_code == 403


def test_a_right_to_another_ve_is_not_enough(make_user: Any, ve: VE, client_of: Any) -> None:
    other = VE.objects.create(uuid=uuid.uuid4(), name="vm2", kind="vm")
    client = client_of(make_user("scoped", "operator", scope=("ve", other.pk)))

    assert client.get(reverse("infrastructure:console", args=[ve.pk])).status_code == 404
    assert client.post(reverse("infrastructure:console_ticket", args=[ve.pk])).status_code == 404


INLINE = "'unsafe-inline'"


def policy(client: Any, path: str) -> str:
    return str(client.get(path)["Content-Security-Policy"])


@pytest.mark.parametrize("query", ["?kind=text", "?kind=text&window=1"])
def test_a_terminal_may_style_itself_and_nothing_more(operator: User, ve: VE, client_of: Any, query: str) -> None:
    found = policy(client_of(operator), reverse("infrastructure:console", args=[ve.pk]) + query)

    assert found.count(INLINE) == 2
    assert f"style-src-elem 'self' {INLINE}" in found
    assert f"style-src-attr {INLINE}" in found


def test_no_other_page_may(administrator: User, ve: VE, client_of: Any) -> None:
    client = client_of(administrator)
    console = reverse("infrastructure:console", args=[ve.pk])
    assert ve.node is not None
    ids = {"pk": [ve.pk, ve.node.pk]}
    pages = [f"{console}?kind=screen", f"{console}?kind=screen&window=1"]
    for pattern in get_resolver().url_patterns:
        pages += _paths(pattern, "/", ids)
    inline = [
        path for path in pages if path != console and INLINE in client.get(path).get("Content-Security-Policy", "")
    ]

    assert len(pages) > 20
    assert inline == []


def _paths(pattern: Any, prefix: str, ids: dict[str, list[int]]) -> list[str]:
    """Concrete paths of a route, each id once."""
    route = prefix + str(pattern.pattern)
    if isinstance(pattern, URLResolver):
        return [path for each in pattern.url_patterns for path in _paths(each, route, ids)]
    return sorted({re.sub(r"<[^>]+>", str(pk), route) for pk in ids["pk"]})


def test_a_vm_has_a_screen_and_a_serial_console(operator: User, ve: VE, client_of: Any) -> None:
    client = client_of(operator)
    screen, serial = page(client, ve), page(client, ve, "?kind=text")

    assert 'data-kind="screen"' in screen and "Ctrl+Alt+Del" in screen and "xterm" not in screen
    assert 'data-kind="text"' in serial and "Terminal of vmtest" in serial and "Ctrl+Alt+Del" not in serial
    assert 'name="kind" value="text"' in serial


def test_a_vm_without_a_display_shows_its_serial_console(operator: User, ve: VE, client_of: Any) -> None:
    VE.objects.update(graphics=None)

    assert 'data-kind="text"' in page(client_of(operator), ve)


@pytest.mark.parametrize("query", ["", "?kind=screen", "?kind=<script>"])
def test_a_container_has_its_console_only(operator: User, ve: VE, client_of: Any, query: str) -> None:
    VE.objects.update(kind="ct", graphics=None)

    html = page(client_of(operator), ve, query)
    assert 'data-kind="text"' in html and "Serial" not in html


def test_a_ticket_for_a_container_is_one_for_its_console(operator: User, ve: VE, client_of: Any) -> None:
    VE.objects.update(kind="ct", graphics=None)

    answer = client_of(operator).post(reverse("infrastructure:console_ticket", args=[ve.pk]), {"kind": "screen"})
    assert answer.json()["kind"] == "text"
