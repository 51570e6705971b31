"""Open consoles: who has one, what is written down of them, and which must end."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from infrastructure.choices import ConsoleKind
from infrastructure.models import VE, ConsoleSession, Node
from infrastructure.services import console_sessions
from infrastructure.services.console_sessions import BadNote, Open
from infrastructure.topics import ConsoleTopic
from panel.accounts.models import RoleBinding, User
from panel.audit.models import AuditRecord
from tests.panel.live_helpers import session_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ve(db: None) -> VE:
    node = Node.objects.create(name="primary", address="192.0.2.11")
    return VE.objects.create(uuid=uuid.uuid4(), name="vmtest", kind="vm", node=node, state="running")


def open_one(user: User, ve: VE, kind: ConsoleKind = ConsoleKind.SCREEN) -> ConsoleSession:
    return console_sessions.opened(user=user, ve=ve, kind=kind, node="primary")


def test_an_open_console_is_shown_with_who_has_it(operator: User, ve: VE) -> None:
    session = open_one(operator, ve, ConsoleKind.TEXT)

    (shown,) = console_sessions.open_now(ve.pk)
    assert (shown["session"], shown["user"], shown["kind"]) == (session.pk, "operator", "text")


def test_a_closed_one_is_not_shown_and_its_length_and_bytes_are_in_the_audit(operator: User, ve: VE) -> None:
    now = timezone.now()
    with time_machine.travel(now - timedelta(seconds=64), tick=False):
        session = open_one(operator, ve)
    with time_machine.travel(now, tick=False):
        console_sessions.closed(session=session, user=operator, reason="", to_guest=2048, from_guest=3 << 20)

    assert console_sessions.open_now(ve.pk) == []
    row = AuditRecord.objects.get(action="ve.console.close")
    assert (row.actor_name, row.target_name) == ("operator", "vmtest")
    assert row.detail == "screen on primary, 1 min 4 s, 2 KiB sent, 3 MiB received"


def test_the_end_of_the_console_of_a_deleted_user_is_in_the_audit_with_the_name(operator: User, ve: VE) -> None:
    session = open_one(operator, ve)
    User.objects.get(pk=operator.pk).delete()

    console_sessions.closed(session=session, user=operator, reason="", to_guest=0, from_guest=0)
    connection.check_constraints()  # as a commit would

    assert console_sessions.open_now(ve.pk) == []
    row = AuditRecord.objects.get(action="ve.console.close")
    assert (row.actor_name, row.actor_id) == ("operator", None)


def test_the_topic_of_a_ve_tells_only_what_is_new(operator: User, ve: VE) -> None:
    key = str(ve.pk)
    assert ConsoleTopic.read(operator, key, 0) is None
    open_one(operator, ve)

    update = ConsoleTopic.read(operator, key, 0)
    assert update is not None and [each["user"] for each in update.data["open"]] == ["operator"]
    assert ConsoleTopic.read(operator, key, update.rev) is None


@pytest.mark.parametrize("key", ["", "x", "-1"])
def test_the_topic_of_no_ve_is_an_error(operator: User, key: str) -> None:
    with pytest.raises((LookupError, VE.DoesNotExist)):
        ConsoleTopic.subject(key)


def test_the_row_of_a_web_process_that_was_killed_is_closed_by_another(operator: User, ve: VE) -> None:
    with time_machine.travel(timezone.now() - timedelta(seconds=60)):
        dead = open_one(operator, ve)
    alive = open_one(operator, ve)

    assert [each["session"] for each in console_sessions.open_now(ve.pk)] == [alive.pk]
    console_sessions.keep_alive([alive.pk])

    dead.refresh_from_db()
    alive.refresh_from_db()
    assert dead.closed_at == dead.seen_at
    assert alive.closed_at is None
    assert "the web process ended" in AuditRecord.objects.get(action="ve.console.close").detail


@pytest.mark.parametrize(
    ("note", "action", "detail"),
    [
        ({"what": "keys", "keys": "Control+Alt+Delete"}, "ve.console.keys", "Control+Alt+Delete"),
        ({"what": "paste", "characters": 120}, "ve.console.paste", "120 characters, typed"),
        ({"what": "clipboard", "characters": 1}, "ve.console.paste", "1 character, into the guest's clipboard"),
        ({"what": "size", "columns": 120, "rows": 40}, "ve.console.size", "stty rows 40 cols 120"),
    ],
)
def test_what_a_button_sends_is_in_the_audit(
    operator: User, ve: VE, note: dict[str, Any], action: str, detail: str
) -> None:
    console_sessions.sent(user=operator, ve=ve, note=note)

    row = AuditRecord.objects.get()
    assert (row.actor_name, row.target_name, row.action, row.detail) == ("operator", "vmtest", action, detail)


@pytest.mark.parametrize(
    "note",
    [
        {},
        {"what": "keys"},
        {"what": "keys", "keys": "<b>x</b>"},
        {"what": "keys", "keys": "A" * 200},
        {"what": "paste", "characters": -1},
        {"what": "paste", "characters": "secret text"},
        {"what": "paste", "characters": 1 << 40},
        {"what": "size", "columns": 0, "rows": 1},
        {"what": "else"},
    ],
)
def test_an_unknown_note_is_refused_and_not_audited(operator: User, ve: VE, note: dict[str, Any]) -> None:
    with pytest.raises(BadNote):
        console_sessions.sent(user=operator, ve=ve, note=note)

    assert not AuditRecord.objects.exists()


class TestWhoMustLeave:
    @pytest.fixture
    def console(self, operator: User, ve: VE) -> Open:
        self.session = session_of(operator)
        return Open(open_one(operator, ve).pk, self.session.session_key or "", ve.pk)

    def test_nobody_while_all_is_well(self, console: Open) -> None:
        assert console_sessions.to_end([console]) == set()

    @pytest.mark.parametrize("end", ["role", "binding", "logout", "deactivate", "password", "forget"])
    def test_whoever_lost_the_right(self, console: Open, operator: User, ve: VE, end: str) -> None:
        match end:
            case "role":
                RoleBinding.objects.filter(user=operator).update(role="viewer")
            case "binding":
                RoleBinding.objects.filter(user=operator).delete()
            case "logout":
                self.session.delete()
            case "deactivate":
                User.objects.filter(pk=operator.pk).update(is_active=False)
            case "password":
                operator.set_password("another long pass phrase")
                operator.save()
            case "forget":
                ve.delete()

        assert console_sessions.to_end([console]) == {console.session_id}

    def test_a_right_to_one_ve_is_none_to_another(self, make_user: Any, ve: VE) -> None:
        other = VE.objects.create(uuid=uuid.uuid4(), name="vm2", kind="vm")
        key = session_of(make_user("scoped", "operator", scope=("ve", ve.pk))).session_key or ""

        assert console_sessions.to_end([Open(1, key, ve.pk), Open(2, key, other.pk)]) == {2}

    def test_fifty_consoles_cost_no_more_queries_than_one(
        self, console: Open, operator: User, django_assert_num_queries: Any
    ) -> None:
        ves = [VE.objects.create(uuid=uuid.uuid4(), name=f"vm{n}", kind="vm") for n in range(49)]
        many = [console, *(Open(1000 + ve.pk, console.session_key, ve.pk) for ve in ves)]
        with django_assert_num_queries(4):  # session, user, role bindings, VEs
            assert console_sessions.to_end(many) == set()
