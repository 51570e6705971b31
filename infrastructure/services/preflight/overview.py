"""All nodes as possible targets, from the database alone: no engine is asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from infrastructure.choices import NodeState, VEState
from infrastructure.models import VE, Node
from infrastructure.services.figures import gib

TIGHT_PERCENT = 90.0


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """A node as target. Percentages are of the whole node, None where not known; `reason` says why it is not ready."""

    node: Node
    state: Literal["ready", "warning", "blocked"]
    cpu_before: float | None
    cpu_after: float | None
    memory_before: float | None
    memory_after: float | None
    reason: str


def overview(ve: VE, nodes: Iterable[Node] | None = None, *, live: bool | None = None) -> list[TargetSummary]:
    """Every node but its own, those that can take it first and of these the one with most memory left.

    live: how it is to move; by default live where it can. nodes: to choose from, with their networks, where they are
    loaded already.
    """
    if nodes is None:
        nodes = Node.objects.prefetch_related("networks")
    live = ve.is_vm if live is None else live
    return sorted((_summary(ve, node, live) for node in nodes if node.pk != ve.node_id), key=_rank)


def _summary(ve: VE, node: Node, live: bool) -> TargetSummary:
    cpu = node.cpu_percent
    extra = (ve.cpu_percent or 0.0) * (ve.vcpus or 1) / node.cpu_threads if node.cpu_threads else 0.0
    used, after = _memory(ve, node)
    blocked = _blocked(ve, node, live)
    if blocked:
        return TargetSummary(node, "blocked", cpu, None, used, None, blocked)
    cpu_after = None if cpu is None else min(100.0, cpu + extra)
    if after is not None and after > TIGHT_PERCENT:
        return TargetSummary(
            node, "warning", cpu, cpu_after, used, after, f"RAM above {TIGHT_PERCENT:.0f}% after the move"
        )
    return TargetSummary(node, "ready", cpu, cpu_after, used, after, "")


def _memory(ve: VE, node: Node) -> tuple[float | None, float | None]:
    if not node.memory_bytes or node.memory_free is None:
        return None, None
    used = node.memory_bytes - node.memory_free
    after = used + (ve.memory_bytes or 0)
    return 100.0 * used / node.memory_bytes, 100.0 * after / node.memory_bytes


def _blocked(ve: VE, node: Node, live: bool) -> str:
    if live and not ve.is_vm:
        return "A container moves offline only"
    if ve.state == VEState.PAUSED:
        return "It is paused; resume it first"
    if node.state != NodeState.ONLINE:
        return node.state_reason or NodeState(node.state).label
    if node.maintenance:
        return "Node is in maintenance"
    needs = ve.is_vm and ve.state != VEState.STOPPED
    if needs and node.memory_free is not None and (ve.memory_bytes or 0) > node.memory_free:
        return f"{gib(node.memory_free)} of {gib(ve.memory_bytes or 0)} GiB free: not enough memory"
    known = {network.name for network in node.networks.all() if network.active}
    missing = sorted({nic["network"] for nic in ve.nics if nic.get("network")} - known)
    if missing:
        return f"No network {', '.join(missing)}"
    if ve.snapshots:
        return "Has snapshots, which libvirt cannot move"
    return ""


def _rank(summary: TargetSummary) -> tuple[int, float, str]:
    order = {"ready": 0, "warning": 1, "blocked": 2}
    after = summary.memory_after if summary.memory_after is not None else 100.0
    return order[summary.state], after, summary.node.name
