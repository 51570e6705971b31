"""Setting a node up: packages, certificates, libvirt's settings, then everything over TLS. Safe to repeat."""

from django.utils import timezone

from infrastructure.drivers.base import HostDriver, NodeFacts
from infrastructure.drivers.registry import drop
from infrastructure.jobs.node_steps import (
    find,
    refuse_moves,
    restart_libvirtd,
    save,
    save_certificate,
    wait_for_libvirt,
)
from infrastructure.models import Node
from infrastructure.services import inventory
from infrastructure.services.endpoints import driver, endpoint_for
from infrastructure.services.onboarding import certificates, libvirt_settings, packages
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun


def recover(run: TaskRun, *, node_id: int) -> Recovery:
    """Every step asks the node first, so the job may simply run again."""
    return Recovery.resume()


@job(
    "node.onboard",
    title="Setting up node {node}",
    permission="node.manage",
    lock="node:{node_id}",
    recover=recover,
    doing="being set up",
)
def onboard(run: TaskRun, *, node_id: int) -> None:
    node = find(node_id)
    with driver(node) as host:  # closed at the end: settings and identity may have changed
        _connect(run, node, host)
        _install(run, node, host)
        _certify(run, node, host)
        _configure(run, node, host)
        facts = _reach_over_tls(run, node, host)
        certificates.forget_old(host)
    drop(endpoint_for(node))
    _discover(run, node, facts)


def _connect(run: TaskRun, node: Node, host: HostDriver) -> None:
    with run.step(f"Connecting to {node}") as step:
        step.command(["ssh", "-p", node.ssh_port, f"root@{node.address}", "id", "-u"])
        if host.run(["id", "-u"]).text.strip() != "0":
            raise JobFailed(f"{node} lets the panel in, but not as root.", "Install the panel's key for root.")
        described = host.run(["sh", "-c", '. /etc/os-release && printf %s "$PRETTY_NAME"'], check=False).text
        machine = host.run(["uname", "-n", "-r", "-m"]).text.split()
        step.line(f"{' '.join([described, *machine])}; its host key is the confirmed one")


def _install(run: TaskRun, node: Node, host: HostDriver) -> None:
    with run.step("Installing packages") as step:
        missing = packages.missing(host)
        if not missing:
            step.already_done(", ".join(packages.PACKAGES))
            return
        step.command(packages.install_command(missing))
        packages.install(host, missing)
        if left := packages.missing(host):
            raise JobFailed(
                f"apt did not install {', '.join(left)} on {node}.", "Install them on the node, then retry."
            )
        step.line(f"Installed {', '.join(missing)}")


def _certify(run: TaskRun, node: Node, host: HostDriver) -> None:
    with run.step("Writing certificates") as step:
        found = certificates.present(host, node).described
        if found is None:
            refuse_moves(node, host)
            found = certificates.write(host, node)
            step.line(f"O=Mooring,CN={node.name} for {', '.join(certificates.names_of(node))}")
            step.line(f"Written to {certificates.LIBVIRT_DIR} (libvirtd) and {certificates.QEMU_DIR} (migration)")
        else:
            step.already_done(f"valid until {found.expires_at:%b %d, %Y}")
        step.note(f"valid until {found.expires_at:%b %d, %Y}")
        save_certificate(node, found)


def _configure(run: TaskRun, node: Node, host: HostDriver) -> None:
    with run.step("Configuring libvirt") as step:
        systemd = libvirt_settings.under_systemd(host)
        changes = libvirt_settings.pending(host, systemd=systemd)
        if not changes and not libvirt_settings.restart_needed(host):
            step.already_done("the settings are as they must be")
            return
        refuse_moves(node, host)
        libvirt_settings.apply(host, changes)
        for change in changes:
            step.line(f"Wrote Mooring's block in {change.path}")
        restart_libvirtd(step, host, systemd=systemd)
        step.line("libvirtd was restarted; guests run on")


def _reach_over_tls(run: TaskRun, node: Node, host: HostDriver) -> NodeFacts:
    with run.step("Connecting over TLS") as step:
        step.command(["virsh", "-c", f"qemu+tls://{node.address}/system", "version"])
        facts = wait_for_libvirt(host)
        _refuse_identity(node, facts)
        step.line(f"libvirt {facts.libvirt_version}, QEMU {facts.qemu_version or 'not there'}, host UUID {facts.uuid}")
    return facts


def _refuse_identity(node: Node, facts: NodeFacts) -> None:
    twin = Node.objects.filter(uuid=facts.uuid).exclude(pk=node.pk).first()
    if twin is not None:
        raise JobFailed(
            f"libvirt on {node} has the host UUID {facts.uuid}, which is that of {twin}.",
            f"If they are two machines, set host_uuid in {libvirt_settings.LIBVIRTD_CONF} of {node} to what `uuidgen` "
            "prints, outside Mooring's block, and retry the task. If they are one, remove this node.",
        )
    if node.uuid is not None and str(node.uuid) != facts.uuid:
        raise JobFailed(
            f"The host UUID of {node} was {node.uuid} and is {facts.uuid} now: this is another machine.",
            "If the machine was replaced, remove the node and add it again.",
        )


def _discover(run: TaskRun, node: Node, facts: NodeFacts) -> None:
    with run.step(f"Discovering {node}") as step:
        save(node, uuid=facts.uuid, onboarded_at=timezone.now())
        node.refresh_from_db()
        inventory.refresh(node)
        node.refresh_from_db()
        networks = ", ".join(network.name for network in facts.networks) or "none"
        step.line(
            f"{facts.cpu_threads} CPU threads, {facts.memory_bytes / 2**30:.1f} GiB of memory, networks: {networks}"
        )
        names = [ve.name for ve in node.ves.order_by("name")]
        step.line(f"{len(names)} Virtual Environments{': ' if names else ''}{', '.join(names)}")
