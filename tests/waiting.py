"""Waiting for what comes by itself: the deadlines are for a machine that is busy with something else."""

import asyncio
import time
from collections.abc import Callable


def eventually(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Return as soon as the condition holds; fail when it does not within ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.05)


async def soon(true: Callable[[], object], seconds: float = 30.0) -> None:
    """``eventually`` for a test that is a coroutine."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        await asyncio.sleep(0.01)
