"""How long a VE will not run while it moves offline: from its size, and from what earlier moves took."""

from dataclasses import dataclass
from statistics import median

from django.db.models import QuerySet

from infrastructure.choices import Kind, VEState
from infrastructure.models import VE
from infrastructure.services.figures import MIB
from infrastructure.services.migration.request import OFFLINE
from tasks.choices import State
from tasks.models import Task

LOOKED_AT = 5  # earlier moves
ASSUMED_RATE_MIB = 40.0  # through the panel over SSH
# To shut down, be defined and started again, where no earlier move of the VE tells.
ASSUMED_SECONDS = {Kind.VM: 30.0, Kind.CT: 5.0}


@dataclass(frozen=True, slots=True)
class Pause:
    """`seconds` without the VE; measured: from earlier moves, else assumed. runs: else it is stopped anyway."""

    seconds: float
    measured: bool
    runs: bool = True


def expected_pause(ve: VE, copy_bytes: int = 0, bandwidth_mib: int = 0) -> Pause:
    """What an offline move of this VE will cost, with so many bytes of disks to copy."""
    ended = Task.objects.filter(kind=OFFLINE, state__in=(State.COMPLETED, State.WARNING)).order_by("-pk")
    own = _figures(ended.filter(object_type="ve", object_id=ve.pk), "restart_ms")
    restart = median(own) / 1000 if own else ASSUMED_SECONDS[Kind(ve.kind)]
    rates = _figures(ended.exclude(figures__disk_total_mib=None), "rate_mib") if copy_bytes else []
    rate = median(rates) if rates else ASSUMED_RATE_MIB
    if bandwidth_mib:
        rate = min(rate, float(bandwidth_mib))
    seconds = restart + copy_bytes / MIB / rate
    return Pause(seconds, bool(own) and (bool(rates) or not copy_bytes), ve.state != VEState.STOPPED)


def _figures(tasks: QuerySet[Task], name: str) -> list[float]:
    """This figure of the last few of these tasks, where they have it."""
    found = tasks.values_list("figures", flat=True)[:LOOKED_AT]
    return [float(figures[name]) for figures in found if isinstance(figures.get(name), int | float) and figures[name]]
