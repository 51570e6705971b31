"""What a user must do first: no page, fragment, change, socket or console before it is done."""

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from asgiref.sync import sync_to_async
from django.core.cache import cache

from panel.accounts import users
from panel.accounts.duties import FACTOR, PASSWORD, duty_of
from panel.accounts.models import RoleBinding, SecondFactor, User
from panel.accounts.roles import Role
from panel.live import consumer
from panel.live.session import user_of
from panel.trust import encryption
from panel.trust.management.commands import prepare
from tests.conftest import PASSWORD as SECRET
from tests.panel.codes import code_at
from tests.panel.live_helpers import Browser, session_of
from tests.panel.test_second_factor import add_app

NEW = "another long pass phrase"
FORM = {"oldpassword": SECRET, "password1": NEW, "password2": NEW}


@pytest.fixture(autouse=True)
def _no_earlier_attempts(db: None) -> None:
    cache.clear()


@pytest.fixture
def newcomer(administrator: User) -> User:
    User.objects.filter(pk=administrator.pk).update(must_change_password=True)
    return User.objects.get(pk=administrator.pk)


@pytest.fixture
def key(settings: Any, tmp_path: Any) -> None:
    settings.KEYS_DIR = tmp_path
    encryption.ensure_key()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    ["/", "/tasks/", "/audit/", "/audit/export.csv", "/setup/users/", "/account/sessions/", "/account/two-factor/"],
)
def test_every_page_leads_to_the_password_form(path: str, newcomer: User, client_of: Any) -> None:
    answer = client_of(newcomer).get(path)

    assert (answer.status_code, answer["Location"]) == (302, "/account/password/")


@pytest.mark.django_db
def test_a_change_is_not_done_and_a_fragment_is_not_given(newcomer: User, viewer: User, client_of: Any) -> None:
    client = client_of(newcomer)

    assert client.post(f"/setup/users/{viewer.pk}/disable/").status_code == 302
    assert User.objects.get(pk=viewer.pk).is_active
    fragment = client.get("/tasks/", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment["HX-Redirect"]) == (403, "/account/password/")


@pytest.mark.django_db
def test_its_form_is_outside_the_shell_and_can_be_left(newcomer: User, client_of: Any) -> None:
    client = client_of(newcomer)
    html = client.get("/account/password/").content.decode()

    assert "Choose your password" in html
    assert "main.js" not in html
    assert client.post("/account/logout/").status_code == 302
    assert client.get("/account/password/")["Location"].startswith("/account/login/")


@pytest.mark.django_db
def test_the_duty_ends_with_the_change_and_not_with_a_refused_one(newcomer: User, client_of: Any) -> None:
    client = client_of(newcomer)
    assert client.post("/account/password/", {**FORM, "password1": SECRET, "password2": SECRET}).status_code == 422
    assert client.get("/tasks/").status_code == 302

    client.post("/account/password/", FORM)

    assert client.get("/tasks/").status_code == 200


@pytest.mark.django_db
def test_the_first_administrator_has_it_and_the_printed_password_goes_with_it(
    settings: Any, tmp_path: Any, client_of: Any
) -> None:
    settings.KEYS_DIR = tmp_path
    assert prepare._first_administrator()
    file = tmp_path / "initial_password"
    first = file.read_text()
    admin = User.objects.get(username="admin")
    assert duty_of(admin) == PASSWORD

    client = client_of(admin)
    assert file.exists()
    client.post("/account/password/", {"oldpassword": first, "password1": NEW, "password2": NEW})

    assert not file.exists()
    assert client.get("/tasks/").status_code == 200


@pytest.mark.django_db(transaction=True)
async def test_the_live_socket_is_refused_and_an_open_one_ends(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert consumer.POLL_SECONDS <= 5
    monkeypatch.setattr(consumer, "POLL_SECONDS", 0.2)
    session = await sync_to_async(session_of)(viewer)
    browser = Browser(session.session_key)
    assert await browser.connect()

    await User.objects.filter(pk=viewer.pk).aupdate(must_change_password=True)

    assert (await browser.closed())["code"] == 4401
    again = Browser(session.session_key)
    assert await again.connect()
    assert (await again.closed())["code"] == 4401


@pytest.mark.django_db
def test_consoles_see_no_user_while_a_duty_is_open(viewer: User) -> None:
    """Tickets, sockets and open consoles all ask this one function."""
    key = session_of(viewer).session_key or ""
    assert user_of(key) == viewer

    for duty in ("must_change_password", "second_factor_due"):
        User.objects.filter(pk=viewer.pk).update(**{duty: True})
        assert user_of(key) is None
        User.objects.filter(pk=viewer.pk).update(**{duty: False})


@pytest.mark.django_db
def test_a_policy_for_administrators_binds_them_alone_at_once(
    administrator: User, operator: User, client_of: Any, key: None
) -> None:
    client, other = client_of(administrator), client_of(operator)
    users.set_policy(actor=administrator, second_factor=SecondFactor.ADMINISTRATORS)

    assert client.get("/tasks/")["Location"] == "/account/two-factor/app/"
    # Its page has the tree and the tasks around it.
    assert client.get("/account/password/")["Location"] == "/account/two-factor/app/"
    assert other.get("/tasks/").status_code == 200
    add_app(client, time.time())
    assert client.get("/tasks/").status_code == 200
    client.post("/account/two-factor/off/")
    assert client.get("/tasks/").status_code == 302


@pytest.mark.django_db
def test_roles_and_the_policy_decide_who_owes_a_second_factor(administrator: User, viewer: User, key: None) -> None:
    def due() -> set[str]:
        return set(User.objects.filter(second_factor_due=True).values_list("username", flat=True))

    users.set_policy(actor=None, second_factor=SecondFactor.EVERYONE)
    assert due() == {"administrator", "viewer"}
    users.set_policy(actor=None, second_factor=SecondFactor.ADMINISTRATORS)
    assert due() == {"administrator"}
    binding = RoleBinding.objects.create(user=viewer, role=Role.ADMINISTRATOR, scope_type="node", scope_id=1)
    assert due() == {"administrator", "viewer"}
    Authenticator.objects.create(user=viewer, type="totp", data={"secret": encryption.encrypt("x")})
    assert due() == {"administrator"}
    binding.delete()
    Authenticator.objects.filter(user=viewer).delete()
    assert due() == {"administrator"}
    users.set_policy(actor=None, second_factor=SecondFactor.OPTIONAL)
    assert due() == set()


@pytest.mark.django_db
def test_a_user_made_under_the_policy_for_everybody_owes_one(key: None, administrator: User) -> None:
    users.set_policy(actor=administrator, second_factor=SecondFactor.EVERYONE)

    made = users.create(actor=None, username="ana", password="fresh enough words", grants=[], must_change=False)

    assert duty_of(User.objects.get(pk=made.pk)) == FACTOR


@pytest.mark.django_db
def test_the_duties_cost_no_query(viewer: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert duty_of(viewer) == ""


def test_codes_of_the_tests_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, cut to six digits."""
    assert code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 59) == "287082"
    assert code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1111111109) == "081804"
