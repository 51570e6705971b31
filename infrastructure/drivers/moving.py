"""What moving a VE asks of a node, as Protocols; see ``base`` for what all calls have in common."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from infrastructure.drivers.facts import CpuVerdict, MigrationProgress, VEKind

if TYPE_CHECKING:
    from infrastructure.drivers.base import Endpoint, Outcome


class Migrator(Protocol):
    def cpu_requirement(self, uuid: str) -> str:
        """On the source: domain XML whose <cpu> is what a target must offer; argument for ``check_cpu``."""

    def check_cpu(self, xml: str) -> CpuVerdict:
        """On the target: libvirt's own comparison of that XML's <cpu> with what this hypervisor can run."""

    def migrate(
        self,
        uuid: str,
        dest: "Endpoint",
        *,
        live: bool = True,
        unsafe: bool = False,
        bandwidth_mib: int = 0,
        max_downtime_ms: int = 0,
        auto_converge: bool = False,
        copy_disks: Collection[str] = (),
        on_progress: Callable[[MigrationProgress], None] | None = None,
    ) -> MigrationProgress:
        """Move a VM peer-to-peer over TLS; blocks until the engine is done and returns the last progress.

        ``copy_disks`` names the disks (vda …) whose content goes too, into images that are ready on the target.
        ``on_progress`` is called about every 250 ms; if it raises, the job is aborted and that exception is raised
        once the engine has stopped.  Should the engine finish before the abort reaches it, the call returns normally.
        The migration goes on in the engine when this call ends by Unreachable or TimedOut: use ``progress`` and the
        inventories of both nodes to learn its outcome.  Raises Conflict, Refused, NotSupported with the engine's cause.
        """

    def progress(self, uuid: str) -> MigrationProgress | None:
        """The running job's progress on its source, None when no job is active."""

    def last_job(self, uuid: str) -> MigrationProgress | None:
        """Figures of the last finished migration (asked on its target: total time, real downtime), None if unknown."""

    def max_downtime(self, uuid: str) -> int:
        """How long the guest may pause at the switch, milliseconds; asked on the source."""

    def set_max_downtime(self, uuid: str, milliseconds: int) -> None:
        """Change that, of a migration under way too."""

    def abort(self, uuid: str) -> bool:
        """Abort the running job; False when there is none."""

    def migrate_definition(self, uuid: str, dest: "Endpoint") -> None:
        """Define a stopped VM on the target too, by libvirt's offline migration; the source keeps its own."""

    def saved_state(self, uuid: str) -> tuple[str, ...]:
        """What the node keeps of a VM beside its disks and does not hand over offline, in words; () for nothing."""

    def definition(self, uuid: str) -> str:
        """The XML that defines the VE anew elsewhere.  It may hold secrets (a display's password): never store it."""

    def define(self, kind: VEKind, xml: str) -> None:
        """Define a VE by what ``definition`` returned on another node; one that is defined already is replaced."""

    def undefine(self, uuid: str) -> "Outcome":
        """Forget a stopped VE, with libvirt's records of it; its disks stay."""


class Transfer(Protocol):
    def pipe_to(
        self,
        argv: Collection[str],
        dest: "Endpoint",
        dest_argv: Collection[str],
        *,
        bytes_per_second: int = 0,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        """Feed what a command here writes to a command on another node, through the panel; returns the bytes moved.

        ``on_bytes(total)`` is called about every 250 ms; what it raises ends both commands and is raised.  DriverError
        when one of them fails, TimedOut after 25 s in which nothing moved; the target may then hold a part of it.
        """
