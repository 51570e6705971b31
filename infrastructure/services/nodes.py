"""Adding nodes, what the admin says about them, and removing them."""

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from infrastructure.drivers.base import DriverError, HostKey
from infrastructure.drivers.registry import ssh
from infrastructure.models import InventoryRevision, Node
from infrastructure.services import inventory, letting_go
from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible, StaleEdit
from infrastructure.services.node_input import (
    clean_address,
    clean_fingerprint,
    clean_location,
    clean_name,
    clean_port,
)
from panel.accounts.models import User
from panel.audit.services import record
from panel.trust import ssh_key
from tasks.choices import OPEN_STATES
from tasks.models import Task
from tasks.services import Target, enqueue

PROBE_SECONDS = 5.0


def panel_public_key() -> str:
    """The line an admin puts into /root/.ssh/authorized_keys of a node. TrustError before `manage.py prepare`."""
    return ssh_key.public_line()


def probe(address: str, port: int = 22) -> HostKey:
    """The SSH host key that this address shows now, for the admin to compare. InvalidInput when nothing answers."""
    address, port = clean_address(address), clean_port(port)
    try:
        return ssh.fetch_host_key(address, port, deadline=PROBE_SECONDS)
    except DriverError as error:
        raise InvalidInput(
            error.message, advice=error.advice or "Check the address, the port and that sshd runs.", field="address"
        ) from error


def look(*, name: str, address: str, ssh_port: int) -> HostKey:
    """What `add` will ask before anything else: may the node be called that, is it new, which host key does it show?

    Raises InvalidInput.
    """
    name, address = clean_name(name), clean_address(address)
    _refuse_known(name, address)
    shown = probe(address, ssh_port)
    _refuse_same_key(shown)
    return shown


def add(
    *,
    user: User | None,
    name: str,
    address: str,
    ssh_port: int,
    fingerprint: str,
    request: HttpRequest | None = None,
) -> tuple[Node, Task]:
    """Add a node whose host key has the confirmed fingerprint, and start its onboarding.

    Raises PermissionDenied, and InvalidInput when a value cannot be accepted, the node shows another key than the one
    confirmed, or it is known already.
    """
    _authorize(user, "node.add", None, request)
    name, address, ssh_port = clean_name(name), clean_address(address), clean_port(ssh_port)
    confirmed = clean_fingerprint(fingerprint)
    _refuse_known(name, address)
    shown = probe(address, ssh_port)
    if shown.fingerprint != confirmed:
        refusal = InvalidInput(
            f"{address} shows the host key {shown.fingerprint}, but {confirmed} was confirmed",
            advice="Compare with `ssh-keygen -lf` on the node itself; if they differ, another machine answers.",
            field="fingerprint",
        )
        record(action="node.add", actor=user, request=request, result="refused", detail=f"{name}: {refusal}")
        raise refusal
    _refuse_same_key(shown)
    try:
        with transaction.atomic():
            node = Node.objects.create(
                name=name, address=address, ssh_port=ssh_port, host_key=shown.line, rev=InventoryRevision.bump()
            )
            record(action="node.add", actor=user, request=request, target=node, detail=f"{address}, {confirmed}")
            task = _enqueue_onboarding(user, node, request)
    except IntegrityError:  # another request added it between the look and the insert
        _refuse_known(name, address)
        raise
    inventory.announce()
    return node, task


def onboard(*, user: User | None, node: Node, request: HttpRequest | None = None) -> Task:
    """Onboard the node again: renew its certificates and mend its settings. Raises PermissionDenied, TaskConflict."""
    return _enqueue_onboarding(user, node, request)


def remove(*, user: User | None, node: Node, request: HttpRequest | None = None) -> Task:
    """Start taking the node out of Mooring; its VEs run on. Raises PermissionDenied, TaskConflict, NotPossible."""
    _authorize(user, "node.remove", node, request)
    letting_go.refuse_held(node)
    busy = Task.objects.filter(state__in=OPEN_STATES, targets__object_type="node", targets__object_id=node.pk).exclude(
        kind="node.remove"
    )
    if (task := busy.first()) is not None:
        raise NotPossible(
            f"{node} is in use by task {task.pk}, “{task.title}”",
            advice="Wait for its end or cancel it, then try again.",
        )
    return enqueue(
        "node.remove",
        user=user,
        request=request,
        params={"node_id": node.pk},
        title_args={"node": node.name},
        targets=[_target(node)],
        place=node.name,
        permission_object=node,
    )


def set_location(
    *,
    user: User | None,
    node: Node,
    room: str,
    row: str,
    rack: str,
    seen: str | None = None,
    request: HttpRequest | None = None,
) -> None:
    """Say where the node stands. `seen`: the location that the user was shown, as `Node.location` words it.

    Raises PermissionDenied, InvalidInput, and StaleEdit when somebody changed what was seen.
    """
    _authorize(user, "node.set_location", node, request)
    place = {field: clean_location(value, field) for field, value in (("room", room), ("row", row), ("rack", rack))}
    with transaction.atomic():
        now = Node.objects.select_for_update().get(pk=node.pk)
        if seen is not None and seen != now.location:
            raise StaleEdit(
                f"Somebody changed the location of {node} to “{now.location or 'none'}” after this dialog was opened",
                advice="Save again to replace that by what stands here, or cancel.",
            )
        _change(node, **place)
        record(action="node.set_location", actor=user, request=request, target=node, detail=node.location or "none")


def set_maintenance(*, user: User | None, node: Node, enabled: bool, request: HttpRequest | None = None) -> None:
    """Put the node into maintenance (no VE is moved to it) or take it out. Raises PermissionDenied."""
    _authorize(user, "node.set_maintenance", node, request, permission="node.operate")
    _change(node, maintenance=enabled)
    record(action="node.set_maintenance", actor=user, request=request, target=node, detail="on" if enabled else "off")


def _authorize(
    user: User | None, action: str, node: Node | None, request: HttpRequest | None, permission: str = "node.manage"
) -> None:
    authorize(user=user, permission=permission, action=action, obj=node, request=request)


def _enqueue_onboarding(user: User | None, node: Node, request: HttpRequest | None) -> Task:
    return enqueue(
        "node.onboard",
        user=user,
        request=request,
        params={"node_id": node.pk},
        title_args={"node": node.name},
        targets=[_target(node)],
        place=node.name,
        permission_object=node,
    )


def _target(node: Node) -> Target:
    return Target("node", node.pk, node.name)


def _change(node: Node, **columns: object) -> None:
    with transaction.atomic():
        node.rev = InventoryRevision.bump()
        for name, value in columns.items():
            setattr(node, name, value)
        node.save(update_fields=[*columns, "rev"])
    inventory.announce()


def _refuse_known(name: str, address: str) -> None:
    if Node.objects.filter(name=name).exists():
        raise InvalidInput(f"There is a node named {name} already", advice="Choose another name.", field="name")
    if (other := Node.objects.filter(address=address).first()) is not None:
        raise InvalidInput(
            f"{address} is the address of {other}",
            advice="To set it up again, use Set up again on its page.",
            field="address",
        )


def _refuse_same_key(shown: HostKey) -> None:
    for other in Node.objects.exclude(host_key=""):
        if other.host_key.split()[:2] == shown.line.split()[:2]:
            raise InvalidInput(
                f"This machine is {other} ({other.address}): it shows the same host key",
                advice="If it is another machine made from the same image, give it host keys of its own: "
                "`rm /etc/ssh/ssh_host_*`, `dpkg-reconfigure openssh-server`.",
                field="address",
            )
