"""Bursts of a signed-in user, the words of a limit, and whose address is counted."""

import re
import shlex
import time
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from django.conf import settings

from panel.accounts import limits
from panel.accounts.limits import Burst, Bursts, in_words
from panel.accounts.models import User


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the requests take, nothing is given back meanwhile."""
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: 100.0, time=time.time))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "in 1 s"), (0.4, "in 1 s"), (39.2, "in 40 s"), (90, "in 90 s"), (91, "in 2 minutes"), (300, "in 5 minutes")],
)
def test_the_time_to_wait_is_never_too_short(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_burst_is_taken_then_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    bursts, burst = Bursts(), Burst(3, 2.0)

    assert [bursts.wait(1, "change", burst) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bursts.wait(1, "change", burst) == 0.5
    assert bursts.wait(2, "change", burst) == 0.0
    assert bursts.wait(1, "ticket", burst) == 0.0
    now[0] += 0.5
    assert bursts.wait(1, "change", burst) == 0.0
    assert bursts.wait(1, "change", burst) > 0


@pytest.mark.django_db
def test_a_script_that_runs_wild_is_stopped_and_told_when_to_go_on(
    viewer: User, operator: User, client_of: Any, monkeypatch: pytest.MonkeyPatch, stopped_clock: None
) -> None:
    monkeypatch.setattr(limits, "CHANGES", Burst(3, 0.1))
    monkeypatch.setattr(limits, "_bursts", Bursts())
    client = client_of(viewer)
    for _ in range(3):
        assert client.post("/account/sessions/end-others/").status_code == 302

    stopped = client.post("/account/sessions/end-others/")

    assert stopped.status_code == 429
    assert "Try again in 10 s." in stopped.content.decode()
    assert stopped["Retry-After"] == "10"
    assert client.get("/health/").status_code == 200
    assert client_of(operator).post("/account/sessions/end-others/").status_code == 302


@pytest.mark.django_db
def test_tickets_of_consoles_have_a_limit_of_their_own(
    operator: User, client_of: Any, monkeypatch: pytest.MonkeyPatch, stopped_clock: None
) -> None:
    monkeypatch.setattr(limits, "TICKETS", Burst(1, 0.1))
    monkeypatch.setattr(limits, "_bursts", Bursts())
    client = client_of(operator)

    codes = [client.post("/infrastructure/ves/987654/console/ticket/").status_code for _ in range(2)]

    assert codes == [404, 429]
    assert client.post("/account/sessions/end-others/").status_code == 302


def test_no_header_of_a_browser_changes_the_address_that_is_counted_and_recorded() -> None:
    """By default uvicorn believes X-Forwarded-For from the loopback, where the panel listens and so all come from."""
    text = (settings.BASE_DIR / "setup" / "supervisord.conf").read_text()
    found = re.search(r"-m uvicorn (.*)", text)
    assert found is not None
    words = re.sub(r"%\(ENV_MOORING_PORT\)s", "8443", found[1])

    options = uvicorn.main.make_context("uvicorn", shlex.split(words), resilient_parsing=False).params

    assert options["proxy_headers"] is False
