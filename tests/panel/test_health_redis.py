"""Redis is asked with a deadline, so that a hanging one never hangs the health page."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panel.health import checks


@pytest.fixture
def mute(tmp_path: Path) -> Iterator[Path]:
    """A socket that accepts and never answers."""
    path = tmp_path / "mute.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def test_a_redis_that_is_not_there_is_critical_with_the_next_step(settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/absent.sock"

    part = checks.redis()

    assert part.state == "crit"
    assert part.text == "Does not answer"
    assert "bin/up starts it again" in part.advice


def test_a_redis_that_hangs_is_given_up_after_its_deadline(settings: Any, mute: Path) -> None:
    settings.REDIS_URL = f"unix://{mute}"
    started = time.monotonic()

    part = checks.redis()

    assert part.state == "crit"
    assert time.monotonic() - started < 10 * checks.REDIS_DEADLINE  # generous: what counts is that it ends
