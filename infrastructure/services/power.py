"""Starting, stopping, restarting and pausing Virtual Environments. Each starts a task and returns it.

All raise PermissionDenied, TaskConflict when another task holds the VE, and NotPossible when no node has the VE.
"""

from django.http import HttpRequest

from infrastructure.models import VE
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from tasks.models import Task
from tasks.services import Target, enqueue

STOP_SECONDS = 60  # how long a guest may take to shut down by itself
LONGEST_WAIT = 3600


def start(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    return _enqueue("ve.start", user, ve, request)


def stop(*, user: User | None, ve: VE, force_after: int | None = None, request: HttpRequest | None = None) -> Task:
    """Ask the guest to shut down; when it still runs after `force_after` seconds, force it off. None never forces."""
    if force_after is not None and not 0 < force_after <= LONGEST_WAIT:
        raise InvalidInput(f"Wait 1 to {LONGEST_WAIT} s before forcing off", field="force_after")
    return _enqueue("ve.stop", user, ve, request, force_after=force_after)


def force_off(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    """Cut the VE's power: the guest loses what it has not written."""
    return _enqueue("ve.force_off", user, ve, request)


def restart(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    """Ask the guest to restart by itself."""
    return _enqueue("ve.restart", user, ve, request)


def pause(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    return _enqueue("ve.pause", user, ve, request)


def resume(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> Task:
    return _enqueue("ve.resume", user, ve, request)


def _enqueue(kind: str, user: User | None, ve: VE, request: HttpRequest | None, **params: int | None) -> Task:
    if ve.node is None:
        raise NotPossible(f"No node has {ve}", advice="It reappears here when a node shows it again.")
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"ve_id": ve.pk, **params},
        title_args={"ve": ve.name},
        targets=[Target("ve", ve.pk, ve.name), Target("node", ve.node.pk, ve.node.name)],
        place=ve.node.name,
        permission_object=ve,
    )
