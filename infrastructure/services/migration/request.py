"""Asking for a migration."""

from dataclasses import asdict

from django.http import HttpRequest

from infrastructure.models import VE, Node
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.migration.plan import MigrationOptions
from panel.accounts.models import User
from tasks.models import Task
from tasks.services import Target, enqueue


def start(
    *,
    user: User | None,
    ve: VE,
    target: Node,
    live: bool = True,
    options: MigrationOptions | None = None,
    request: HttpRequest | None = None,
) -> Task:
    """Start moving the VE to the target. live: it keeps running; else a running guest is paused while it moves.

    An identical request returns the running task. Raises PermissionDenied, TaskConflict when another task holds the VE,
    InvalidInput and NotPossible. The checks of `preflight` are the worker's: it makes them just before it acts.
    """
    options = options or MigrationOptions()
    options.validate()
    if ve.node is None:
        raise NotPossible(f"No node has {ve}", advice="It can be moved when a node shows it again.")
    if not ve.is_vm:
        raise NotPossible(
            f"{ve} is a container, and libvirt cannot migrate containers",
            advice="Stop it, define it on the other node and start it there.",
        )
    if ve.migrating_to_id is None and target.pk == ve.node.pk:
        raise InvalidInput(f"{ve} is on {target} already", advice="Choose another node.", field="target")
    return enqueue(
        "ve.migrate",
        user=user,
        request=request,
        params={
            "ve_id": ve.pk,
            "source_id": ve.node.pk,
            "target_id": target.pk,
            "live": live,
            # libvirt does not take the flag along, and after the move nobody else remembers it.
            "autostart": ve.autostart,
            **asdict(options),
        },
        title_args={"ve": ve.name},
        targets=[
            Target("ve", ve.pk, ve.name),
            Target("node", ve.node.pk, ve.node.name),
            Target("node", target.pk, target.name),
        ],
        place=f"{ve.node} → {target}",
        permission_object=ve,
    )
