"""The console page: what it shows before any script runs, and to whom."""

import uuid
from typing import Any

import pytest
from django.urls import reverse
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

    assert client.get(reverse("infrastructure:console", args=[ve.pk])).status_code == 403
    assert client.post(reverse("infrastructure:console_ticket", args=[ve.pk])).status_code == 403
