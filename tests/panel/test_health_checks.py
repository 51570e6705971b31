"""How healthy the panel says its parts are: to monitoring in states and ages, on the page with cause and next step."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError
from django.utils import timezone

from panel.health import checks
from panel.health.models import Beat
from panel.health.services import beat

pytestmark = pytest.mark.django_db
EXPECTED = ("worker.default", "worker.migrate", "keeper", "collector")


@pytest.fixture(autouse=True)
def _redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis answers, unless a test says otherwise."""
    monkeypatch.setattr(checks, "redis", lambda: checks.Part("redis", "Redis", "ok", "Answers"))


def all_alive() -> None:
    for name in EXPECTED:
        beat(name)


def silent(name: str, seconds: float) -> None:
    Beat.objects.update_or_create(name=name, defaults={"at": timezone.now() - timedelta(seconds=seconds)})


def database_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise DatabaseError("disk I/O error in /secret/path/db.sqlite3")

    monkeypatch.setattr(Beat.objects, "values_list", refuse)


def test_all_parts_alive_is_ok(client_class: Any) -> None:
    all_alive()

    response = client_class().get("/healthz")

    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "ok"
    assert set(answer["parts"]) == {"database", "redis", *EXPECTED}
    assert answer["parts"]["keeper"]["state"] == "ok"
    assert 0 <= answer["parts"]["keeper"]["age_s"] < 5
    assert response["Cache-Control"].startswith("max-age=0")


@pytest.mark.parametrize(("age", "state"), [(14, "ok"), (17, "warn"), (59, "warn"), (62, "crit")])
def test_a_silent_process_gets_worse_with_its_age(age: float, state: str, client_class: Any) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        all_alive()
        silent("collector", age)

        answer = client_class().get("/healthz").json()

    assert answer["parts"]["collector"]["state"] == state
    assert answer["status"] == ("ok" if state == "ok" else "degraded")


def test_a_process_that_never_lived_is_critical(client_class: Any) -> None:
    answer = client_class().get("/healthz").json()

    assert answer["parts"]["worker.migrate"] == {"state": "crit", "age_s": None, "text": "Never seen"}
    assert answer["status"] == "degraded"


def test_a_failing_database_is_503_and_leaks_nothing(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    database_fails(monkeypatch)

    response = client_class().get("/healthz")

    assert response.status_code == 503
    assert response.json()["status"] == "failed"
    assert response.json()["parts"]["keeper"]["state"] == "unknown"
    assert "secret" not in response.content.decode()


def test_the_public_answer_names_no_cause(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    part = checks.Part("redis", "Redis", "crit", "Does not answer", cause="/secret/redis.sock", advice="bin/logs redis")
    monkeypatch.setattr(checks, "redis", lambda: part)
    silent("keeper", 100)

    response = client_class().get("/healthz")

    assert response.status_code == 200
    for part in response.json()["parts"].values():
        assert set(part) == {"state", "age_s", "text"}
        assert part["text"] in {"Answers", "Does not answer", "Running", "Silent", "Never seen"}


def test_it_is_open_to_strangers_and_takes_no_post(client_class: Any) -> None:
    assert client_class().get("/healthz").status_code == 200
    assert client_class().post("/healthz").status_code == 405


def test_the_page_says_cause_and_next_step(viewer: Any, client_of: Any) -> None:
    all_alive()
    silent("collector", 43)

    html = client_of(viewer).get("/health/").content.decode()

    assert "Something is not in order" in html
    assert re.search(r"No sign of life for (4[3-9]|5\d) s", html)
    assert "States and figures of nodes and VEs are not updated." in html
    assert "bin/logs collector shows why" in html


def test_the_page_refreshes_its_parts_alone(viewer: Any, client_of: Any) -> None:
    client = client_of(viewer)

    assert 'hx-trigger="every 5s"' in client.get("/health/").content.decode()
    html = client.get("/health/", headers={"HX-Request": "true"}).content.decode()

    assert html.lstrip().startswith('<section class="card" id="health-parts"')


def test_the_page_is_not_for_strangers(client_class: Any, make_user: Any, client_of: Any) -> None:
    assert client_class().get("/health/").status_code == 302
    assert client_of(make_user("nobody")).get("/health/").status_code == 403
