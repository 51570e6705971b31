"""Starting, stopping, restarting and pausing Virtual Environments. Each starts a task and returns it.

All raise PermissionDenied, TaskConflict when another task holds the VE, and NotPossible when no node has the VE.
"""

from django.http import HttpRequest

from infrastructure.models import VE
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from tasks.models import Task
from tasks.services import Child, Target, enqueue

STOP_SECONDS = 60  # how long a guest may take to shut down by itself
LONGEST_WAIT = 3600


def start(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    return _enqueue("start", user, ve, request)


def stop(*, user: User | None, ve: VE, force_after: int | None = None, request: HttpRequest | None = None) -> Task:
    """Ask the guest to shut down; when it still runs after `force_after` seconds, force it off. None never forces."""
    return _enqueue("stop", user, ve, request, force_after)


def force_off(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    """Cut the VE's power: the guest loses what it has not written."""
    return _enqueue("force_off", user, ve, request)


def restart(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    """Ask the guest to restart by itself."""
    return _enqueue("restart", user, ve, request)


def pause(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    return _enqueue("pause", user, ve, request)


def resume(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    return _enqueue("resume", user, ve, request)


def as_child(*, action: str, ve: VE, force_after: int | None = None) -> Child:
    """One of the above, by its name, as the parts of a task: for `enqueue`, or for the children of a bulk action.

    Raises InvalidInput and NotPossible. Rights are not asked here: `enqueue` and `start_children` do.
    """
    if force_after is not None and (action != "stop" or not 0 < force_after <= LONGEST_WAIT):
        raise InvalidInput(f"Wait 1 to {LONGEST_WAIT} s before forcing off", field="force_after")
    if ve.node is None:
        raise NotPossible(f"No node has {ve}", advice="It reappears here when a node shows it again.")
    options = {"force_after": force_after} if action == "stop" else {}
    return Child(
        kind=f"ve.{action}",
        params={"ve_id": ve.pk, **options},
        title_args={"ve": ve.name},
        targets=(Target("ve", ve.pk, ve.name), Target("node", ve.node.pk, ve.node.name)),
        place=ve.node.name,
        permission_object=ve,
    )


def _enqueue(
    action: str, user: User | None, ve: VE, request: HttpRequest | None, force_after: int | None = None
) -> Task:
    child = as_child(action=action, ve=ve, force_after=force_after)
    return enqueue(
        child.kind,
        user=user,
        request=request,
        params=child.params,
        title_args=child.title_args,
        targets=child.targets,
        place=child.place,
        permission_object=child.permission_object,
    )
