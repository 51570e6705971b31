"""Where the VEs of a bulk migration go: all to one node, or each to the one with most free memory then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from infrastructure.choices import VEState
from infrastructure.models import VE, Node
from infrastructure.services.migration import moves_live
from infrastructure.services.preflight import TargetSummary, overview


@dataclass(frozen=True, slots=True)
class Place:
    """A VE, its target, or why it has none. `warning`: it fits, but tightly."""

    ve: VE
    target: Node | None
    reason: str = ""
    warning: str = ""


class Room:
    """The nodes with the memory that is left on them once what was placed so far has arrived.

    What leaves a node is not counted as free there: nobody knows which of the moves ends first.
    """

    def __init__(self, nodes: Iterable[Node] | None = None) -> None:
        found = Node.objects.prefetch_related("networks") if nodes is None else nodes
        self.nodes = {node.pk: node for node in found}

    def to(self, ve: VE, target_id: int) -> Place:
        """Place the VE on this node, if it can go there."""
        if target_id == ve.node_id:
            return Place(ve, None, f"{ve} is on {ve.node} already")
        if target_id not in self.nodes:
            return Place(ve, None, "This node was removed")
        return self._take(ve, overview(ve, [self.nodes[target_id]], live=moves_live(ve))[0])

    def best(self, ve: VE) -> Place:
        """Place the VE on the node with most memory left, among those that can take it."""
        found = overview(ve, self.nodes.values(), live=moves_live(ve))
        if not found:
            return Place(ve, None, "There is no other node")
        return self._take(ve, found[0])

    def _take(self, ve: VE, summary: TargetSummary) -> Place:
        node = summary.node
        if summary.state == "blocked":
            return Place(ve, None, f"{node}: {summary.reason[:1].lower()}{summary.reason[1:]}")
        if node.memory_free is not None and ve.state != VEState.STOPPED:
            node.memory_free = max(0, node.memory_free - (ve.memory_bytes or 0))  # of this copy alone, never saved
        return Place(ve, node, "", summary.reason)


def place(
    ves: Sequence[VE],
    *,
    target_id: int | None = None,
    given: Mapping[int, int] | None = None,
    room: Room | None = None,
) -> list[Place]:
    """A place for each VE, in the order of `ves`.

    target_id: all go there. given: VE id → node id, as an admin was shown before. Neither: the largest are placed
    first, each where most memory is left.
    """
    room = room or Room()
    if target_id is not None:
        return [room.to(ve, target_id) for ve in ves]
    if given is not None:
        return [room.to(ve, given.get(ve.pk, 0)) for ve in ves]
    found = {ve.pk: room.best(ve) for ve in sorted(ves, key=lambda ve: (-(ve.memory_bytes or 0), ve.name))}
    return [found[ve.pk] for ve in ves]
