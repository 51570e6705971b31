"""What a migration is to do."""

from dataclasses import dataclass

from infrastructure.drivers.base import HostDriver
from infrastructure.models import VE, Node
from infrastructure.services.endpoints import driver
from infrastructure.services.errors import InvalidInput
from tasks.errors import JobFailed

MOST_BANDWIDTH = 100_000  # MiB/s
MOST_DOWNTIME = 60_000  # ms


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """bandwidth_mib: MiB/s, 0 for no limit; it holds for memory and for disks.

    max_downtime_ms: how long the guest of a live migration may pause at the switch. auto_converge: slow the guest down
    when it changes memory faster than it is copied. pause_limit_ms: up to which pause max_downtime_ms is raised, in
    steps that the log announces, when that does not help either; 0: not at all.
    copy_disks: copy what is on no storage that both nodes share. delete_source: delete it on the source after the move.
    force_off: of an offline move: cut the power of a guest that does not shut down in time.
    """

    bandwidth_mib: int = 0
    max_downtime_ms: int = 300
    auto_converge: bool = False
    pause_limit_ms: int = 0
    copy_disks: bool = False
    delete_source: bool = False
    force_off: bool = False

    @property
    def longest_pause_ms(self) -> int:
        """The pause that nothing goes beyond."""
        return max(self.max_downtime_ms, self.pause_limit_ms)

    def validate(self) -> None:
        """Raise InvalidInput with the field at fault."""
        if not 0 <= self.bandwidth_mib <= MOST_BANDWIDTH:
            raise InvalidInput(
                f"{self.bandwidth_mib} MiB/s is no limit", advice=f"Use 0 to {MOST_BANDWIDTH:,}.", field="bandwidth_mib"
            )
        if not 1 <= self.max_downtime_ms <= MOST_DOWNTIME:
            raise InvalidInput(
                f"A pause of {self.max_downtime_ms} ms is out of range",
                advice=f"Use 1 to {MOST_DOWNTIME:,} ms.",
                field="max_downtime_ms",
            )
        if not (self.pause_limit_ms == 0 or self.max_downtime_ms <= self.pause_limit_ms <= MOST_DOWNTIME):
            raise InvalidInput(
                f"The pause cannot be raised from {self.max_downtime_ms} to {self.pause_limit_ms} ms",
                advice=f"Use {self.max_downtime_ms:,} to {MOST_DOWNTIME:,} ms, or 0 to keep it as it is.",
                field="pause_limit_ms",
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """One VE from one node to another."""

    ve: VE
    source: Node
    target: Node
    live: bool = True
    autostart: bool = False
    options: MigrationOptions = MigrationOptions()

    @property
    def uuid(self) -> str:
        return str(self.ve.uuid)

    @property
    def source_driver(self) -> HostDriver:
        return driver(self.source)

    @property
    def target_driver(self) -> HostDriver:
        return driver(self.target)


def plan(
    *, ve_id: int, source_id: int, target_id: int, live: bool = True, autostart: bool = False, **options: int | bool
) -> Plan:
    """Load what a task's parameters name. JobFailed when it was removed since the task was asked for."""
    ve = VE.objects.select_related("node").filter(pk=ve_id).first()
    nodes = Node.objects.in_bulk([source_id, target_id])
    if ve is None:
        raise JobFailed("The Virtual Environment was removed.", "Nothing is left to do.")
    if len(nodes) != 2:
        raise JobFailed(f"A node of this migration of {ve} was removed.", "Start a new migration.")
    return Plan(ve, nodes[source_id], nodes[target_id], live, autostart, MigrationOptions(**options))  # type: ignore[arg-type]
