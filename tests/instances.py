"""Which lab a test process uses: with several at once (pytest -n 2) each has a lab of its own."""

import os


def _suffix(worker: str) -> str:
    """ "" for the only process and the first of several, "b" for the second ("gw1"), and so on."""
    number = int(worker.removeprefix("gw") or 0)
    return chr(ord("a") + number) if number else ""


SUFFIX = _suffix(os.environ.get("PYTEST_XDIST_WORKER", ""))
LAB = os.environ.get("MOORING_LAB_INSTANCE", "test") + SUFFIX
