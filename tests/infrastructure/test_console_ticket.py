"""A console's ticket opens one console, once, for whom it was issued."""

import base64
import logging
import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from infrastructure.choices import ConsoleKind
from infrastructure.models import VE, ConsoleTicket, Node
from infrastructure.services.console import TICKET_SECONDS, TicketRefused, issue_ticket, redeem
from panel.accounts.models import RoleBinding, User
from panel.audit.models import AuditRecord

pytestmark = pytest.mark.django_db


@pytest.fixture
def ve(db: None) -> VE:
    node = Node.objects.create(name="primary", address="192.0.2.11")
    return VE.objects.create(uuid=uuid.uuid4(), name="vmtest", kind="vm", node=node, state="running")


@pytest.fixture
def other(db: None) -> VE:
    return VE.objects.create(uuid=uuid.uuid4(), name="vm2", kind="vm", state="stopped")


@pytest.fixture
def token(operator: User, ve: VE) -> str:
    return issue_ticket(user=operator, session_key="session", ve=ve)


def test_it_opens_the_console_it_was_issued_for(operator: User, ve: VE, token: str) -> None:
    assert redeem(token=token, user=operator, session_key="session", ve_id=ve.pk) == ve


def test_it_has_256_bits_and_only_its_hash_is_stored(operator: User, ve: VE, token: str) -> None:
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert token not in str(list(ConsoleTicket.objects.values()))
    assert issue_ticket(user=operator, session_key="session", ve=ve) != token


def test_it_is_refused_the_second_time(operator: User, token: str) -> None:
    redeem(token=token, user=operator, session_key="session")

    with pytest.raises(TicketRefused):
        redeem(token=token, user=operator, session_key="session")


def test_it_is_refused_to_another_user(administrator: User, token: str) -> None:
    with pytest.raises(TicketRefused):
        redeem(token=token, user=administrator, session_key="session")


@pytest.mark.parametrize("session_key", ["another", ""])
def test_it_is_refused_to_another_session(operator: User, token: str, session_key: str) -> None:
    with pytest.raises(TicketRefused):
        redeem(token=token, user=operator, session_key=session_key)


def test_it_is_refused_for_another_ve(operator: User, other: VE, token: str) -> None:
    with pytest.raises(TicketRefused):
        redeem(token=token, user=operator, session_key="session", ve_id=other.pk)


@pytest.mark.parametrize("kind", ConsoleKind)
def test_it_is_refused_for_another_kind_of_console(operator: User, ve: VE, kind: ConsoleKind) -> None:
    token = issue_ticket(user=operator, session_key="session", ve=ve, kind=kind)
    other = next(each for each in ConsoleKind if each != kind)

    with pytest.raises(TicketRefused):
        redeem(token=token, user=operator, session_key="session", ve_id=ve.pk, kind=other)
    assert redeem(token=token, user=operator, session_key="session", ve_id=ve.pk, kind=kind) == ve


def test_a_refused_attempt_does_not_use_it_up(operator: User, administrator: User, ve: VE, token: str) -> None:
    with pytest.raises(TicketRefused):
        redeem(token=token, user=administrator, session_key="session")

    assert redeem(token=token, user=operator, session_key="session") == ve


@pytest.mark.parametrize("made_up", ["", "x", "A" * 43])
def test_a_made_up_one_is_refused(operator: User, token: str, made_up: str) -> None:
    with pytest.raises(TicketRefused):
        redeem(token=made_up, user=operator, session_key="session")


def test_it_is_refused_when_it_is_too_old(operator: User, ve: VE) -> None:
    with time_machine.travel(timezone.now() - timedelta(seconds=TICKET_SECONDS + 1)):
        token = issue_ticket(user=operator, session_key="session", ve=ve)

    with pytest.raises(TicketRefused):
        redeem(token=token, user=operator, session_key="session")


def test_it_is_refused_when_the_right_is_gone(operator: User, ve: VE, token: str) -> None:
    RoleBinding.objects.filter(user=operator).update(role="viewer")

    with pytest.raises(PermissionDenied):
        redeem(token=token, user=User.objects.get(pk=operator.pk), session_key="session")


def test_it_is_not_issued_without_the_right(viewer: User, ve: VE) -> None:
    with pytest.raises(PermissionDenied):
        issue_ticket(user=viewer, session_key="session", ve=ve)

    assert not ConsoleTicket.objects.exists()
    assert AuditRecord.objects.get(action="ve.console.ticket").result == "refused"


def test_a_right_to_one_ve_opens_no_other(make_user: Any, ve: VE, other: VE) -> None:
    user = make_user("scoped", "operator", scope=("ve", ve.pk))
    issue_ticket(user=user, session_key="session", ve=ve)

    with pytest.raises(PermissionDenied):
        issue_ticket(user=user, session_key="session", ve=other)


def test_issue_and_refusal_are_in_the_audit_trail(operator: User, ve: VE, token: str) -> None:
    with pytest.raises(TicketRefused):
        redeem(token="wrong", user=operator, session_key="session")

    assert list(AuditRecord.objects.order_by("id").values_list("action", "result")) == [
        ("ve.console.ticket", "ok"),
        ("ve.console.open", "refused"),
    ]


def test_the_token_is_in_no_log_and_no_audit_row(
    operator: User, ve: VE, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        token = issue_ticket(user=operator, session_key="session", ve=ve)
        redeem(token=token, user=operator, session_key="session")
        with pytest.raises(TicketRefused):
            redeem(token=token, user=operator, session_key="session")

    written = caplog.text + "".join(capsys.readouterr()) + str(list(AuditRecord.objects.values()))
    assert token not in written


def test_old_tickets_are_thrown_away(operator: User, ve: VE) -> None:
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        issue_ticket(user=operator, session_key="session", ve=ve)

    issue_ticket(user=operator, session_key="session", ve=ve)

    assert ConsoleTicket.objects.count() == 1


def test_the_page_gets_its_ticket_by_post_only(operator: User, ve: VE, client_of: Any) -> None:
    client = client_of(operator)
    url = reverse("infrastructure:console_ticket", args=[ve.pk])

    assert client.get(url).status_code == 405
    answer = client.post(url)

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    body = answer.json()
    assert body["ve"] == ve.pk
    session_key = client.session.session_key
    kind = ConsoleKind(body["kind"])
    assert redeem(token=body["ticket"], user=operator, session_key=session_key, ve_id=ve.pk, kind=kind) == ve


def test_the_ticket_needs_the_csrf_token(operator: User, ve: VE) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)

    answer = client.post(reverse("infrastructure:console_ticket", args=[ve.pk]), secure=True)

    assert answer.status_code == 403
    assert not ConsoleTicket.objects.exists()
