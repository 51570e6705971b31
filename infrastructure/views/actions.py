"""What can be done with a node or VE: each action with its address, and why it cannot run when it cannot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from django.urls import reverse
from django.utils import timezone

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
    return _unless("running", "paused", "stopped")(subject)


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
        _Spec(
            "console",
            "Console",
            "terminal-2",
            "ve.console",
            _unless("running", "paused", "migrating", "stopping"),
            "link",
            waits=False,
        ),
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


def unfit_ves(user: User, ves: Sequence[VE], keys: Iterable[str]) -> dict[str, dict[int, str]]:
    """Why actions cannot run on the VEs of a selection now: action → VE id → reason, empty where it can. One query."""
    now = timezone.now()
    locks = TaskLock.objects.filter(key__in=[f"ve:{ve.pk}" for ve in ves]).select_related("task")
    held = {lock.key: lock.task for lock in locks}
    subjects = [Subject(ve, ve_status(ve, ve.node, now), held.get(f"ve:{ve.pk}")) for ve in ves]
    return {key: {subject.ve.pk: _reason(user, subject, _SPECS[key]) for subject in subjects} for key in keys}


def _reason(user: User, subject: Subject, spec: _Spec) -> str:
    """Why the action cannot run now; empty when it can."""
    ve = subject.ve
    if not can(user, spec.permission, ve):
        return NO_ROLE
    if spec.waits and subject.busy is not None:
        return f"Task {subject.busy.pk} is running: {subject.busy.title}"
    if spec.asks_node and not subject.status.current:
        return f"{ve.node} does not answer" if ve.node else f"No node has {ve}"
    return spec.unfit(subject)


def _ve_action(user: User, subject: Subject, spec: _Spec) -> Action:
    ve = subject.ve
    reason = _reason(user, subject, spec)
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
    holder = TaskLock.objects.filter(key=f"node:{node.pk}").order_by("task_id").values_list("task", "task__title")[:1]
    busy = "".join(f"Task {pk} is running: {title}" for pk, title in holder)
    unready = "" if node.onboarded_at else f"{node} is not set up yet"
    return {
        action.key: action
        for action in (
            maintenance,
            Action("services", "Restart services…", "refresh", url("services"), "dialog", operate or unready or busy),
            Action(
                "certificates",
                "Re-issue certificates…",
                "certificate",
                url("certificates"),
                "dialog",
                manage or unready or busy,
            ),
            Action("location", "Location…", "map-pin", url("location"), "dialog", manage),
            Action("onboard", "Set up again", "settings-automation", url("onboard"), "post", manage),
            Action("remove", "Remove node…", "trash", url("remove"), "dialog", manage, danger=True),
        )
    }


def migrates(ve: VE) -> bool:
    return ve.state == VEState.MIGRATING or ve.migrating_to_id is not None
