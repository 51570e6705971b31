"""Working on disks: another tier, release, removal of a failed one. What is refused, and the task that does it."""

from collections.abc import Iterable, Mapping

from django.http import HttpRequest

from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.preflight import Check
from panel.accounts.models import User
from panel.ui.format import space
from storage.drivers.facts import ClusterFacts, DiskFacts
from storage.models import Disk
from storage.services import chunk_service, disk_checks
from storage.services.freshness import current_facts
from storage.services.policies import require_tier
from tasks.models import Task, TaskLock
from tasks.services import Target, enqueue

PERMISSION = "storage.manage"
TIER, RELEASE = "storage.disk.tier", "storage.disk.release"


def change_tier(*, user: User | None, disk: Disk, tier: int, request: HttpRequest | None = None) -> Task:
    """Start moving a disk to another tier, online. An equal request gets the running task.

    Raises PermissionDenied, InvalidInput, TaskConflict; NotPossible with the figures when a check does not pass.
    """
    authorize(user=user, permission=PERMISSION, action=TIER, obj=disk, request=request)
    require_tier(tier)
    if not is_held(disk):
        if disk.tier == tier:
            raise InvalidInput(f"{disk} is in tier {tier} already", advice="Choose another tier.", field="tier")
        disk_checks.require(tier_checks(current_facts(disk.cluster), disk))
    shown = f"{disk_checks.class_words(disk.device_class)} → tier {tier}"
    return _enqueue(
        TIER, user, disk, request, {"tier": tier}, {"tier": f"tier {tier}"}, {"Tier": shown, "Data": space(disk.used)}
    )


def release(*, user: User | None, disk: Disk, request: HttpRequest | None = None) -> Task:
    """Start releasing a disk: its data moves elsewhere, then nothing of it is left in the cluster nor on its node.

    One that does not run is removed when nothing is missing without it. Raises as `change_tier` does.
    """
    authorize(user=user, permission=PERMISSION, action=RELEASE, obj=disk, request=request)
    if not is_held(disk):
        disk_checks.require(release_checks(current_facts(disk.cluster), disk))
    doing = "Releasing" if disk.up or disk.starting else "Removing failed disk"
    shown = {"Tier": disk_checks.class_words(disk.device_class), "Data": space(disk.used)}
    return _enqueue(RELEASE, user, disk, request, {"host": disk.host}, {"doing": doing}, shown)


def tier_checks(facts: ClusterFacts, disk: Disk) -> list[Check]:
    """The checks of a change of tier. Raises NotPossible when the disk left the cluster."""
    return disk_checks.tier_checks(facts, find(facts, disk.number, uuid_of(disk)))


def release_checks(facts: ClusterFacts, disk: Disk) -> list[Check]:
    """The checks of a release, with who runs the disk. Raises NotPossible when the disk left the cluster."""
    found = find(facts, disk.number, uuid_of(disk))
    return [*disk_checks.release_checks(facts, found), chunk_service.node_check(found)]


def find(facts: ClusterFacts, number: int, uuid: str) -> DiskFacts:
    """The very disk. NotPossible when it is gone."""
    disk = seek(facts, number, uuid)
    if disk is None:
        raise NotPossible(f"CS{number} is no longer in the cluster", advice="Nothing is left to do.")
    return disk


def seek(facts: ClusterFacts, number: int, uuid: str) -> DiskFacts | None:
    """The disk of this number and UUID, if it is there: a number is given out again after a disk was removed."""
    return next((disk for disk in facts.disks if disk.id == number and uuid in ("", disk.uuid)), None)


def uuid_of(disk: Disk) -> str:
    return str(disk.uuid) if disk.uuid else ""


def is_held(disk: Disk) -> bool:
    """Whether a task works on the disk: then that one decides what an equal or another request gets."""
    return TaskLock.objects.filter(key=f"disk:{disk.pk}").exists()


def blocking(checks: Iterable[Check]) -> str:
    """Why it cannot be started now: the first check that did not pass; "" when all did."""
    return next((check.text for check in checks if check.state in ("failed", "unknown")), "")


def _enqueue(
    kind: str,
    user: User | None,
    disk: Disk,
    request: HttpRequest | None,
    params: Mapping[str, object],
    words: Mapping[str, object],
    facts: Mapping[str, object],
) -> Task:
    known = {"cluster_id": disk.cluster_id, "disk_id": disk.pk, "number": disk.number, "uuid": uuid_of(disk)}
    return enqueue(
        kind,
        user=user,
        request=request,
        params={**known, **params},
        title_args={"disk": str(disk), **words},
        targets=[Target("disk", disk.pk, str(disk))],
        place=disk.host,
        permission_object=disk,
        facts=facts,
    )
