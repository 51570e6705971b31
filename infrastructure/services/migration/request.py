"""Asking for a migration."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest

from infrastructure.choices import VEState
from infrastructure.models import VE, Node
from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.migration.plan import MigrationOptions
from panel.accounts.models import User
from tasks.models import Task
from tasks.services import Target, enqueue
from tasks.services.children import Child

PERMISSION = "ve.migrate"
LIVE = "ve.migrate"
OFFLINE = "ve.move"
KINDS = (LIVE, OFFLINE)
_RUNS = (VEState.RUNNING, VEState.PAUSED, VEState.MIGRATING)
_LIVE_OPTIONS = ("bandwidth_mib", "max_downtime_ms", "auto_converge", "pause_limit_ms", "copy_disks", "delete_source")
_OFFLINE_OPTIONS = ("bandwidth_mib", "copy_disks", "delete_source", "force_off")


def moves_live(ve: VE) -> bool:
    """Whether the VE, as the inventory has it, moves without a stop: a virtual machine that runs or is paused."""
    return ve.is_vm and ve.state in _RUNS


def as_child(*, ve: VE, target: Node, live: bool = True, options: MigrationOptions | None = None) -> Child:
    """The request as the parts of a task: for `enqueue`, or for the children of a bulk action.

    live: the VE keeps running while it moves; else it is shut down, moved, and started again if it ran.
    Raises InvalidInput and NotPossible. Rights are not asked here: `enqueue` and `start_children` do.
    """
    options = options or MigrationOptions()
    options.validate()
    if ve.node is None:
        raise NotPossible(f"No node has {ve}", advice="It can be moved when a node shows it again.")
    if live and not ve.is_vm:
        raise NotPossible(
            f"{ve} is a container, and libvirt cannot move containers while they run", advice="Choose Offline."
        )
    if ve.migrating_to_id is None and target.pk == ve.node.pk:
        raise InvalidInput(f"{ve} is on {target} already", advice="Choose another node.", field="target")
    return Child(
        kind=LIVE if live else OFFLINE,
        params=_params(ve, ve.node, target, live, options),
        title_args={"ve": ve.name, "source": ve.node.name},
        targets=(
            Target("ve", ve.pk, ve.name),
            Target("node", ve.node.pk, ve.node.name, "Source"),
            Target("node", target.pk, target.name, "Target"),
        ),
        place=f"{ve.node} → {target}",
        permission_object=ve,
        facts=_facts(live, options),
    )


def authorize_targets(
    *, user: User | None, targets: Iterable[Node], action: str, request: HttpRequest | None = None
) -> None:
    """Raise PermissionDenied (audited) unless the user may fill these nodes: who holds one node pushes to no other."""
    for target in targets:
        if user is not None:
            authorize(user=user, permission=PERMISSION, action=action, obj=target, request=request)


def start(
    *,
    user: User | None,
    ve: VE,
    target: Node,
    live: bool = True,
    options: MigrationOptions | None = None,
    request: HttpRequest | None = None,
) -> Task:
    """Start moving the VE to the target; see `as_child` for what is refused at once.

    It takes the right over the VE and over the target. An identical request returns the running task. Raises
    PermissionDenied and TaskConflict when another task holds the
    VE too. The checks of `preflight` are the worker's: it makes them just before it acts.
    """
    child = as_child(ve=ve, target=target, live=live, options=options)
    authorize_targets(user=user, targets=[target], action=child.kind, request=request)
    return enqueue(
        child.kind,
        user=user,
        request=request,
        params=child.params,
        title_args=child.title_args,
        targets=child.targets,
        place=child.place,
        permission_object=child.permission_object,
        facts=child.facts,
    )


def _facts(live: bool, options: MigrationOptions) -> dict[str, object]:
    """What the task's page says about how it moves."""
    what = "memory and disks" if options.copy_disks else "memory only"
    limit = {"Bandwidth": f"{options.bandwidth_mib:,} MiB/s" if options.bandwidth_mib else "No limit"}
    if not live:
        return {"Mode": "Offline", **limit}
    raised = options.longest_pause_ms
    pause = f"{options.max_downtime_ms:,} ms" + (f", raised to {raised:,}" if raised > options.max_downtime_ms else "")
    return {"Mode": f"Live, {what}", "Pause limit": pause, **limit, "Channel": "TLS, from node to node"}


def _params(ve: VE, source: Node, target: Node, live: bool, options: MigrationOptions) -> dict[str, Any]:
    given = asdict(options)
    return {
        "ve_id": ve.pk,
        "source_id": source.pk,
        "target_id": target.pk,
        # libvirt does not take the flag along, and after the move nobody else remembers it.
        "autostart": ve.autostart,
        **{name: given[name] for name in (_LIVE_OPTIONS if live else _OFFLINE_OPTIONS)},
    }
