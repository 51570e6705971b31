"""The sessions of initiators with targets, as the targets' servers told them last; they have no table of their own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from django.db.models import Count, Func, IntegerField, Sum
from django.utils import timezone

from infrastructure.status import Status
from iscsi.models import Target
from iscsi.status import session_status


@dataclass(frozen=True, slots=True)
class Session:
    """An initiator at a target, under the name that it gives itself. `place`: among the sessions of the target."""

    initiator: str
    address: str
    target: Target
    place: int
    status: Status

    @property
    def address_order(self) -> tuple[int, int, str]:
        """Addresses as numbers; what is none comes last."""
        try:
            address = ip_address(self.address)
        except ValueError:
            return 9, 0, self.address
        return address.version, int(address), ""


def sessions_of(targets: Iterable[Target]) -> Iterator[Session]:
    """Each session of these targets, which come with their nodes; also those that are no longer known to be."""
    now = timezone.now()
    for target in targets:
        status = session_status(target, now)
        for place, told in enumerate(target.sessions):
            yield Session(str(told.get("initiator", "")), str(told.get("address", "")), target, place, status)


class _Length(Func):
    """How many elements a JSON list has."""

    function = "JSON_ARRAY_LENGTH"
    output_field = IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_ARRAY_LENGTH", **context)


def count_targets_and_sessions() -> tuple[int, int]:
    """How many targets there are, and how many sessions with them. One query."""
    found = Target.objects.aggregate(targets=Count("pk"), sessions=Sum(_Length("sessions"), default=0))
    return found["targets"], found["sessions"]
