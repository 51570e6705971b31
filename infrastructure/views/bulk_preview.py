"""What a bulk action would do to each of its objects, from the database at once: the dialog's lines and its words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from infrastructure.models import VE, Node
from infrastructure.querysets import RUNNING_STATES
from infrastructure.services import migration
from infrastructure.services.bulk import MOST_OBJECTS, BulkAction
from infrastructure.services.bulk_nodes import maintenance_reason
from infrastructure.services.bulk_placement import Place, Room, place
from infrastructure.status import KIND_ICON, NODE_ICON, Status, node_status, ve_status
from infrastructure.views.actions import NO_ROLE, unfit_ves
from infrastructure.views.bulk_selection import Selection
from panel.accounts.models import User
from panel.accounts.permissions import can
from panel.accounts.scopes import visible
from panel.ui.format import count

SHOWN_LINES = 100  # of each kind; all are acted on


@dataclass(frozen=True, slots=True)
class Line:
    """An object in the dialog. A `reason` leaves it out; `where` is what becomes of it, `warning` what to mind."""

    object: Any
    icon: str
    status: Status
    where: str = ""
    reason: str = ""
    warning: str = ""
    target: Node | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """The lines of those that can and of those that cannot."""

    action: BulkAction
    able: list[Line]
    unable: list[Line]
    beyond: int = 0

    @property
    def shown(self) -> list[Line]:
        return [*self.unable[:SHOWN_LINES], *self.able[:SHOWN_LINES]]

    @property
    def hidden(self) -> int:
        return len(self.able) + len(self.unable) - len(self.shown)

    @property
    def noun(self) -> tuple[str, str]:
        return ("node", "nodes") if self.action.type == "node" else ("VE", "VEs")

    @property
    def able_words(self) -> str:
        return count(len(self.able), *self.noun)

    @property
    def title(self) -> str:
        """The verb with its object: "Stop 5 VEs"."""
        middle = " " if self.action.type == "ve" else " of " if self.action.key == "location" else " with "
        return f"{self.action.label}{middle}{self.able_words}"

    @property
    def running(self) -> int:
        return sum(_runs(line.object) for line in self.able)

    @property
    def ids(self) -> str:
        """All of them, for the form."""
        return ",".join(str(line.object.pk) for line in [*self.able, *self.unable])

    @property
    def left_out(self) -> str:
        return ",".join(str(line.object.pk) for line in self.unable)

    @property
    def places(self) -> str:
        """Who goes where, as shown: "7:2,8:3"."""
        return ",".join(f"{line.object.pk}:{line.target.pk}" for line in self.able if line.target is not None)

    @property
    def consequence(self) -> str:
        """The footer's words: what would happen, and to how many it would not."""
        words = _effect(self)
        if self.unable and self.able:
            words += f" {len(self.unable)} cannot, and {'is' if len(self.unable) == 1 else 'are'} left out."
        if self.beyond:
            words += f" {self.beyond:,} more were found; one action takes at most {MOST_OBJECTS:,}."
        return words


def of_ves(
    user: User,
    action: BulkAction,
    selection: Selection,
    *,
    target_id: int | None = None,
    given: Mapping[int, int] | None = None,
    may_stop: bool = False,
) -> Preview:
    """The preview over VEs; the rest is of migrations: see `bulk_placement.place`."""
    ves: list[VE] = selection.objects
    reasons = unfit_ves(user, ves, [action.key])[action.key]
    now = timezone.now()
    places: dict[int, Place] = {}
    if action.key == "migrate":
        reasons = {ve.pk: reasons[ve.pk] or _needs_stop(ve, may_stop) for ve in ves}
        free = [ve for ve in ves if not reasons[ve.pk]]
        room = Room(visible(user, action.permission, Node.objects.prefetch_related("networks")))
        places = {each.ve.pk: each for each in place(free, target_id=target_id, given=given, room=room)}

    def line(ve: VE) -> Line:
        found = places.get(ve.pk)
        status = ve_status(ve, ve.node, now)
        reason = reasons[ve.pk] or (found.reason if found else "")
        return Line(
            ve,
            KIND_ICON[ve.kind],
            status,
            where=_move_words(ve, found.target) if found and found.target else "",
            reason=reason,
            warning=found.warning if found else "",
            target=found.target if found else None,
        )

    return _split(action, [line(ve) for ve in ves], selection.beyond)


def of_nodes(user: User, action: BulkAction, selection: Selection) -> Preview:
    """The preview over nodes, which come with their counts of VEs."""
    nodes: list[Node] = selection.objects
    unfit: Callable[[Node], str] = lambda node: ""  # noqa: E731
    if action.key in ("enter_maintenance", "leave_maintenance"):
        unfit = lambda node: maintenance_reason(node, enabled=action.key == "enter_maintenance")  # noqa: E731
    now = timezone.now()

    def line(node: Any) -> Line:
        reason = unfit(node) if can(user, action.permission, node) else NO_ROLE
        return Line(node, NODE_ICON, node_status(node, now), f"{node.running_count} of {node.ve_count} VEs run", reason)

    return _split(action, [line(node) for node in nodes], selection.beyond)


def selection_effect(selection: Selection) -> str:
    """What the bulk bar says: the running VEs that would feel it."""
    if selection.type == "node":
        running = sum(node.running_count for node in selection.objects)
        return f"{count(running, 'running VE')} on {'it' if len(selection.objects) == 1 else 'them'} would keep running"
    running = sum(_runs(ve) for ve in selection.objects)
    return f"{count(running, 'running VE')} would be moved or stopped" if running else "None of them runs"


def _split(action: BulkAction, lines: Sequence[Line], beyond: int) -> Preview:
    return Preview(action, [line for line in lines if not line.reason], [line for line in lines if line.reason], beyond)


def _runs(found: Any) -> bool:
    return isinstance(found, VE) and found.state in RUNNING_STATES


def _needs_stop(ve: VE, may_stop: bool) -> str:
    """A VE that runs and cannot move live needs consent to its stop."""
    if migration.moves_live(ve) or ve.state not in RUNNING_STATES or may_stop:
        return ""
    return f"{ve} cannot move while it runs"


def _move_words(ve: VE, target: Node) -> str:
    how = "" if migration.moves_live(ve) else ", stopped for the move" if _runs(ve) else ", stopped"
    return f"{ve.node} → {target}{how}"


def _effect(preview: Preview) -> str:
    action = preview.action
    if not preview.able:
        return f"None of the {preview.noun[1]} can do this now."
    if action.key == "enter_maintenance":
        running = sum(line.object.running_count for line in preview.able)
        return f"No VE is moved to {preview.able_words} any more; {count(running, 'running VE')} on them keep running."
    if action.key == "leave_maintenance":
        return f"{preview.able_words} can be targets of migrations again."
    if action.key == "location":
        return f"{preview.able_words} get this location."
    who = preview.able_words
    if action.key in ("stop", "force_off", "restart", "pause", "migrate") and preview.running:
        who = count(preview.running, "running VE")
        rest = len(preview.able) - preview.running
        who += f" and {rest} other{'s' if rest > 1 else ''}" if rest else ""
    lost = " What the guests have not written is lost." if action.danger else ""
    return f"{who} would be {action.done}.{lost}"
