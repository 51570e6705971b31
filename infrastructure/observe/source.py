"""All nodes of this collector: one observer each, begun and ended as nodes come and go."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import structlog

from infrastructure.drivers import registry
from infrastructure.drivers.base import Endpoint, HostDriver
from infrastructure.models import Node, Removal
from infrastructure.observe.node import NodeObserver
from infrastructure.observe.recorder import Recorder
from infrastructure.observe.writer import Feedback, Writer
from infrastructure.services import inventory
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.migration.leftover import clear_leftovers

log = structlog.get_logger("mooring.observe")
POLL_SECONDS = 2.0
SWEEP_SECONDS = 5.0
STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``index``-th of ``count`` collectors, from 1: it observes the nodes whose id modulo count is index - 1."""

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, node_id: int) -> bool:
        return node_id % self.count == self.index - 1


@dataclass(slots=True)
class _Watch:
    observer: NodeObserver
    thread: threading.Thread
    identity: tuple[Endpoint, datetime | None]
    endpoint: Endpoint


class NodeSource:
    """A source of the collector. ``tick`` is called about every second from the collector's thread."""

    name = "nodes"

    def __init__(
        self,
        shard: Shard | None = None,
        *,
        open_driver: Callable[[Endpoint], HostDriver] = registry.driver_for,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shard = shard or Shard()
        self._open_driver = open_driver
        self._clock = clock
        self._watches: dict[int, _Watch] = {}
        self._recorder = Recorder()
        self._writer = Writer(Feedback(self._learned, self._wanted, self._unknown))
        self._poll_at = self._sweep_at = clock()

    def start(self) -> None:
        self._writer.start()
        self._recorder.start()

    def tick(self) -> None:
        """Supervise; raises database errors, after which the next tick goes on."""
        for watch in list(self._watches.values()):
            watch.observer.contact.check()
        now = self._clock()
        if now >= self._poll_at:
            self._poll_at = now + POLL_SECONDS
            self._poll()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            if self._shard.index == 1:
                inventory.sweep()
                clear_leftovers()

    def stop(self) -> None:
        """End all threads; one that is inside a hung call is left behind."""
        for watch in self._watches.values():
            watch.observer.inbox.stop()
        deadline = self._clock() + STOP_SECONDS
        for watch in self._watches.values():
            watch.thread.join(max(0.0, deadline - self._clock()))
        self._watches.clear()
        self._writer.stop()
        self._recorder.stop()

    def status(self) -> dict[str, int]:
        """For the sign of life: nodes observed, and how many of them do not answer."""
        late = sum(watch.observer.contact.late for watch in self._watches.values())
        return {"nodes": len(self._watches), "late": late}

    def _poll(self) -> None:
        """Begin with nodes that were set up, end with those that are gone, begin anew where address or keys changed."""
        columns = ("name", "address", "ssh_port", "host_key", "uuid", "onboarded_at")
        nodes = {
            node.pk: node
            for node in Node.objects.filter(onboarded_at__isnull=False).only(*columns).order_by("pk")
            if self._shard.holds(node.pk)
        }
        for node_id in self._watches.keys() - nodes.keys():
            self._end(node_id)
            self._tell_removal(node_id)
        for node in nodes.values():
            endpoint = endpoint_for(node)
            identity = (endpoint, node.onboarded_at)
            watch = self._watches.get(node.pk)
            if watch is not None and watch.identity != identity:
                self._end(node.pk)
                watch = None
            if watch is None:
                self._begin(node, endpoint, identity)

    def _begin(self, node: Node, endpoint: Endpoint, identity: tuple[Endpoint, datetime | None]) -> None:
        observer = NodeObserver(
            node.pk,
            node.name,
            lambda: self._open_driver(endpoint),
            self._writer.put,
            self._recorder.put,
            clock=self._clock,
        )
        thread = threading.Thread(target=observer.run, name=f"node-{node.name}", daemon=True)
        self._watches[node.pk] = _Watch(observer, thread, identity, endpoint)
        thread.start()
        log.info("observing a node", node=node.name, address=node.address)

    def _end(self, node_id: int) -> None:
        watch = self._watches.pop(node_id)
        watch.observer.inbox.stop()
        registry.drop(watch.endpoint)
        log.info("a node is observed no longer", node=watch.observer.name)

    def _tell_removal(self, node_id: int) -> None:
        gone = not Node.objects.filter(pk=node_id).exists()
        if gone and not Removal.objects.filter(kind="node", object_id=node_id).exists():
            with inventory.writing() as batch:
                batch.node_removed(node_id)

    def _learned(self, node_id: int, ids: dict[str, int]) -> None:
        self._recorder.learn(ids)

    def _wanted(self, node_id: int, uuids: Collection[str]) -> None:
        if (watch := self._watches.get(node_id)) is not None:
            watch.observer.inbox.want(uuids)

    def _unknown(self, node_id: int) -> None:
        if (watch := self._watches.get(node_id)) is not None:
            watch.observer.inbox.want_everything()
