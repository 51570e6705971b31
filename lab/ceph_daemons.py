"""Makes, starts and ends a node's storage daemons, all inside the node. See files/node-ceph.sh."""

import contextlib
import json
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab import ceph_files
from lab.ceph_layout import Osd
from lab.errors import LabError
from lab.node import Node

_AT_ONCE = 4  # stores made side by side: each waits for the disk more than for a processor


def make_monitor(node: Node) -> None:
    """Makes the node's monitor. The first monitor map and all first keys are in its store."""
    name = f"mon.{node.name}"
    monmap, keyring = ceph_files.begin_monitor(node)
    inside = [f"/{file.relative_to(node.root)}" for file in (monmap, keyring)]
    _service(node, "make", name, ceph_files.order(node, name), "--monmap", inside[0], "--keyring", inside[1])
    ceph_files.complete_monitor(node)
    for file in (monmap, keyring):
        file.unlink()


def make_osds(wanted: Sequence[tuple[Node, Osd]]) -> None:
    """Makes the stores of these OSDs anew; what was in them is gone. Needs no monitor."""

    def make(node: Node, osd: Osd) -> None:
        ceph_files.begin_osd(node, osd)
        _service(node, "make", osd.name, ceph_files.order(node, osd.name), "--no-mon-config")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in [pool.submit(make, node, osd) for node, osd in wanted]:
            future.result()


def start_all(node: Node) -> None:
    """Starts every daemon of the node that is made, is not switched off and does not run."""
    _service(node, "start")


def start(node: Node, osds: Sequence[Osd]) -> None:
    """Starts these OSDs; nothing happens to one that runs."""
    if osds:
        _service(node, "start", *(osd.name for osd in osds))


def end(node: Node, osd: Osd) -> None:
    """Kills the OSD (signal 9) by its recorded process id. Nothing happens when it does not run."""
    _service(node, "kill", osd.name)


def running(node: Node) -> set[str]:
    """The names of the node's daemons that run, such as "osd.3"."""
    lines = [line.split() for line in _service(node, "status").splitlines()]
    return {name for name, state in lines if state == "running"}


def _service(node: Node, *words: str) -> str:
    """files/node-ceph.sh; it records each process it starts, a store being made among them."""
    return node.run("service", "ceph", *words)


def state(node: Node, daemon: str) -> str:
    """What the monitor or OSD says of itself ("leader", "peon", "booting", "active"), "" when it does not answer.

    After a power cut the cluster may for seconds go on taking a dead daemon for a living one; this does not.
    """
    prefix = "mon_status" if daemon.startswith("mon.") else "status"
    with contextlib.suppress(OSError, ValueError, LabError):
        return str(_ask_socket(node, daemon, prefix)["state"])
    return ""


def _ask_socket(node: Node, daemon: str, prefix: str) -> dict[str, Any]:
    """Asks a daemon on its admin socket: a request of JSON and a zero byte, an answer of its length and JSON."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(node.inside(f"/run/ceph/ceph-{daemon}.asok")))
        connection.sendall(json.dumps({"prefix": prefix, "format": "json"}).encode() + b"\0")
        with connection.makefile("rb") as stream:
            length = int.from_bytes(stream.read(4), "big")
            answer: dict[str, Any] = json.loads(stream.read(length))
    return answer
