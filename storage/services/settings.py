"""The cluster's settings: how much of the disks recovery takes, and from where on disks count as full."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from django.http import HttpRequest

from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from panel.ui.format import percent
from storage.drivers.facts import RECOVERY_OPTIONS, ClusterFacts, Ratios
from storage.models import Cluster
from storage.services.freshness import current_facts
from tasks.models import Task
from tasks.services import Target, enqueue

PERMISSION = "storage.manage"
RECOVERY, MARKS = "storage.settings.recovery", "storage.settings.marks"
HIGHEST_FULL = 97  # percent: beyond it a disk may have no room left to delete what is on it

Priority = Literal["low", "balanced", "high"]
WORDS: dict[str, tuple[str, str]] = {
    "low": ("Low", "One move at a time with pauses between. Reads and writes notice little; healing takes longest."),
    "balanced": ("Balanced", "Ceph's own values: data heals at a steady pace, and reads and writes go first."),
    "high": ("High", "Several moves at once without pauses. Heals soonest; reads and writes may be much slower."),
}
_OPTIONS: dict[str, dict[str, str]] = {
    "low": {
        "osd_max_backfills": "1",
        "osd_recovery_max_active": "1",
        "osd_recovery_op_priority": "1",
        "osd_recovery_sleep_hdd": "0.5",
        "osd_recovery_sleep_ssd": "0.1",
        "osd_recovery_sleep_hybrid": "0.25",
        "osd_mclock_profile": "high_client_ops",
    },
    "balanced": {},
    "high": {
        "osd_max_backfills": "4",
        "osd_recovery_max_active": "8",
        "osd_recovery_op_priority": "10",
        "osd_recovery_sleep_hdd": "0",
        "osd_recovery_sleep_ssd": "0",
        "osd_recovery_sleep_hybrid": "0",
        "osd_mclock_profile": "high_recovery_ops",
    },
}


@dataclass(frozen=True, slots=True)
class Marks:
    """Percent of a disk, as entered."""

    near_full: int
    backfill_full: int
    full: int

    @property
    def ratios(self) -> Ratios:
        return Ratios(self.near_full / 100, self.backfill_full / 100, self.full / 100)


def options_of(priority: Priority) -> dict[str, str | None]:
    """Every recovery option for a priority; None: Ceph's own value."""
    return {name: _OPTIONS[priority].get(name) for name in RECOVERY_OPTIONS}


def priority_of(recovery: Mapping[str, str] | None) -> str | None:
    """ "low", "balanced", "high"; "custom" when the values are those of none; None when they are not known."""
    if recovery is None:
        return None
    return next((priority for priority, options in _OPTIONS.items() if recovery == options), "custom")


def marks_of(ratios: Ratios) -> Marks:
    return Marks(round(100 * ratios.near_full), round(100 * ratios.backfill_full), round(100 * ratios.full))


def change_recovery(*, user: User | None, cluster: Cluster, priority: str, request: HttpRequest | None = None) -> Task:
    """Start giving recovery another priority. Raises PermissionDenied, InvalidInput, NotPossible, TaskConflict."""
    authorize(user=user, permission=PERMISSION, action=RECOVERY, obj=cluster, request=request)
    if priority not in _OPTIONS:
        raise InvalidInput("There is no such priority", advice="Choose Low, Balanced or High.", field="priority")
    current_facts(cluster)
    return _enqueue(RECOVERY, user, cluster, request, {"priority": priority}, {"Priority": WORDS[priority][0]})


def change_marks(*, user: User | None, cluster: Cluster, marks: Marks, request: HttpRequest | None = None) -> Task:
    """Start moving the marks from where on disks count as nearly full, too full to take more copies, and full.

    Raises PermissionDenied, InvalidInput, TaskConflict; NotPossible when data would be refused at once.
    """
    authorize(user=user, permission=PERMISSION, action=MARKS, obj=cluster, request=request)
    check_marks(current_facts(cluster), marks)
    words = f"{marks.near_full}%, {marks.backfill_full}%, {marks.full}%"
    params = {"near_full": marks.near_full, "backfill_full": marks.backfill_full, "full": marks.full}
    return _enqueue(MARKS, user, cluster, request, params, {"Near-full, backfill-full, full": words})


def check_marks(facts: ClusterFacts, marks: Marks) -> None:
    """InvalidInput for marks that are in no order; NotPossible for those that a disk has passed already."""
    if not 1 <= marks.near_full < marks.backfill_full:
        raise InvalidInput(
            f"Near-full at {marks.near_full}% must lie below backfill-full at {marks.backfill_full}%",
            advice="Enter rising percentages, such as 85, 90 and 95.",
            field="near_full",
        )
    if not marks.backfill_full < marks.full:
        raise InvalidInput(
            f"Backfill-full at {marks.backfill_full}% must lie below full at {marks.full}%",
            advice="Enter rising percentages, such as 85, 90 and 95.",
            field="backfill_full",
        )
    if marks.full > HIGHEST_FULL:
        raise InvalidInput(
            f"Full at {marks.full}% leaves a disk no room to delete anything",
            advice=f"Enter at most {HIGHEST_FULL}%.",
            field="full",
        )
    disk = max(facts.disks, key=lambda each: each.used / each.size if each.size else 0, default=None)
    if disk is None or not disk.size:
        return
    fill = 100 * disk.used / disk.size
    for mark, field, follows in (
        (marks.full, "full", "would refuse all writes at once"),
        (marks.backfill_full, "backfill_full", "would stop healing onto it"),
    ):
        if fill >= mark:
            raise NotPossible(
                f"CS{disk.id} is {percent(fill)} full: a mark of {mark}% {follows}",
                advice="Enter a higher mark, or free space first.",
                field=field,
            )


def _enqueue(
    kind: str,
    user: User | None,
    cluster: Cluster,
    request: HttpRequest | None,
    params: Mapping[str, object],
    facts: Mapping[str, object],
) -> Task:
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"cluster_id": cluster.pk, **params},
        title_args={"cluster": cluster.name},
        targets=[Target("cluster", cluster.pk, cluster.name)],
        place=cluster.name,
        permission_object=cluster,
        facts=facts,
    )
