"""Fixtures for every level: users of each role, and messages that no broker takes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from panel.accounts.models import RoleBinding, User
from panel.accounts.roles import Role

PASSWORD = "a long enough pass phrase"

# How long an example takes says more about the machine than about the code.
settings.register_profile("mooring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mooring")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why tests were run once more, which a level that passed would not tell."""
    for first in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at first, and was run once more: {first.nodeid}")
        terminalreporter.write_line(first.longreprtext)


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    """make_user("ana", Role.VIEWER, scope=("node", 1)) → a user who can sign in with PASSWORD."""

    def make(username: str, role: str | None = None, scope: tuple[str, int] | None = None) -> User:
        user = User.objects.create_user(username, password=PASSWORD)
        if role is not None:
            RoleBinding.objects.create(
                user=user, role=role, scope_type=scope[0] if scope else "", scope_id=scope[1] if scope else None
            )
        return user

    return make


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("viewer", Role.VIEWER)


@pytest.fixture
def operator(make_user: Callable[..., User]) -> User:
    return make_user("operator", Role.OPERATOR)


@pytest.fixture
def administrator(make_user: Callable[..., User]) -> User:
    return make_user("administrator", Role.ADMINISTRATOR)


@pytest.fixture
def client_of(client_class: Any) -> Iterator[Callable[[User], Any]]:
    """client_of(user) → a signed-in test client over HTTPS."""
    yield lambda user: _signed_in(client_class(), user)


@pytest.fixture
def client_class() -> Any:
    from django.test import Client

    class SecureClient(Client):
        def generic(self, *args: Any, **kwargs: Any) -> Any:
            kwargs["secure"] = True
            return super().generic(*args, **kwargs)

    return SecureClient


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The messages, (task id, queue), instead of a broker."""
    sent: list[tuple[int, str]] = []

    def send(task_id: int, queue: str) -> bool:
        sent.append((task_id, queue))
        return True

    from tasks import messages

    monkeypatch.setattr(messages, "send", send)
    return sent


def _signed_in(client: Any, user: User) -> Any:
    client.force_login(user)
    return client
