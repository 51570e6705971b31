"""A new key and certificate for a node, asked for by an admin or because the old one ends soon.

The old ones stay on the node until the new ones are proved by a new TLS connection; until then the undo puts them back.
"""

from infrastructure.drivers.base import DriverError, HostDriver, NotFound
from infrastructure.drivers.registry import drop
from infrastructure.jobs.node_steps import (
    find,
    guests_of,
    prove_running,
    refuse_moves,
    restart_libvirtd,
    save_certificate,
    wait_for_libvirt,
)
from infrastructure.models import Node
from infrastructure.services import inventory
from infrastructure.services.endpoints import driver, endpoint_for
from infrastructure.services.node_work import REISSUE
from infrastructure.services.onboarding import certificates, libvirt_settings
from panel.trust import ca
from tasks.errors import JobFailed
from tasks.recovery import Recovery
from tasks.registry import job, undo
from tasks.runner import TaskRun


def recover(run: TaskRun, *, node_id: int) -> Recovery:
    """What was put in place and not yet proved is still told apart on the node, so the job goes on from there."""
    return Recovery.resume()


@job(
    REISSUE,
    title="Re-issuing certificates of {node}",
    permission="node.manage",
    lock="node:{node_id}",
    recover=recover,
    doing="getting new certificates",
)
def reissue(run: TaskRun, *, node_id: int) -> None:
    node = find(node_id)
    with driver(node) as host:
        with run.step(f"Checking {node}") as step:
            before = guests_of(host)
            refuse_moves(node, host, before or {})
            step.line(_in_use(host))
        _replace(run, node, host)
        wanted = certificates.in_use(host)
        with run.step("Restarting libvirtd") as step:
            if libvirt_settings.restart_needed(host):
                restart_libvirtd(step, host, systemd=libvirt_settings.under_systemd(host))
            else:
                step.already_done("libvirtd has taken the certificate up")
    drop(endpoint_for(node))
    with driver(node) as host:
        _prove(run, node, host, wanted)
        run.point_of_no_return()
        with run.step("Deleting the old key and certificate") as step:
            step.command(certificates.forget_command())
            certificates.forget_old(host)
            save_certificate(node, wanted)
        with run.step("Checking that the VEs run on") as step:
            prove_running(run, step, node, host, before)
    inventory.refresh(node)


def _in_use(host: HostDriver) -> str:
    try:
        found = certificates.in_use(host)
    except (NotFound, ValueError):
        return "There is no certificate that can be read"
    return f"In use: serial {found.serial}, valid until {found.expires_at:%b %d, %Y}"


def _replace(run: TaskRun, node: Node, host: HostDriver) -> None:
    """Write the new set and put it in place; an attempt that was cut off after that goes on with its set."""
    with run.step("Writing the new key and certificate") as step:
        run.undo("node.reissue_certificates.put_back", node_id=node.pk)
        if run.task.recovering and certificates.swapped(host):
            step.already_done("the set that an earlier attempt put in place")
            return
        issued = certificates.stage(host, node)
        step.line(f"{issued.subject} for {', '.join(certificates.names_of(node))}, issued by {issued.issuer}")
        step.line(f"Serial {issued.serial}, valid until {issued.expires_at:%b %d, %Y}")
        for argv in certificates.swap_commands():
            step.command(argv)
        certificates.swap(host)
        step.line("The old ones are kept beside the new ones until these are proved")


def _prove(run: TaskRun, node: Node, host: HostDriver, wanted: ca.Described) -> None:
    with run.step("Connecting over TLS") as step:
        step.command(["openssl", "s_client", "-connect", f"{node.address}:16514", "-showcerts"])
        facts = wait_for_libvirt(host)
        shown = ca.describe(host.shown_certificate())
        if shown.serial != wanted.serial:
            raise JobFailed(
                f"libvirtd on {node} still shows the certificate {shown.serial}, not {wanted.serial}.",
                "Look into /var/log/libvirt/libvirtd.log on the node, then retry the task.",
            )
        if node.uuid is not None and str(node.uuid) != facts.uuid:
            raise JobFailed(f"Another machine answers at {node.address}: its host UUID is {facts.uuid}.")
        step.line(f"libvirtd shows the certificate {shown.serial} and accepts the panel's")


@undo("node.reissue_certificates.put_back")
def put_back(run: TaskRun, *, node_id: int) -> None:
    """Put the old key and certificate back, if the new ones were not proved, and have libvirtd take them up."""
    node = find(node_id)
    with driver(node) as host:
        if not certificates.put_back(host) and not libvirt_settings.restart_needed(host):
            run.line("The certificate in use was not touched")
            return
        systemd = libvirt_settings.under_systemd(host)
        for argv in libvirt_settings.restart_commands(systemd=systemd):
            run.command(argv)
        libvirt_settings.restart(host, systemd=systemd)
    drop(endpoint_for(node))
    with driver(node) as host:
        wait_for_libvirt(host)
        try:
            found = certificates.in_use(host)
        except (DriverError, ValueError):
            run.line("libvirtd runs with what was there before")
            return
        save_certificate(node, found)
        run.line(f"The old certificate {found.serial} is in use again, until {found.expires_at:%b %d, %Y}")
