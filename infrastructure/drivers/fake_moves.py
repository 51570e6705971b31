"""The part of the fake node that moves VEs among the nodes of a FakeCluster."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from infrastructure.drivers.base import Endpoint, Outcome
from infrastructure.drivers.errors import Aborted, DomainXmlError, NotSupported, Unreachable
from infrastructure.drivers.facts import CpuVerdict, MigrationProgress, VEFacts, VEKind, VEState

if TYPE_CHECKING:
    from infrastructure.drivers.fake import FakeCluster

STEPS = 4


class FakeMoves:
    """The Migrator and Transfer protocols; FakeNode has the rest."""

    _cluster: "FakeCluster"
    _endpoint: Endpoint
    ves_by_uuid: dict[str, VEFacts]
    jobs: dict[str, MigrationProgress]
    finished: dict[str, MigrationProgress]
    commands: list[tuple[str, ...]]
    downtimes: dict[str, list[int]]

    def _enter(self, method: str) -> None:
        raise NotImplementedError

    def _find(self, method: str, uuid: str) -> VEFacts:
        raise NotImplementedError

    def _require(self, ve: VEFacts, *states: VEState) -> None:
        raise NotImplementedError

    def emit(self, ve: VEFacts, detail: str, reason: str = "", kind: str = "lifecycle") -> None:
        raise NotImplementedError

    def xml(self, uuid: str, *, inactive: bool = False) -> str:
        raise NotImplementedError

    def cpu_requirement(self, uuid: str) -> str:
        self._find("cpu_requirement", uuid)
        return self.xml(uuid)

    def check_cpu(self, xml: str) -> CpuVerdict:
        self._enter("check_cpu")
        return CpuVerdict(compatible=True)

    def migrate(
        self,
        uuid: str,
        dest: Endpoint,
        *,
        live: bool = True,
        unsafe: bool = False,
        bandwidth_mib: int = 0,
        max_downtime_ms: int = 0,
        auto_converge: bool = False,
        copy_disks: Collection[str] = (),
        on_progress: Callable[[MigrationProgress], None] | None = None,
    ) -> MigrationProgress:
        ve = self._find("migrate", uuid)
        if ve.kind is VEKind.CT:
            raise NotSupported("libvirt cannot migrate a container", code="ct-migration")
        target = self._cluster.nodes.get(dest.address)
        if target is None:
            raise Unreachable(f"{self._endpoint.name} cannot reach {dest.name}", code="peer-unreachable")
        try:
            for step in range(STEPS):
                self.jobs[uuid] = MigrationProgress(percent=100.0 * step / STEPS, iteration=1)
                if on_progress is not None:
                    on_progress(self.jobs[uuid])
                if uuid not in self.jobs:
                    raise Aborted(f"The migration of {ve.name} was aborted", code="VIR_ERR_OPERATION_ABORTED")
        finally:
            self.jobs.pop(uuid, None)
        del self.ves_by_uuid[uuid]
        moved = target.ves_by_uuid[uuid] = replace(ve, reason="migrated")
        self.emit(ve, "stopped", "migrated")
        target.emit(moved, "resumed", "migrated")
        result = target.finished[uuid] = MigrationProgress(percent=100.0, iteration=1)
        return result

    def progress(self, uuid: str) -> MigrationProgress | None:
        self._enter("progress")
        return self.jobs.get(uuid)

    def last_job(self, uuid: str) -> MigrationProgress | None:
        self._find("last_job", uuid)
        return self.finished.get(uuid)

    def abort(self, uuid: str) -> bool:
        self._enter("abort")
        return self.jobs.pop(uuid, None) is not None

    def max_downtime(self, uuid: str) -> int:
        self._find("max_downtime", uuid)
        return self.downtimes.get(uuid, [300])[-1]

    def set_max_downtime(self, uuid: str, milliseconds: int) -> None:
        self._find("set_max_downtime", uuid)
        self.downtimes.setdefault(uuid, []).append(milliseconds)

    def migrate_definition(self, uuid: str, dest: Endpoint) -> None:
        ve = self._find("migrate_definition", uuid)
        self._require(ve, VEState.STOPPED)
        if ve.kind is VEKind.CT:
            raise NotSupported("libvirt cannot migrate a container", code="ct-migration")
        target = self._cluster.nodes.get(dest.address)
        if target is None:
            raise Unreachable(f"{self._endpoint.name} cannot reach {dest.name}", code="peer-unreachable")
        target.ves_by_uuid[uuid] = replace(ve, autostart=False)

    def saved_state(self, uuid: str) -> tuple[str, ...]:
        self._find("saved_state", uuid)
        return ()

    def definition(self, uuid: str) -> str:
        self._find("definition", uuid)
        return uuid

    def define(self, kind: VEKind, xml: str) -> None:
        """``xml`` is what ``definition`` of another node of the cluster returned."""
        self._enter("define")
        found = (node.ves_by_uuid[xml] for node in self._cluster.nodes.values() if xml in node.ves_by_uuid)
        ve = next(found, None)
        if ve is None or ve.kind is not kind:
            raise DomainXmlError("The domain XML cannot be read", code="xml-syntax")
        self.ves_by_uuid[xml] = replace(ve, state=VEState.STOPPED, reason="", autostart=False, domain_id=None)

    def undefine(self, uuid: str) -> Outcome:
        self._enter("undefine")
        if uuid not in self.ves_by_uuid:
            return Outcome.ALREADY
        self._require(self.ves_by_uuid[uuid], VEState.STOPPED)
        del self.ves_by_uuid[uuid]
        return Outcome.DONE

    def pipe_to(
        self,
        argv: Collection[str],
        dest: Endpoint,
        dest_argv: Collection[str],
        *,
        bytes_per_second: int = 0,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        self._enter("pipe_to")
        self.commands.append(tuple(argv))
        self._cluster.nodes[dest.address].commands.append(tuple(dest_argv))
        for step in range(STEPS):
            if on_bytes is not None:
                on_bytes(step << 20)
        return STEPS << 20
