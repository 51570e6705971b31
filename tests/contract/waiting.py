"""Waiting for an engine."""

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return as soon as the condition holds; fail when it does not within ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.05)
