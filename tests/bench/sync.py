"""Bringing the inventory up to date against nothing but asking: raw `getAllDomainStats`, all nodes at once.

Needs a running lab whose nodes trust the panel. For scale each node is an instance of libvirt's test driver in one of
the lab's libvirtds, reached over mutual TLS as any node is; the lab's own three nodes stand for what real VMs answer.
Ours is the collector's own observers, one step each in parallel, and its writer, to the end of the transaction.
"""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from lxml import etree
from lxml.builder import E

from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import Stage, say
from tests.e2e.lab import NODES, Lab

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("MOORING_INSTANCE", "bench")
COUNT, VES = 50, 50
SIZE = f"{COUNT} nodes × {VES} VMs"
SAME = Gate(f"sync of {SIZE}, nothing changed", Rule.RATIO_AT_MOST, 1.5, "ms")
COST = Gate(f"sync of {SIZE}, nothing changed, CPU per VM", Rule.P50_AT_MOST, 0.5, "ms")
FIGURES = Gate(f"sync of {SIZE}, every figure changed", Rule.RATIO_AT_MOST, 3, "ms")
STATES = Gate(f"sync of {SIZE}, every state changed", Rule.RATIO_AT_MOST, 3, "ms")
REAL = Gate("sync of the lab's 3 nodes, nothing changed", Rule.RATIO_AT_MOST, 1.5, "ms")
GATES = (SAME, COST, FIGURES, STATES, REAL)
# Gate → what the probe calls it, rounds.
PROBES = {SAME: ("same", 20), COST: ("cost", 20), FIGURES: ("figures", 12), STATES: ("states", 10), REAL: ("same", 20)}


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Measure the chosen gates; all of them take about three minutes."""
    with _stage() as (panel, scale, real):
        for gate in chosen:
            probe, rounds = PROBES[gate]
            say(gate.name)
            (panel.folder / "nodes.json").write_text(json.dumps(real if gate is REAL else scale))
            yield from panel.results("tests.bench.sync_probe", probe, rounds, [gate])


@contextmanager
def _stage() -> Iterator[tuple[Stage, dict[str, str], dict[str, str]]]:
    """A database and Redis for the observers, and the nodes' URIs by name: for scale, and the lab's own."""
    lab = Lab(ROOT, os.environ.get("MOORING_LAB_INSTANCE", INSTANCE))
    addresses = [lab.exec(node, "hostname", "-I").split()[0] for node in NODES]
    keys = f"pkipath={ROOT / 'var' / INSTANCE / 'keys' / 'pki'}"
    described = ROOT / "var" / "lab" / INSTANCE / "shared" / "bench"
    folder = Path(tempfile.mkdtemp(prefix="mooring-bench-"))
    panel = Stage(folder)
    try:
        described.mkdir(exist_ok=True)
        for number in range(COUNT):
            (described / f"{number}.xml").write_bytes(_description(number))
        panel.python("django", "migrate", "-v", "0")
        panel.start_redis()
        yield (
            panel,
            {f"node{n}": f"test+tls://{addresses[n % 3]}/srv/shared/bench/{n}.xml?{keys}" for n in range(COUNT)},
            {name: f"qemu+tls://{address}/system?{keys}" for name, address in zip(NODES, addresses, strict=True)},
        )
    finally:
        panel.close()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(described, ignore_errors=True)


def _description(number: int) -> bytes:
    """A node of the test driver, with its VMs running."""
    figures = {"mhz": 2000, "model": "bench", "active": 8, "nodes": 1, "sockets": 1, "cores": 8, "threads": 1}
    cpu = E.cpu(*(etree.fromstring(f"<{name}>{value}</{name}>") for name, value in figures.items()))
    return etree.tostring(E.node(cpu, E.memory(str(64 << 20)), *(_domain(number, place) for place in range(VES))))


def _domain(number: int, place: int) -> etree._Element:
    devices = E.devices(
        E.disk(
            E.source(file=f"/srv/shared/images/{place}.qcow2"), E.target(dev="vda", bus="virtio"),
            type="file", device="disk",
        ),
        E.interface(E.source(network="default"), type="network"),
    )  # fmt: skip
    return E.domain(
        E.name(f"vm-{number:02}-{place:02}"),
        E.uuid(str(uuid.uuid4())),
        E.memory(str(1 << 20)),
        E.vcpu("2"),
        E.os(E.type("hvm")),
        devices,
        type="test",
    )
