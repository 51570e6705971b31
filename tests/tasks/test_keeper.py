"""The keeper's loop: it survives what fails, leaves signs of life and ends when it is asked to."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection

from panel.health.models import Beat
from tasks.keeper import Keeper
from tasks.models import Task
from tests import database
from tests.tasks.helpers import copy
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


def quiet(**duties: Any) -> Any:
    return SimpleNamespace(sweep=lambda: [], look=lambda: [], **duties)


def test_a_round_does_each_duty_and_leaves_a_sign_of_life() -> None:
    tasks = [copy(number) for number in range(3)]
    Task.objects.filter(pk=tasks[0].pk).update(state="lost", finished_at=tasks[0].created_at)
    assert Keeper(sweeper=quiet(), reaper=quiet()).round()
    assert Task.objects.get(pk=tasks[2].pk).state == "queued"
    assert Beat.objects.get(name="keeper")


def test_a_duty_that_fails_does_not_keep_the_others_from_being_done() -> None:
    def broken() -> list[int]:
        raise OperationalError("the database is away")

    swept: list[bool] = []
    keeper = Keeper(sweeper=SimpleNamespace(sweep=lambda: swept.append(True)), reaper=SimpleNamespace(look=broken))
    assert keeper.round() is False
    assert swept == [True]


def test_it_goes_on_after_database_errors_and_slows_down_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, pauses = 0, list[float]()

    def look() -> list[int]:
        nonlocal rounds
        rounds += 1
        if rounds <= 3:
            raise OperationalError("the database is away")
        keeper.stop()
        return []

    keeper = Keeper(sweeper=quiet(), reaper=SimpleNamespace(look=look), every=0.02)
    monkeypatch.setattr(keeper._stop, "wait", pauses.append)

    def run() -> None:
        keeper.run()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert rounds == 4
    assert pauses[:3] == [0.04, 0.08, 0.16]


def test_the_command_ends_cleanly_on_sigterm_and_needs_no_redis(tmp_path: Path) -> None:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "panel.settings",
        "MOORING_VAR": str(tmp_path),
        "MOORING_SECRET_KEY": "x" * 50,
        "DATABASE_URL": database.address(),
    }
    keeper = subprocess.Popen([sys.executable, "manage.py", "keep"], cwd=ROOT, env=environment)
    try:
        eventually(lambda: keeper.poll() is not None or Beat.objects.filter(name="keeper").exists(), seconds=90)
        assert keeper.poll() is None
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(timeout=60) == 0
    finally:
        keeper.kill()
        keeper.wait()
