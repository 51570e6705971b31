"""All nodes as possible targets, from the database alone: no engine is asked."""

from dataclasses import dataclass
from typing import Literal

from infrastructure.choices import NodeState
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


def overview(ve: VE) -> list[TargetSummary]:
    """Every node but its own, those that can take it first and of these the one with most memory left."""
    nodes = Node.objects.exclude(pk=ve.node_id or 0).prefetch_related("networks")
    return sorted((_summary(ve, node) for node in nodes), key=_rank)


def _summary(ve: VE, node: Node) -> TargetSummary:
    cpu = node.cpu_percent
    extra = (ve.cpu_percent or 0.0) * (ve.vcpus or 1) / node.cpu_threads if node.cpu_threads else 0.0
    used, after = _memory(ve, node)
    blocked = _blocked(ve, node)
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


def _blocked(ve: VE, node: Node) -> str:
    if not ve.is_vm:
        return "libvirt cannot migrate containers"
    if node.state != NodeState.ONLINE:
        return node.state_reason or NodeState(node.state).label
    if node.maintenance:
        return "Node is in maintenance"
    if node.memory_free is not None and (ve.memory_bytes or 0) > node.memory_free:
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
