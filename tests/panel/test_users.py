"""Users and roles: what an administrator can do, what nobody can, and what the audit trail has of it."""

import re
import threading
import uuid
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import connection

from infrastructure.models import VE, Node
from panel.accounts import users
from panel.accounts.adapter import AccountAdapter
from panel.accounts.models import RoleBinding, User
from panel.accounts.permissions import can
from panel.accounts.roles import Role
from panel.accounts.users import AccountError, Grant
from panel.audit.models import AuditRecord
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
SECRET = "fresh enough words"


@pytest.fixture(autouse=True)
def _no_earlier_attempts(db: None) -> None:
    cache.clear()


def node(name: str = "primary") -> Node:
    return Node.objects.create(name=name, address=name, state="online")


def audited(action: str) -> AuditRecord:
    return AuditRecord.objects.get(action=action)


def test_a_new_user_gets_a_password_once_and_must_change_it(
    administrator: User, client_of: Any, client_class: Any
) -> None:
    client = client_of(administrator)
    form = {
        "username": "ana",
        "full_name": "Ana of the night shift",
        "role": "operator",
        "scope": "",
        "how": "generate",
    }

    answer = client.post("/setup/users/add/", form)

    html = answer.content.decode()
    password = re.search(r'id="password">([^<]+)<', html)[1]
    assert "no-store" in answer["Cache-Control"]
    user = User.objects.get(username="ana")
    assert user.check_password(password)
    assert user.must_change_password
    assert can(user, "ve.migrate")
    assert password not in client.get(f"/setup/users/{user.pk}/").content.decode()
    row = audited("user.add")
    assert (row.actor_name, row.target_name, row.detail) == ("administrator", "ana", "Operator of everything")
    assert password not in "".join(AuditRecord.objects.values_list("detail", flat=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"username": "has space"}, "Use 1 to 64 letters"),
        ({"username": "-rf"}, "Use 1 to 64 letters"),
        ({"username": "<img src=x>"}, "Use 1 to 64 letters"),
        ({"username": "ADMINISTRATOR"}, "There is a user ADMINISTRATOR already"),
        ({"how": "typed", "password": "short"}, "too short"),
        ({"how": "typed", "password": ""}, "Type the password, or have one made."),
        ({"role": "emperor"}, "Select a valid choice"),
        ({"scope": "node:99"}, "This part of the tree is gone"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_the_rest_is_kept(
    change: dict[str, str], words: str, administrator: User, client_of: Any
) -> None:
    form = {"username": "ana", "full_name": "Ana kept", "role": "viewer", "scope": "", "how": "generate", **change}

    answer = client_of(administrator).post("/setup/users/add/", form)

    html = answer.content.decode()
    assert answer.status_code == 422
    assert words in html.split('role="alert"')[1]
    assert 'value="Ana kept"' in html
    assert not User.objects.filter(username="ana").exists()


def test_a_role_over_a_node_is_given_and_taken(administrator: User, viewer: User, client_of: Any) -> None:
    client, own = client_of(administrator), node()
    ve = VE.objects.create(uuid=uuid.uuid4(), name="vm", kind="vm", node=own, state="running")

    client.post(f"/setup/users/{viewer.pk}/roles/", {"role": "operator", "scope": f"node:{own.pk}"})

    fresh = User.objects.get(pk=viewer.pk)
    assert can(fresh, "ve.migrate", ve)
    assert not can(fresh, "ve.migrate")
    assert "Operator of node primary" in client.get(f"/setup/users/{viewer.pk}/").content.decode()
    assert audited("user.grant").detail == "Operator of node primary"
    binding = RoleBinding.objects.get(user=viewer, role=Role.OPERATOR)
    client.post(f"/setup/users/{viewer.pk}/roles/{binding.pk}/revoke/")
    assert not can(User.objects.get(pk=viewer.pk), "ve.migrate", ve)
    assert audited("user.revoke").detail == "Operator of node primary"


def test_the_same_role_twice_is_refused(administrator: User, viewer: User, client_of: Any) -> None:
    answer = client_of(administrator).post(f"/setup/users/{viewer.pk}/roles/", {"role": "viewer", "scope": ""})

    assert answer.status_code == 422
    assert "viewer is Viewer of everything already." in answer.content.decode()


@pytest.mark.parametrize("what", ["disable", "delete", "password", "roles", "second-factor", "sessions"])
def test_nobody_does_that_to_their_own_account(what: str, administrator: User, client_of: Any) -> None:
    """Nobody raises their own rights, and nobody locks themselves out."""
    form = {"role": "viewer", "scope": "", "how": "generate"}

    answer = client_of(administrator).post(f"/setup/users/{administrator.pk}/{what}/", form)

    assert answer.status_code in (409, 422)
    assert "You cannot" in answer.content.decode()
    fresh = User.objects.get(pk=administrator.pk)
    assert fresh.is_active
    assert fresh.check_password(PASSWORD)
    assert fresh.role_bindings.count() == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_is_no_administrator_cannot_even_ask_the_service(role: Role, make_user: Any) -> None:
    user = make_user("ana", role)

    with pytest.raises(PermissionDenied):
        users.grant_role(actor=user, user=user, grant=Grant(Role.ADMINISTRATOR))

    assert audited("user.grant").result == "refused"


def test_an_administrator_of_a_node_manages_no_users(make_user: Any, viewer: User) -> None:
    user = make_user("ana", Role.ADMINISTRATOR, scope=("node", node().pk))

    with pytest.raises(PermissionDenied):
        users.set_password(actor=user, user=viewer, password=SECRET)


@pytest.mark.parametrize("how", ["disable", "delete", "revoke"])
def test_the_last_administrator_stays(how: str, administrator: User, make_user: Any) -> None:
    """By the command line too, which needs no role. One over a node, or a disabled one, does not count."""
    make_user("partly", Role.ADMINISTRATOR, scope=("node", node().pk))
    gone = make_user("gone", Role.ADMINISTRATOR)
    users.set_active(actor=None, user=gone, active=False)
    binding = administrator.role_bindings.get()

    with pytest.raises(AccountError, match="last administrator"):
        {
            "disable": lambda: users.set_active(actor=None, user=administrator, active=False),
            "delete": lambda: users.delete(actor=None, user=administrator),
            "revoke": lambda: users.revoke_role(actor=None, user=administrator, binding_id=binding.pk),
        }[how]()

    fresh = User.objects.get(username="administrator")
    assert can(fresh, "user.manage")


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_disable_each_other_at_once(make_user: Any) -> None:
    pair = make_user("one", Role.ADMINISTRATOR), make_user("two", Role.ADMINISTRATOR)
    ready, outcomes = threading.Barrier(2), []

    def disable(actor: User, user: User) -> None:
        ready.wait()
        try:
            users.set_active(actor=actor, user=user, active=False)
            outcomes.append("done")
        except (PermissionDenied, AccountError):
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=disable, args=each) for each in (pair, pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["done", "refused"]
    assert User.objects.filter(is_active=True, role_bindings__role=Role.ADMINISTRATOR).count() == 1


def test_disabling_ends_the_sessions_and_keeps_the_account_out(
    administrator: User, operator: User, client_of: Any, client_class: Any
) -> None:
    theirs = client_of(operator)

    client_of(administrator).post(f"/setup/users/{operator.pk}/disable/")

    assert theirs.get("/health/").status_code == 302
    login = client_class().post("/account/login/", {"login": "operator", "password": PASSWORD})
    assert "wrong" in login.content.decode()
    client_of(administrator).post(f"/setup/users/{operator.pk}/enable/")
    again = client_class().post("/account/login/", {"login": "operator", "password": PASSWORD})
    assert again.status_code == 302
    assert audited("user.disable").detail == "sessions ended: 1"


def test_a_password_that_an_administrator_sets_ends_sessions_and_must_be_changed(
    administrator: User, operator: User, client_of: Any
) -> None:
    theirs = client_of(operator)

    client_of(administrator).post(f"/setup/users/{operator.pk}/password/", {"how": "typed", "password": SECRET})

    assert theirs.get("/health/")["Location"].startswith("/account/login/")
    fresh = User.objects.get(pk=operator.pk)
    assert fresh.check_password(SECRET)
    assert fresh.must_change_password


def test_setting_a_password_does_not_undo_what_was_changed_meanwhile(administrator: User, operator: User) -> None:
    read_before = User.objects.get(pk=operator.pk)
    User.objects.filter(pk=operator.pk).update(is_active=False, second_factor_due=True)

    users.set_password(actor=administrator, user=read_before, password=SECRET)

    fresh = User.objects.get(pk=operator.pk)
    assert (fresh.is_active, fresh.second_factor_due, fresh.must_change_password) == (False, True, True)
    assert fresh.check_password(SECRET)


def test_choosing_a_password_does_not_undo_what_was_changed_meanwhile(operator: User) -> None:
    read_before = User.objects.get(pk=operator.pk)
    User.objects.filter(pk=operator.pk).update(is_active=False, second_factor_due=True, must_change_password=True)

    AccountAdapter().set_password(read_before, SECRET)

    fresh = User.objects.get(pk=operator.pk)
    assert (fresh.is_active, fresh.second_factor_due, fresh.must_change_password) == (False, True, False)
    assert fresh.check_password(SECRET)


def test_a_second_factor_is_reset_and_recorded(administrator: User, operator: User, client_of: Any) -> None:
    for type in ("totp", "recovery_codes"):
        Authenticator.objects.create(user=operator, type=type, data={})

    client_of(administrator).post(f"/setup/users/{operator.pk}/second-factor/")

    assert not Authenticator.objects.filter(user=operator).exists()
    row = audited("user.second_factor.reset")
    assert (row.actor_name, row.target_name) == ("administrator", "operator")
    again = client_of(administrator).post(f"/setup/users/{operator.pk}/second-factor/")
    assert again.status_code == 409
    assert "operator has no second factor." in again.content.decode()


def test_an_administrator_sees_and_ends_sessions_of_others(administrator: User, operator: User, client_of: Any) -> None:
    one, two = client_of(operator), client_of(operator)
    client = client_of(administrator)
    html = client.get(f"/setup/users/{operator.pk}/").content.decode()
    ids = re.findall(rf"/setup/users/{operator.pk}/sessions/(\d+)/end/", html)
    assert len(ids) == 2

    client.post(f"/setup/users/{operator.pk}/sessions/{ids[0]}/end/")

    assert sorted(each.get("/health/").status_code for each in (one, two)) == [200, 302]
    client.post(f"/setup/users/{operator.pk}/sessions/")
    assert [each.get("/health/").status_code for each in (one, two)] == [302, 302]


def test_a_deleted_user_is_gone_and_the_trail_keeps_the_name(
    administrator: User, operator: User, client_of: Any
) -> None:
    theirs = client_of(operator)

    client_of(administrator).post(f"/setup/users/{operator.pk}/delete/")

    assert theirs.get("/health/").status_code == 302
    assert not User.objects.filter(username="operator").exists()
    assert audited("user.delete").target_name == "operator"
    assert AuditRecord.objects.filter(action="account.login", actor_name="operator", actor=None).exists()


def test_the_list_asks_few_queries_however_many_users_it_has(
    administrator: User, make_user: Any, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    own = node()
    for number in range(30):
        make_user(f"user{number}", Role.OPERATOR, scope=("node", own.pk))
    client = client_of(administrator)

    with django_assert_max_num_queries(16):
        html = client.get("/setup/users/").content.decode()

    assert html.count("Operator of node primary") == 30


def test_the_list_is_filtered_by_name_role_and_status(administrator: User, viewer: User, client_of: Any) -> None:
    client = client_of(administrator)
    users.set_active(actor=None, user=viewer, active=False)

    def listed(query: str) -> list[str]:
        return re.findall(
            r'class="b" href="/setup/users/\d+/">([^<]+)<', client.get(f"/setup/users/{query}").content.decode()
        )

    assert listed("") == ["administrator", "viewer"]
    assert listed("?q=view") == listed("?role=viewer") == listed("?state=off") == ["viewer"]
    assert listed("?state=on") == ["administrator"]


def command(*argv: str, stdin: str = "", monkeypatch: pytest.MonkeyPatch | None = None) -> str:
    if monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", StringIO(stdin))
    out = StringIO()
    call_command(*argv, stdout=out)
    return out.getvalue()


def test_the_command_line_makes_a_user_and_prints_the_password_it_made() -> None:
    own = node()

    text = command("add_user", "ana", "--role", "operator", "--over", f"node:{own.pk}")

    user = User.objects.get(username="ana")
    assert user.check_password(re.search(r"Password: (\S+)", text)[1])
    assert user.must_change_password
    assert [str(binding.scope_id) for binding in user.role_bindings.all()] == [str(own.pk)]
    assert audited("user.add").detail == "Operator of node primary (command line)"


def test_the_command_line_takes_a_password_from_standard_input_and_shows_it_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    argv = ("add_user", "ana", "--role", "viewer", "--password-stdin", "--keep-password", "--if-missing")

    text = command(*argv, stdin=f"{SECRET}\n", monkeypatch=monkeypatch)

    user = User.objects.get(username="ana")
    assert user.check_password(SECRET)
    assert not user.must_change_password
    assert SECRET not in text
    assert "already" in command(*argv, stdin="something else entirely\n", monkeypatch=monkeypatch)
    assert User.objects.get(username="ana").check_password(SECRET)


def test_the_command_line_helps_the_last_administrator_back_in(
    administrator: User, client_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Authenticator.objects.create(user=administrator, type="totp", data={})

    command(
        "set_password",
        "administrator",
        "--password-stdin",
        "--reset-second-factor",
        stdin=f"{SECRET}\n",
        monkeypatch=monkeypatch,
    )

    client = client_class()
    client.post("/account/login/", {"login": "administrator", "password": SECRET})
    assert client.get("/tasks/")["Location"] == "/account/password/"


def test_the_command_line_changes_no_password_when_the_rest_cannot_be(
    administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="has no second factor"):
        command("set_password", "administrator", "--reset-second-factor", monkeypatch=monkeypatch)

    assert User.objects.get(pk=administrator.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("set_password", "nobody"), "There is no user nobody"),
        (("add_user", "a b", "--role", "viewer"), "Use 1 to 64 letters"),
        (("add_user", "ana", "--role", "viewer", "--over", "node:x"), "Write it as node:3"),
        (("add_user", "ana", "--role", "viewer", "--over", "node:77"), "does not exist any more"),
        (("add_user", "ana", "--role", "viewer", "--password-stdin"), "Standard input has no password"),
        (("remove_user", "administrator"), "last administrator"),
    ],
)
def test_the_command_line_says_what_cannot_be(
    argv: tuple[str, ...], words: str, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=words):
        command(*argv, monkeypatch=monkeypatch)
