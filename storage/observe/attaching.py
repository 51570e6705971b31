"""Datastores stay attached: each node is reconciled when it answers again, when something failed, and now and then."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog
from django.db import connection

from infrastructure.choices import NodeState
from infrastructure.models import Node
from infrastructure.observe.backoff import Backoff
from infrastructure.observe.source import Shard
from storage.choices import AttachmentState, DatastoreState, Use
from storage.models import Attachment, Datastore
from storage.services import attachments
from storage.services.turns import AT_ONCE, NODE_SECONDS

log = structlog.get_logger("mooring.storage")
LOOK_SECONDS = 5.0
AGAIN_SECONDS = 300.0
STOP_SECONDS = 5.0


class _Watch:
    """What is known of one node."""

    def __init__(self) -> None:
        self.due = 0.0
        self.failing = False  # then the next attempt waits for its time
        self.backoff = Backoff(first=5.0, most=120.0)
        self.began = 0.0
        self.thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def forgotten(self) -> "_Watch":
        """One that knows nothing but what is still under way."""
        fresh = _Watch()
        fresh.thread, fresh.began = self.thread, self.began
        return fresh


class AttachSource:
    """A source of the collector; a thread for each node that is being reconciled, and few of them at once."""

    name = "attaching"

    def __init__(
        self,
        shard: Shard | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        reconcile: Callable[[Node], attachments.Outcome] = attachments.reconcile,
    ) -> None:
        self._shard = shard or Shard()
        self._clock = clock
        self._reconcile = reconcile
        self._watches: dict[int, _Watch] = {}
        self._look_at = clock()

    def start(self) -> None:
        """There is nothing to begin."""

    def tick(self) -> None:
        """Begin with the nodes that are due; raises database errors, after which the next tick looks again."""
        if self._clock() < self._look_at:
            return
        self._look_at = self._clock() + LOOK_SECONDS
        nodes = {node.pk: node for node in attachments.nodes() if self._shard.holds(node.pk)}
        online = {pk for pk, node in nodes.items() if node.state == NodeState.ONLINE}
        for gone in self._watches.keys() - online:  # it is reconciled as soon as it answers again
            watch = self._watches.pop(gone)
            if watch.busy:  # but not beside what still hangs there from before
                self._watches[gone] = watch.forgotten()
        if not online or not self._anything():
            return
        waiting = self._waiting(online)
        for pk in online:
            self._watches.setdefault(pk, _Watch())
        free = AT_ONCE - sum(watch.busy and not self._late(watch) for watch in self._watches.values())
        due = [pk for pk in online if self._due(self._watches[pk], pk in waiting)]
        for pk in sorted(due, key=lambda pk: self._watches[pk].due)[: max(0, free)]:
            self._begin(nodes[pk], self._watches[pk])

    def stop(self) -> None:
        deadline = self._clock() + STOP_SECONDS
        for watch in self._watches.values():
            if watch.thread is not None:
                watch.thread.join(max(0.0, deadline - self._clock()))

    def status(self) -> Mapping[str, int]:
        return {}

    def _due(self, watch: _Watch, waiting: bool) -> bool:
        return not watch.busy and (self._clock() >= watch.due or (waiting and not watch.failing))

    def _late(self, watch: _Watch) -> bool:
        """Whether others need not wait for it any more."""
        return self._clock() - watch.began >= NODE_SECONDS

    @staticmethod
    def _anything() -> bool:
        ready = Datastore.objects.filter(state=DatastoreState.READY).exclude(use=Use.LUN)
        return Attachment.objects.exists() or ready.exists()

    @staticmethod
    def _waiting(online: set[int]) -> set[int]:
        """Nodes with something to do that no earlier reconcile has met."""
        new = Attachment.objects.filter(checked_at=None) | Attachment.objects.filter(state=AttachmentState.LEAVING)
        return set(new.filter(node__in=online).values_list("node_id", flat=True))

    def _begin(self, node: Node, watch: _Watch) -> None:
        watch.began = self._clock()
        watch.due = watch.began + AGAIN_SECONDS
        watch.thread = threading.Thread(target=self._work, args=(node, watch), name=f"attach-{node.name}", daemon=True)
        watch.thread.start()

    def _work(self, node: Node, watch: _Watch) -> None:
        try:
            failed = dict(self._reconcile(node).failed)
        except Exception:
            log.exception("datastores could not be reconciled", node=node.name)
            failed = {"": "a fault of the panel"}
        finally:
            connection.close()
        watch.failing = bool(failed)
        if failed:
            watch.due = self._clock() + watch.backoff.next()
            log.warning("datastores are not attached", node=node.name, failed=failed)
        else:
            watch.backoff.reset()
