"""Doing one thing to many Virtual Environments: one parent task, a child for each VE, at most so many at once."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from infrastructure.models import VE, Node
from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput
from infrastructure.services.migration import MigrationOptions, authorize_targets
from infrastructure.services.power import LONGEST_WAIT
from panel.accounts.models import User
from panel.accounts.permissions import can
from panel.ui.format import count
from tasks.lanes import take_gate
from tasks.models import Task
from tasks.services import Target, enqueue

MOST_OBJECTS = 2000  # of one action
MOST_AT_ONCE = 50
SAME_FORM = timedelta(hours=1)  # how long a dialog that is sent a second time is recognised
POWER, MIGRATE = "ve.bulk_power", "ve.bulk_migrate"


@dataclass(frozen=True, slots=True)
class BulkAction:
    """What can be done with several objects of a type ("ve" or "node") at once.

    doing: the gerund of the task's title. done: completes "5 VEs would be …".
    """

    key: str
    type: str
    label: str
    icon: str
    doing: str = ""
    done: str = ""
    permission: str = "ve.operate"
    at_once: int = 10
    danger: bool = False


ACTIONS: dict[str, BulkAction] = {
    action.key: action
    for action in (
        BulkAction("start", "ve", "Start", "player-play", "Starting", "started"),
        BulkAction("stop", "ve", "Stop", "player-stop", "Stopping", "shut down"),
        BulkAction("force_off", "ve", "Force off", "power", "Forcing off", "forced off", danger=True),
        BulkAction("restart", "ve", "Restart", "refresh", "Restarting", "restarted"),
        BulkAction("pause", "ve", "Pause", "player-pause", "Pausing", "paused"),
        BulkAction("resume", "ve", "Resume", "player-track-next", "Resuming", "resumed"),
        BulkAction("migrate", "ve", "Migrate", "arrows-exchange", "Migrating", "moved", "ve.migrate", 2),
        BulkAction("enter_maintenance", "node", "Enter maintenance", "tool", permission="node.operate"),
        BulkAction("leave_maintenance", "node", "Leave maintenance", "tool", permission="node.operate"),
        BulkAction("location", "node", "Location", "map-pin", permission="node.manage"),
    )
}


@dataclass(frozen=True, slots=True)
class Move:
    """One VE of a bulk migration, and where it goes."""

    ve: VE
    target: Node
    live: bool = True


def start_power(
    *,
    user: User,
    action: str,
    ves: Sequence[VE],
    at_most: int,
    force_after: int | None = None,
    form: str = "",
    request: HttpRequest | None = None,
) -> Task:
    """Start, stop, force off, restart, pause or resume many VEs; force_after as in `power.stop`, in seconds.

    form: what the dialog was given when it was made; sent twice it starts one task. Raises PermissionDenied when the
    right is lacking for any of the VEs (each is audited), InvalidInput.
    """
    if force_after is not None and not 0 < force_after <= LONGEST_WAIT:
        raise InvalidInput(f"Wait 1 to {LONGEST_WAIT // 60} min before forcing off", field="force_after")
    params = {"action": action, "ve_ids": [ve.pk for ve in ves], "force_after": force_after}
    return _start(POWER, ACTIONS[action], user, ves, at_most, params, form, request)


def start_migrations(
    *,
    user: User,
    moves: Sequence[Move],
    at_most: int,
    options: MigrationOptions | None = None,
    form: str = "",
    request: HttpRequest | None = None,
) -> Task:
    """Move many VEs, each to its target, with the same options. Raises as `start_power`."""
    options = options or MigrationOptions()
    options.validate()
    params = {
        "moves": [{"ve_id": move.ve.pk, "target_id": move.target.pk, "live": move.live} for move in moves],
        "options": asdict(options),
    }
    ves, targets = [move.ve for move in moves], {move.target for move in moves}
    authorize_targets(user=user, targets=targets, action="bulk.migrate", request=request)
    return _start(MIGRATE, ACTIONS["migrate"], user, ves, at_most, params, form, request, targets)


def _start(
    kind: str,
    action: BulkAction,
    user: User,
    ves: Sequence[VE],
    at_most: int,
    params: dict[str, Any],
    form: str,
    request: HttpRequest | None,
    targets: set[Node] | None = None,
) -> Task:
    _check_size(ves, at_most)
    authorize_all(user=user, action=action, objects=ves, request=request)
    form = form or str(uuid.uuid4())
    what = count(len(ves), "VE")
    nodes = {ve.node for ve in ves if ve.node is not None} | (targets or set())
    with transaction.atomic():
        take_gate()  # from here on an identical request waits, and then finds this one's task
        known = _sent_before(kind, user, form)
        if known is not None:
            return known
        return enqueue(
            kind,
            user=user,
            request=request,
            params={**params, "at_most": at_most, "form": form},
            title_args={"doing": action.doing, "what": what},
            targets=_targets(user, action, ves, nodes, what),
            place=", ".join(sorted(node.name for node in nodes)) if len(nodes) < 4 else count(len(nodes), "node"),
            # A right over some nodes only is none over the whole system: it was asked for each VE above.
            permission_object=None if can(user, action.permission) else ves[0],
        )


def _check_size(ves: Sequence[VE], at_most: int) -> None:
    if not ves:
        raise InvalidInput("No VE is left to do this with", advice="Select others.")
    if len(ves) > MOST_OBJECTS:
        raise InvalidInput(f"{len(ves):,} VEs are too many for one action", advice=f"Select at most {MOST_OBJECTS:,}.")
    if not 1 <= at_most <= MOST_AT_ONCE:
        raise InvalidInput(f"{at_most} at once is out of range", advice=f"Use 1 to {MOST_AT_ONCE}.", field="at_most")


def authorize_all(
    *, user: User, action: BulkAction, objects: "Sequence[VE] | Sequence[Node]", request: HttpRequest | None
) -> None:
    """Raise PermissionDenied unless the user holds the right over each; every lacking one is audited."""
    refusal: PermissionDenied | None = None
    for each in objects:
        try:
            authorize(user=user, permission=action.permission, action=f"bulk.{action.key}", obj=each, request=request)
        except PermissionDenied as denied:
            refusal = denied
    if refusal is not None:
        raise refusal


def _sent_before(kind: str, user: User, form: str) -> Task | None:
    """The task that this very dialog started."""
    recent = Task.objects.filter(kind=kind, initiator=user, created_at__gte=timezone.now() - SAME_FORM)
    found = recent.filter(params__form=form).first()
    if found is not None:
        found.already_running = True
    return found


def _targets(user: User, action: BulkAction, ves: Sequence[VE], nodes: set[Node], what: str) -> list[Target]:
    """What the parent is about: the selection and the nodes; single VEs only where the right comes from them alone."""
    alone = [ve for ve in ves if not (ve.node is not None and can(user, action.permission, ve.node))]
    alone = [] if can(user, action.permission) else alone
    return [
        Target("selection", 0, what),
        *(Target("node", node.pk, node.name) for node in sorted(nodes, key=lambda node: node.name)),
        *(Target("ve", ve.pk, ve.name) for ve in alone),
    ]
