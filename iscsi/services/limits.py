"""Limits of a target, kept with the images of its LUNs: what each may do, and where that is set."""

from collections.abc import Callable, Iterable, Sequence

from iscsi import equivalents
from iscsi.choices import Sharing, Stage
from iscsi.models import Lun, Target
from iscsi.services.images import Images

MB = 1_000_000
Tell = Callable[[list[str]], None]


def share(limit: int | None, sharing: str, luns: int) -> int:
    """What one of so many LUNs may do; 0 is no limit. Divided, each has at least 1: 0 would set it free. Pure."""
    if limit is None:
        return 0
    return max(1, limit // max(1, luns)) if sharing == Sharing.DIVIDED else limit


def of(target: Target, luns: int) -> tuple[int, int]:
    """Operations and bytes per second that each of so many LUNs may have; 0 is no limit."""
    iops = share(target.limit_iops, target.sharing, luns)
    return iops, share(None if target.limit_mbps is None else target.limit_mbps * MB, target.sharing, luns)


def apply(target: Target, images: Images, *, tell: Tell, adding: Lun | None = None) -> bool:
    """Set them for every LUN of a target; whether anything changed. They count at once, for open LUNs too.

    adding: a LUN that is about to be served and counts already. Raises DriverError.
    """
    luns = list(target.luns.filter(stage=Stage.READY).select_related("datastore__cluster"))
    luns += [adding] if adding is not None and adding not in luns else []
    iops, bps = of(target, len(luns))
    return _set(images, luns, iops, bps, tell)


def lift(luns: Sequence[Lun], images: Images, *, tell: Tell) -> bool:
    """Let LUNs that no target has do all they can; whether anything changed. Raises DriverError."""
    return _set(images, luns, 0, 0, tell)


def _set(images: Images, luns: Iterable[Lun], iops: int, bps: int, tell: Tell) -> bool:
    changed = False
    for lun in luns:
        if images.limit(lun, iops, bps):
            changed = True
            for argv in equivalents.limit(lun.datastore.pool, lun.image, iops, bps):
                tell(argv)
    return changed
