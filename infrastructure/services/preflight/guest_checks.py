"""Checks about the VE itself."""

from infrastructure.drivers.base import VEState
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import Check, failed, passed

_STOP_AND_MOVE = "Stop the container, define it on the other node and start it there."


def state(context: Context) -> Check:
    """What it is and whether it runs, as its node says now."""
    ve = context.ve
    if not ve.is_vm:
        return failed("state", f"{ve} is a container, and libvirt cannot migrate containers", _STOP_AND_MOVE)
    guest = context.guest()
    if guest.state is VEState.RUNNING:
        return passed("state", f"{ve} runs")
    if guest.state is VEState.PAUSED and guest.reason not in ("io-error", "crashed"):
        return passed("state", f"{ve} is paused and stays so")
    if guest.state is VEState.STOPPED:
        if context.live:
            return failed(
                "state", f"{ve} is stopped: only a running VE moves live", "Choose Offline, or start it first."
            )
        if guest.managed_save:
            return failed(
                "state", f"The memory of {ve} is saved on {context.source}", "Start it first, then move it live."
            )
        return passed("state", f"{ve} is stopped; its definition moves")
    return failed(
        "state",
        f"{ve} is {guest.state}{f' ({guest.reason})' if guest.reason else ''}",
        "Bring it to a steady state first.",
    )


def cpu(context: Context) -> Check:
    """libvirt's own comparison on the target."""
    requirement = context.source_driver.cpu_requirement(context.uuid)
    verdict = context.target_driver.check_cpu(requirement)
    if verdict.compatible:
        detail = f": {verdict.reason}" if verdict.reason else ""
        return passed("cpu", f"{context.target} offers what {context.ve} needs{detail}")
    if verdict.missing:
        lacking = ", ".join(verdict.missing)
        return failed(
            "cpu",
            f"The CPU of {context.target} lacks {lacking}, which {context.ve} uses",
            "Choose a node that has it, or take it out of the VE's CPU model.",
        )
    return failed("cpu", verdict.reason or f"The CPU of {context.target} does not fit", "Choose another node.")


def snapshots(context: Context) -> Check:
    count = context.guest().snapshots
    if count:
        what = "1 snapshot" if count == 1 else f"{count} snapshots"
        return failed("snapshots", f"{context.ve} has {what}, which libvirt cannot move", "Delete them first.")
    return passed("snapshots", "no snapshot that blocks the move")


def devices(context: Context) -> Check:
    """Devices of the node that were given to the VE."""
    devices = context.guest().host_devices
    if devices:
        return failed(
            "devices", f"{context.ve} uses devices of {context.source}: {', '.join(devices)}", "Detach them first."
        )
    return passed("devices", f"no device of {context.source}'s own")
