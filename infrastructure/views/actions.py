"""What can be done with a node or VE: each action with its address, and why it cannot run when it cannot."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from django.urls import reverse

from infrastructure.choices import NodeState, VEState
from infrastructure.models import VE, Node
from infrastructure.status import Status, ve_status
from panel.accounts.models import User
from panel.accounts.permissions import can
from tasks.models import Task, TaskLock

How = Literal["post", "dialog", "link"]
NO_ROLE = "Your role does not allow this"


@dataclass(frozen=True, slots=True)
class Action:
    """A button or menu item. A `reason` disables it and is shown; `how` is what its address expects."""

    key: str
    label: str
    icon: str
    url: str
    how: How = "post"
    reason: str = ""
    danger: bool = False

    @property
    def enabled(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class Subject:
    """A VE with what decides about its actions."""

    ve: VE
    status: Status
    busy: Task | None


@dataclass(frozen=True, slots=True)
class _Spec:
    """An action of VEs as declared: when it fits, and what it says when it does not."""

    key: str
    label: str
    icon: str
    permission: str
    unfit: Callable[[Subject], str]
    how: How = "post"
    danger: bool = False
    waits: bool = True  # for the end of another task on the same VE
    asks_node: bool = True  # can only run where a node answers for the VE


def _unless(*states: str) -> Callable[[Subject], str]:
    """Fits only in these states."""

    def unfit(subject: Subject) -> str:
        if subject.status.state in states:
            return ""
        return f"{subject.ve} is {subject.status.word[:1].lower()}{subject.status.word[1:]}"

    return unfit


def _migrate(subject: Subject) -> str:
    if not subject.ve.is_vm:
        return "libvirt cannot migrate containers"
    return _unless("running", "paused")(subject)


def _console(subject: Subject) -> str:
    if not subject.ve.is_vm:
        return "Containers have no screen"
    if subject.status.state in ("running", "paused", "migrating", "stopping") and not subject.ve.graphics:
        return f"{subject.ve} has no display: none is configured"
    return _unless("running", "paused", "migrating", "stopping")(subject)


_SPECS: dict[str, _Spec] = {
    spec.key: spec
    for spec in (
        _Spec("start", "Start", "player-play", "ve.operate", _unless("stopped", "crashed")),
        _Spec("stop", "Shut down", "player-stop", "ve.operate", _unless("running")),
        _Spec("stop_or_force", "Shut down, then force off…", "clock-stop", "ve.operate", _unless("running"), "dialog"),
        _Spec(
            "force_off",
            "Force off…",
            "power",
            "ve.operate",
            _unless("running", "paused", "stopping", "crashed"),
            "dialog",
            True,
        ),
        _Spec("restart", "Restart", "refresh", "ve.operate", _unless("running")),
        _Spec("pause", "Pause", "player-pause", "ve.operate", _unless("running")),
        _Spec("resume", "Resume", "player-track-next", "ve.operate", _unless("paused")),
        _Spec("console", "Console", "terminal-2", "ve.console", _console, "link", waits=False),
        _Spec("migrate", "Migrate", "arrows-exchange", "ve.migrate", _migrate, "dialog"),
        _Spec("forget", "Forget", "trash", "ve.operate", _unless("missing"), asks_node=False),
    )
}

# Routes that are not named after their action; ve_stop shows its dialog to GET.
_ROUTES = {"stop_or_force": "ve_stop", "console": "console"}


def holder_of(ve: VE) -> Task | None:
    """The task that holds the VE, if any."""
    lock = TaskLock.objects.filter(key=f"ve:{ve.pk}").select_related("task").first()
    return lock.task if lock else None


def ve_actions(user: User, ve: VE, keys: Iterable[str] = tuple(_SPECS)) -> dict[str, Action]:
    """The VE's actions by key, as this user may use them now."""
    subject = Subject(ve, ve_status(ve, ve.node), holder_of(ve))
    return {key: _ve_action(user, subject, _SPECS[key]) for key in keys}


def _ve_action(user: User, subject: Subject, spec: _Spec) -> Action:
    ve = subject.ve
    if not can(user, spec.permission, ve):
        reason = NO_ROLE
    elif spec.waits and subject.busy is not None:
        reason = f"Task {subject.busy.pk} is running: {subject.busy.title}"
    elif spec.asks_node and not subject.status.current:
        reason = f"{ve.node} does not answer" if ve.node else f"No node has {ve}"
    else:
        reason = spec.unfit(subject)
    url = reverse(f"infrastructure:{_ROUTES.get(spec.key, f've_{spec.key}')}", args=[ve.pk])
    return Action(spec.key, spec.label, spec.icon, url, spec.how, reason, spec.danger)


def node_actions(user: User, node: Node) -> dict[str, Action]:
    """The node's actions by key."""

    def url(name: str) -> str:
        return reverse(f"infrastructure:node_{name}", args=[node.pk])

    manage = "" if can(user, "node.manage", node) else NO_ROLE
    operate = "" if can(user, "node.operate", node) else NO_ROLE
    leave = node.maintenance
    maintenance = Action(
        "maintenance",
        "Leave maintenance…" if leave else "Enter maintenance…",
        "tool",
        url("maintenance"),
        "dialog",
        operate or ("" if leave or node.state != NodeState.NEW else f"{node} is not set up yet"),
    )
    return {
        action.key: action
        for action in (
            maintenance,
            Action("location", "Location…", "map-pin", url("location"), "dialog", manage),
            Action("onboard", "Set up again", "settings-automation", url("onboard"), "post", manage),
            Action("remove", "Remove node…", "trash", url("remove"), "dialog", manage, danger=True),
        )
    }


def migrates(ve: VE) -> bool:
    return ve.state == VEState.MIGRATING or ve.migrating_to_id is not None
