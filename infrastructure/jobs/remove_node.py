"""Taking a node out of Mooring. Its Virtual Environments run on; the panel only lets go of them."""

from infrastructure.drivers.base import Refused, Unreachable
from infrastructure.drivers.registry import drop
from infrastructure.jobs.node_steps import find, refuse_moves
from infrastructure.models import Node
from infrastructure.services import inventory, letting_go
from infrastructure.services.endpoints import driver, endpoint_for
from infrastructure.services.figures import sentence
from infrastructure.services.onboarding import certificates, libvirt_settings
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import Step, TaskRun


def recover(run: TaskRun, *, node_id: int) -> Recovery:
    """Every step may be repeated; once the row is gone, all of it was done."""
    return Recovery.resume() if Node.objects.filter(pk=node_id).exists() else Recovery.completed()


@job(
    "node.remove",
    title="Removing node {node}",
    permission="node.manage",
    lock="node:{node_id}",
    recover=recover,
    doing="being removed",
)
def remove(run: TaskRun, *, node_id: int) -> None:
    node = find(node_id)
    letting_go.refuse_held(node)
    with run.step(f"Taking Mooring's settings off {node}") as step:
        try:
            _clean(step, node)
        except (Unreachable, Refused) as error:  # nothing can be done there from here; other faults can be mended
            run.warn(
                f"{sentence(error.message)} Its certificate stays valid until "
                f"{node.certificate_expires_at or 'it expires'}: delete {certificates.LIBVIRT_DIR} and "
                f"{certificates.QEMU_DIR} there."
            )
    with run.step(f"Forgetting {node}") as step:
        endpoint = endpoint_for(node)
        with run.atomic():
            inventory.release(node)
            node.delete()
        drop(endpoint)
        step.line(f"{node} is no longer managed; its Virtual Environments were not touched")


def _clean(step: Step, node: Node) -> None:
    with driver(node) as host:
        refuse_moves(node, host)
        for line in letting_go.of(node, host):
            step.line(line)
        changed = libvirt_settings.remove(host)
        if changed:
            step.line(f"Took Mooring's block out of {', '.join(change.path for change in changed)}")
        if libvirt_settings.restart_needed(host):
            systemd = libvirt_settings.under_systemd(host)
            for argv in libvirt_settings.release_commands(systemd=systemd):
                step.command(argv)
            libvirt_settings.release(host, systemd=systemd)
        else:
            step.already_done("no settings of Mooring are there")
        # Last, for the mark of the restart lies there too.
        step.command(["rm", "-rf", "--", certificates.LIBVIRT_DIR, certificates.QEMU_DIR])
        certificates.remove(host)
