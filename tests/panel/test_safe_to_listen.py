"""What would be dangerous on a network keeps the panel from starting."""

import os
import subprocess
import sys
from typing import Any

import pytest

from panel.accounts.checks import safe_to_listen


@pytest.mark.parametrize(
    ("debug", "host", "errors"),
    [
        (False, "0.0.0.0", []),
        (True, "127.0.0.1", []),
        (True, "localhost", []),
        (True, "::1", []),
        (True, "0.0.0.0", ["mooring.E001"]),
        (True, "192.0.2.1", ["mooring.E001"]),
        (True, "panel.example.org", ["mooring.E001"]),
    ],
)
def test_debug_mode_is_for_loopback_alone(settings: Any, debug: bool, host: str, errors: list[str]) -> None:
    settings.DEBUG, settings.HOST = debug, host

    assert [error.id for error in safe_to_listen(None)] == errors


def test_there_is_no_default_key(settings: Any) -> None:
    settings.SECRET_KEY = "not-prepared"

    assert [error.id for error in safe_to_listen(None)] == ["mooring.E002"]


def test_the_web_process_does_not_start_when_it_would_be_unsafe(tmp_path: Any) -> None:
    env = {"PATH": os.environ["PATH"], "MOORING_VAR": str(tmp_path), "MOORING_DEBUG": "1", "MOORING_HOST": "0.0.0.0"}

    started = subprocess.run([sys.executable, "-c", "import panel.asgi"], env=env, capture_output=True, text=True)

    assert started.returncode != 0
    assert "Switch MOORING_DEBUG off" in started.stderr
    assert "manage.py prepare" in started.stderr
