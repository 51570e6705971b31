"""What tests/bench/sync.py measures.

`python -m tests.bench.sync_probe same|cost|figures|states ROUNDS` prints Turns as JSON. The nodes' URIs lie in
nodes.json of the stage's folder. The observers' clock is advanced by the collector's own interval before each round, so
full reads fall due as often as they do there.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django

django.setup()

import libvirt  # noqa: E402
from django.utils import timezone  # noqa: E402

from infrastructure.drivers import registry  # noqa: E402
from infrastructure.drivers.base import Endpoint  # noqa: E402
from infrastructure.drivers.libvirt_loop import ensure_event_loop  # noqa: E402
from infrastructure.drivers.libvirt_stats import _FLAGS, _GROUPS  # noqa: E402
from infrastructure.models import VE, Node  # noqa: E402
from infrastructure.observe.messages import Message  # noqa: E402
from infrastructure.observe.node import SAMPLE_SECONDS, NodeObserver  # noqa: E402
from infrastructure.observe.writer import Feedback, Writer  # noqa: E402
from tests.bench.turns import Turns  # noqa: E402

FULL = 64 << 20


class Cluster:
    """All nodes: an observer each with one writer for all, and a raw connection each."""

    def __init__(self, uris: dict[str, str]) -> None:
        Node.objects.all().delete()
        VE.objects.all().delete()
        self.now = 1000.0
        self._told: list[Message] = []
        self._pool = ThreadPoolExecutor(len(uris))
        self._observers: dict[int, NodeObserver] = {}
        for name, uri in uris.items():
            node = Node.objects.create(name=name, address=name, onboarded_at=timezone.now())
            endpoint = Endpoint(name, name, uri=uri)
            self._observers[node.pk] = NodeObserver(
                node.pk, name, lambda endpoint=endpoint: registry.driver_for(endpoint), self._told.append,
                lambda recording: None, clock=lambda: self.now,
            )  # fmt: skip
        wanted: Callable[[int, object], None] = lambda node, uuids: self._observers[node].inbox.want(uuids)  # noqa: E731
        everything: Callable[[int], None] = lambda node: self._observers[node].inbox.want_everything()  # noqa: E731
        self._writer = Writer(Feedback(lambda node, ids: None, wanted, everything))
        self._drivers = [registry.driver_for(Endpoint(name, name, uri=uri)) for name, uri in uris.items()]
        ensure_event_loop()
        self._raw = [libvirt.open(uri) for uri in uris.values()]

    def sync(self) -> None:
        """One round: what is due on each node, and what that showed to be wanted, written."""
        while True:
            list(self._pool.map(lambda observer: observer.step(), self._observers.values()))
            told, self._told[:] = list(self._told), []
            if not told:
                return
            self._writer.write(told)

    def advance(self) -> None:
        """Let the time pass until the next samples are due, with nothing of the last round still under way."""
        while any(thread.name.startswith(("addresses-", "interfaces-")) for thread in threading.enumerate()):
            time.sleep(0.02)
        if self._told:
            self._writer.write(self._told)
            self._told.clear()
        self.now += SAMPLE_SECONDS

    def ask(self) -> None:
        """The raw calls, all at once."""
        list(self._pool.map(lambda connection: connection.getAllDomainStats(_GROUPS, _FLAGS), self._raw))

    def switch(self, *, paused: bool) -> None:
        """Change the state of every VM, on the connections that the observers listen to."""
        for driver in self._drivers:
            for ve in driver.ves():
                (driver.suspend if paused else driver.resume)(ve.uuid)


def measure(what: str, rounds: int, uris: dict[str, str]) -> Turns:
    """ms of a round, or with "cost" ms of CPU per VM; beside it the raw calls."""
    cluster = Cluster(uris)
    for _ in range(3):  # connect, read in full, first samples
        cluster.sync()
        cluster.advance()
    ves = VE.objects.count()
    found = Turns()
    for number in range(rounds):
        state = "running"
        if what == "figures":
            Node.objects.update(cpu_percent=99, memory_free=FULL)
            VE.objects.update(cpu_percent=99, memory_used=FULL * (number + 1))
        if what == "states":
            cluster.switch(paused=number % 2 == 0)
            state = "running" if number % 2 else "paused"
        clock = time.process_time if what == "cost" else time.perf_counter
        per = ves if what == "cost" else 1
        found.ours(lambda clock=clock, per=per: [_timed(cluster.sync, clock) / per], time.process_time)
        if what == "states" and (wrong := VE.objects.exclude(state=state).count()):
            raise RuntimeError(f"{wrong} of {ves} VMs are not {state} after the round")
        found.theirs(lambda clock=clock, per=per: [_timed(cluster.ask, clock) / per], time.process_time)
        cluster.advance()
    return found


def _timed(work: Callable[[], None], clock: Callable[[], float]) -> float:
    begun = clock()
    work()
    return (clock() - begun) * 1000


if __name__ == "__main__":
    nodes = json.loads(Path(os.environ["MOORING_VAR"], "nodes.json").read_text())
    print(measure(sys.argv[1], int(sys.argv[2]), nodes).json())
