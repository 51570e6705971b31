"""How many monitors answer at all: what to say of a cluster that does not answer.

Without a quorum monitors accept connections and answer nothing, so librados can only tell that time ran out.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from infrastructure.drivers import deadlines

PROBE_SECONDS = 1.0
_GREETING = b"ceph v"  # each side of a connection begins with it, in both protocols


def missing(name: str, monitors: Sequence[str]) -> str:
    """ "storage1 has no quorum: 1 of 3 monitors answers, and 2 are needed"; "" when enough of them answer."""
    needed, up = len(monitors) // 2 + 1, answering(monitors)
    if up >= needed:
        return ""
    answer, are = ("answers" if up == 1 else "answer"), ("is" if needed == 1 else "are")
    return f"{name} has no quorum: {up} of {len(monitors)} monitors {answer}, and {needed} {are} needed"


def answering(monitors: Sequence[str]) -> int:
    """How many greet whoever connects. A second at most; a process that hangs accepts, by its kernel, and is silent."""
    probes = [deadlines.workers.submit(partial(_greets, address)) for address in monitors]
    return sum(_found(probe) for probe in probes)


def _found(probe: deadlines.Job[bool]) -> bool:
    try:
        return probe.wait(2 * PROBE_SECONDS)
    except deadlines.Overrun:
        return False


def _greets(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS) as line:
        return line.recv(len(_GREETING)) == _GREETING
    return False
