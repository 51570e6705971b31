"""Restarting libvirt's daemons on a node. The VEs run on; that they do is proved, not assumed."""

from infrastructure.drivers.base import HostDriver
from infrastructure.drivers.registry import drop
from infrastructure.jobs.node_steps import Guests, find, guests_of, prove_running, refuse_moves, wait_for_libvirt
from infrastructure.models import Node
from infrastructure.services import equivalents, inventory
from infrastructure.services.endpoints import driver, endpoint_for
from infrastructure.services.node_work import RESTART
from infrastructure.services.onboarding import daemons, libvirt_settings
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun


def recover(run: TaskRun, *, node_id: int) -> Recovery:
    """A daemon that was restarted already is left alone; the rest goes on."""
    return Recovery.resume()


@job(
    RESTART,
    title="Restarting services of {node}",
    permission="node.operate",
    lock="node:{node_id}",
    recover=recover,
    doing="having its services restarted",
)
def restart_services(run: TaskRun, *, node_id: int) -> None:
    node = find(node_id)
    with driver(node) as host:
        before, found, systemd = _look(run, node, host)
        for daemon in found:
            with run.step(f"Restarting {daemon.name}") as step:
                if run.task.recovering and step.done_before:
                    step.already_done("before the worker was lost")
                    continue
                for argv in daemon.commands:
                    step.command(argv)
                daemons.restart(host, daemon, systemd=systemd)
    drop(endpoint_for(node))
    _prove(run, node, before)


def _look(run: TaskRun, node: Node, host: HostDriver) -> tuple[Guests | None, list[daemons.Daemon], bool]:
    with run.step(f"Checking {node}") as step:
        before = guests_of(host)
        refuse_moves(node, host, before or {})
        systemd = libvirt_settings.under_systemd(host)
        found = daemons.running(host, systemd=systemd)
        step.line(f"To restart: {', '.join(daemon.name for daemon in found)}")
        if before is None:
            step.line(f"libvirt on {node} does not answer now; its VEs are processes of their own")
        else:
            step.line(f"{len(before)} VEs run; libvirt moves none of them" if before else "No VE runs")
    return before, found, systemd


def _prove(run: TaskRun, node: Node, before: Guests | None) -> None:
    with driver(node) as host:
        with run.step("Waiting for libvirt") as step:
            step.command(["virsh", "-c", equivalents.connection("vm", node), "version"])
            facts = wait_for_libvirt(host)
            step.line(f"libvirt {facts.libvirt_version} answers over TLS")
        with run.step("Checking that the VEs run on") as step:
            prove_running(run, step, node, host, before)
    inventory.refresh(node)
