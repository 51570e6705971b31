"""Checks about the VE itself."""

from infrastructure.drivers.base import VEState
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import Check, failed, passed, warning


def state(context: Context) -> Check:
    """What it is and whether it runs, as its node says now."""
    ve = context.ve
    if context.live and not ve.is_vm:
        return failed("state", f"{ve} is a container, and libvirt cannot move containers live", "Choose Offline.")
    guest = context.guest()
    if guest.state is VEState.RUNNING:
        return passed("state", f"{ve} runs" if context.live else f"{ve} runs; it is shut down, moved and started again")
    if guest.state is VEState.PAUSED and guest.reason not in ("io-error", "crashed"):
        if not context.live:
            return failed("state", f"{ve} is paused: it cannot shut down", "Resume it first.")
        # QEMU before 10.0 opens the disks of one that arrives paused at its resume only. Moved once more before that,
        # it crashes; and libvirt does not tell a pause of the admin's from one that came with a move.
        return failed("state", f"{ve} is paused, and QEMU may crash when it is moved so", "Resume it first.")
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
    if not context.ve.is_vm:
        return passed("cpu", "a container takes the CPU as it is")
    verdict = _compared(context)
    if verdict.state == "failed" and not context.live and context.guest().state is VEState.STOPPED:
        return warning("cpu", f"{verdict.text}: it will not start there", verdict.fix)
    return verdict


def _compared(context: Context) -> Check:
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
    if context.ve.is_vm and not context.live and (kept := context.source_driver.saved_state(context.uuid)):
        return failed(
            "devices",
            f"{context.ve} has {' and '.join(kept)}, kept on {context.source}: libvirt takes that along only live",
            "Start it and move it live.",
        )
    return passed("devices", f"no device of {context.source}'s own")
