"""Checks about the node that would receive the VE."""

from infrastructure.choices import NodeState
from infrastructure.drivers.base import NotFound, VEState
from infrastructure.services import figures
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import Check, failed, passed, warning

TIGHT = 0.9  # of a node's memory in use after the move: a warning


def online(context: Context) -> Check:
    target = context.target
    if target.state == NodeState.NEW:
        return failed("online", f"{target} is not set up", "Open its page and set it up.")
    if target.state != NodeState.ONLINE:
        reason = target.state_reason or f"{target} does not answer"
        return failed("online", reason, "Bring the node back, or choose another.")
    facts = context.host()
    return passed("online", f"{target} answers, libvirt {facts.libvirt_version}")


def maintenance(context: Context) -> Check:
    target = context.target
    if target.maintenance:
        return failed("maintenance", f"{target} is in maintenance", "End its maintenance, or choose another node.")
    return passed("maintenance", f"{target} takes VEs")


def place(context: Context) -> Check:
    """The target must not have the VE yet, nor another one of its name, nor be where it is."""
    ve, target = context.ve, context.target
    if context.source.pk == target.pk:
        return failed("place", f"{ve} is on {target} already", "Choose another node.")
    try:
        there = context.target_driver.ve(context.uuid)
    except NotFound:
        pass
    else:
        if there.state is VEState.PAUSED and there.reason in ("migration", "starting-up"):
            fix = "It is left of an earlier move; libvirt clears it away within a minute. Then try again."
        elif there.state is VEState.STOPPED:
            fix = f"Remove the stale definition there: `virsh undefine {ve}`."
        else:
            fix = "Find out which of the two is right, and stop the other."
        return failed("place", f"{target} has {ve} too ({there.state})", fix)
    name = context.guest().name
    if any(other.name == name for other in context.target_driver.ves()):
        return failed("place", f"{target} has another VE named {name}", "Rename one of them.")
    return passed("place", f"{target} has no {name} yet")


def memory(context: Context) -> Check:
    """Memory that is free now against what the VE may use."""
    guest, host = context.guest(), context.host()
    if not context.live and guest.state is VEState.STOPPED:
        return passed("memory", f"{context.ve} is stopped and needs none now")
    need = guest.memory_bytes
    free, total = host.memory_free, host.memory_bytes
    target = context.target
    if need > free and not context.ve.is_vm:
        limit = f"{figures.gib(free)} GiB free on {target}; {context.ve} may use up to {figures.memory(need)}"
        return warning("memory", limit, "Choose a node with more room.")
    if need > free:
        return failed(
            "memory",
            f"{target}: {figures.gib(free)} of {figures.gib(need)} GiB free: not enough memory",
            f"Free {figures.memory(need - free)} on {target}, or choose another node.",
        )
    text = f"{figures.gib(free)} GiB free, {figures.memory(need)} needed"
    used = (total - free + need) / total if total else 0.0
    if used > TIGHT:
        return warning(
            "memory", f"{text}; {used:.0%} of {target} in use after the move", "Choose a node with more room."
        )
    return passed("memory", text)


def networks(context: Context) -> Check:
    """Each network adapter's network, or bridge, by name and active."""
    host, target = context.host(), context.target
    active = {network.name: network.active for network in host.networks}
    bridges = {*host.bridges, *(network.bridge for network in host.networks if network.active)}
    wanted = [(nic.network, "") for nic in context.guest().nics if nic.network]
    wanted += [("", nic.bridge) for nic in context.guest().nics if nic.bridge and not nic.network]
    for network, bridge in wanted:
        if network and network not in active:
            return failed(
                "networks", f"{target} has no network {network}", f"Define it there: `virsh net-define {network}.xml`."
            )
        if network and not active[network]:
            return failed(
                "networks",
                f"The network {network} of {target} is not active",
                f"Start it: `virsh net-start {network}`.",
            )
        if bridge and bridge not in bridges:
            return failed("networks", f"{target} has no bridge {bridge}", f"Make the bridge {bridge} on {target}.")
    names = sorted({network or bridge for network, bridge in wanted})
    if not names:
        return passed("networks", f"{context.ve} has no network adapter")
    return passed("networks", f"{', '.join(names)} {'exists' if len(names) == 1 else 'exist'} on {target}")
