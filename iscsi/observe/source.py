"""Target servers under observation: all of a node in one look, every few seconds; those that differ are reconciled."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog
from django.db import connection
from django.db.models import Q

from infrastructure.drivers.base import DriverError, Unreachable, within
from infrastructure.models import Node
from infrastructure.observe.source import Shard
from iscsi.choices import Stage
from iscsi.drivers.base import TargetServers
from iscsi.drivers.facts import NodeServers
from iscsi.models import Target
from iscsi.observe.mending import Mender
from iscsi.services import leftovers, observed
from iscsi.services.access import servers_on
from iscsi.services.wanted import wanted_of

log = structlog.get_logger("mooring.iscsi")
LOOK_SECONDS = 2.0
LOOK_DEADLINE = 4.0
# A look that begins on time and takes all its deadline comes 6 s after the last: more is silence.
SILENT_SECONDS = 8.0
NODES_SECONDS = 5.0
STOP_SECONDS = 5.0
# What tasks make of targets of other stages is theirs to say.
OBSERVED = (Stage.READY, Stage.FAILED)
Open = Callable[[Node], TargetServers]


class Watch:
    """One node. Its looks and what they lead to happen in a thread of its own."""

    def __init__(self, node: Node, mender: Mender, open_servers: Open, clock: Callable[[], float]) -> None:
        self.node = node
        self.late = False
        self._mender = mender
        self._open = open_servers
        self._clock = clock
        self._look_at = clock()
        self._answered = clock()
        self._strangers: set[int] = set()
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Begin a look when it is time, unless the last one is not over."""
        if self._clock() < self._look_at or (self._thread is not None and self._thread.is_alive()):
            return
        self._look_at = self._clock() + LOOK_SECONDS
        self._thread = threading.Thread(target=self._work, name=f"targets-{self.node.name}", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self.look()
        except Exception:
            log.exception("looking at target servers failed", node=self.node.name)
        finally:
            connection.close()

    def look(self) -> None:
        """Ask once, write what it told, and have mended what differs. Raises database errors."""
        servers = self._open(self.node)
        try:
            with within(LOOK_DEADLINE):
                found = servers.servers()
            leftovers.clear(self.node, servers)
        except DriverError as error:
            self._silent(error)
            return
        self._answered = self._clock()
        if self.late:
            log.info("target servers answer again", node=self.node.name)
        self.late = False
        self._stop_strangers(servers, found)
        for target in self._targets():
            self._judge(target, found)

    def _targets(self) -> list[Target]:
        rows = Target.objects.filter(node=self.node, stage__in=OBSERVED)
        return list(rows.select_related("node", "chap_user", "mutual_user").prefetch_related("portals"))

    def _judge(self, target: Target, found: NodeServers) -> None:
        wanted, server = wanted_of(target), found.server(target.number)
        said = observed.verdict(wanted, server, observed.known_reasons(target))
        observed.record(target.pk, said, found.at)
        self._mender.consider(target, wanted, server)

    def _silent(self, error: DriverError) -> None:
        if not self.late:
            log.warning("target servers could not be asked", node=self.node.name, code=error.code, error=str(error))
        self.late = True
        if self._clock() - self._answered < SILENT_SECONDS:
            return
        where = "does not answer" if isinstance(error, Unreachable) else "cannot be asked"
        ids = Target.objects.filter(node=self.node, stage__in=OBSERVED).values_list("pk", flat=True)
        observed.mark_unreachable(list(ids), f"{self.node} {where}: {error.message}")

    def _stop_strangers(self, servers: TargetServers, found: NodeServers) -> None:
        """End servers that no target has, seen twice: what an undo could not reach, or a restored database forgot."""
        known = set(Target.objects.filter(node=self.node).values_list("number", flat=True))
        strange = {server.number for server in found.servers} - known
        for number in sorted(strange & self._strangers):
            try:
                servers.stop(number)
                log.warning("a target server of no target was stopped", node=self.node.name, number=number)
            except DriverError as error:
                log.warning("a target server of no target stays", node=self.node.name, number=number, error=str(error))
        self._strangers = strange


class IscsiSource:
    """A source of the collector. ``tick`` is called about every second from the collector's thread."""

    name = "iscsi"

    def __init__(
        self,
        shard: Shard | None = None,
        *,
        open_servers: Open = servers_on,
        clock: Callable[[], float] = time.monotonic,
        mender: Mender | None = None,
    ) -> None:
        self._shard = shard or Shard()
        self._open = open_servers
        self._clock = clock
        self._mender = mender or Mender(clock=clock)
        self._watches: dict[int, Watch] = {}
        self._nodes_at = clock()

    def start(self) -> None:
        """Threads begin with the first looks."""

    def tick(self) -> None:
        """Begin with nodes that got targets, end with those that have none, look where it is time."""
        if self._clock() >= self._nodes_at:
            self._nodes_at = self._clock() + NODES_SECONDS
            self._follow()
        for watch in self._watches.values():
            watch.tick()

    def stop(self) -> None:
        deadline = self._clock() + STOP_SECONDS
        for watch in self._watches.values():
            watch.join(max(0.0, deadline - self._clock()))
        self._mender.join(max(0.0, deadline - self._clock()))

    def status(self) -> Mapping[str, int]:
        """For the sign of life: nodes with targets, and how many of them do not answer."""
        return {"iscsi_nodes": len(self._watches), "iscsi_late": sum(watch.late for watch in self._watches.values())}

    def _follow(self) -> None:
        concerned = Q(targets__isnull=False) | Q(iscsi__isnull=False)
        rows = Node.objects.filter(concerned, onboarded_at__isnull=False).distinct()
        nodes = {node.pk: node for node in rows if self._shard.holds(node.pk)}
        for gone in self._watches.keys() - nodes.keys():
            del self._watches[gone]
        for pk, node in nodes.items():
            known = self._watches.get(pk)
            if known is None:
                self._watches[pk] = Watch(node, self._mender, self._open, self._clock)
            else:
                known.node = node  # its address or key may be another
