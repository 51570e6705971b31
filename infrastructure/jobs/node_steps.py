"""Steps that the jobs about a whole node share."""

import time
from collections.abc import Iterable, Mapping

from infrastructure.drivers.base import DriverError, HostDriver, NodeFacts, Refused, Unreachable, VEFacts, VEState
from infrastructure.models import InventoryRevision, Node
from infrastructure.services import inventory
from infrastructure.services.onboarding import libvirt_settings
from panel.trust.ca import Described
from tasks.errors import JobFailed
from tasks.runner import Step, TaskRun

ANSWER_SECONDS = 60.0  # the first start of libvirtd probes QEMU
_UP = (VEState.RUNNING, VEState.PAUSED, VEState.SUSPENDED, VEState.SHUTTING_DOWN)
_ARRIVING = ("migration", "starting-up")

Guests = Mapping[str, VEFacts]  # by UUID


def find(node_id: int) -> Node:
    """The node's row. JobFailed when it was removed."""
    node = Node.objects.filter(pk=node_id).first()
    if node is None:
        raise JobFailed("The node was removed.", "Nothing is left to do.")
    return node


def save(node: Node, **columns: object) -> None:
    """Set columns of the node's row under a new revision."""
    for name, value in columns.items():
        setattr(node, name, value)
    node.rev = InventoryRevision.bump()
    node.save(update_fields=[*columns, "rev"])
    inventory.announce()


def save_certificate(node: Node, found: Described) -> None:
    """Record what the node shows when libvirt is reached."""
    save(
        node,
        certificate_serial=found.serial,
        certificate_issuer=found.issuer,
        certificate_issued_at=found.issued_at,
        certificate_expires_at=found.expires_at,
    )


def guests_of(host: HostDriver) -> dict[str, VEFacts] | None:
    """The VEs that run, by UUID; None when libvirt does not answer, or not to this panel yet, which is to be mended."""
    try:
        return {ve.uuid: ve for ve in host.ves() if ve.state in _UP}
    except (Unreachable, Refused):
        return None


def refuse_moves(node: Node, host: HostDriver, guests: Guests | None = None) -> None:
    """A restart of libvirtd would abort a migration: JobFailed while libvirt moves a guest from or to this node.

    Mooring's own are kept out by the lock of the node; this finds those that somebody started by hand.
    """
    found = guests if guests is not None else guests_of(host) or {}
    moving = [ve.name for ve in found.values() if ve.reason in _ARRIVING or _leaves(host, ve)]
    if moving:
        names = ", ".join(sorted(moving))
        raise JobFailed(
            f"libvirtd on {node} must be restarted, and libvirt is moving {names}, which that would abort.",
            f"Wait for its end (`virsh domjobinfo {sorted(moving)[0]}` on the node), then retry this task.",
        )


def _leaves(host: HostDriver, ve: VEFacts) -> bool:
    if ve.kind != "vm":
        return False
    try:
        return host.progress(ve.uuid) is not None
    except DriverError:
        return False  # it ended meanwhile


def restart_libvirtd(step: Step, host: HostDriver, *, systemd: bool) -> None:
    """Show how libvirtd is restarted, and do it. DriverError with the cause when it does not start."""
    for argv in libvirt_settings.restart_commands(systemd=systemd):
        step.command(argv)
    libvirt_settings.restart(host, systemd=systemd)


def wait_for_libvirt(host: HostDriver) -> NodeFacts:
    """What libvirt says of the node once it answers. DriverError when it does not within a minute."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return host.facts()
        except DriverError as error:
            if not error.retryable or time.monotonic() > end:
                raise
        time.sleep(0.5)


def prove_running(run: TaskRun, step: Step, node: Node, host: HostDriver, before: Guests | None) -> None:
    """Compare the VEs with those that ran before: the same processes, not others of the same names."""
    now = guests_of(host) or {}
    if before is None:
        step.line(f"What ran before could not be asked; {_count(now.values())}")
        return
    same = [ve for uuid, ve in before.items() if uuid in now and now[uuid].domain_id == ve.domain_id]
    if same:
        step.line(f"Run on as before: {_count(same)}")
    ended = sorted(ve.name for uuid, ve in before.items() if uuid not in now)
    anew = sorted(ve.name for uuid, ve in before.items() if uuid in now and now[uuid].domain_id != ve.domain_id)
    if ended or anew:
        words = [f"{', '.join(ended)} stopped" if ended else "", f"{', '.join(anew)} started anew" if anew else ""]
        run.warn(
            f"On {node}, {' and '.join(filter(None, words))} meanwhile. Look at their consoles and /var/log/libvirt."
        )
    elif not before:
        step.line("No VE was running")


def _count(ves: Iterable[VEFacts]) -> str:
    names = sorted(ve.name for ve in ves)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{len(names)} {'VE' if len(names) == 1 else 'VEs'}{': ' if names else ''}{shown}"
