"""What observers tell the writer. ``key``: a later message of the same key makes an unwritten earlier one needless."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from infrastructure.choices import NodeState
from infrastructure.drivers.facts import NodeFacts, VEFacts
from infrastructure.services.inventory_batch import Batch
from infrastructure.services.inventory_rows import Interfaces
from infrastructure.services.inventory_samples import NodeReading

Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A node and all its VEs."""

    node_id: int
    facts: NodeFacts
    ves: tuple[VEFacts, ...]
    at: datetime

    @property
    def key(self) -> Key:
        return ("node", self.node_id, "")

    def apply(self, batch: Batch) -> None:
        node = batch.node(self.node_id)
        if node is not None and batch.node_answered(node, self.facts, self.at):
            batch.listed(node, self.ves, self.at)


@dataclass(frozen=True, slots=True)
class Failed:
    """A node that cannot be asked, or (refused) must not be trusted."""

    node_id: int
    reason: str
    refused: bool

    @property
    def key(self) -> Key:
        return ("node", self.node_id, "")

    def apply(self, batch: Batch) -> None:
        if (node := batch.node(self.node_id)) is not None:
            batch.node_failed(node, self.reason, NodeState.REFUSED if self.refused else NodeState.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Seen:
    """One VE as its node shows it."""

    node_id: int
    facts: VEFacts
    at: datetime
    booted: bool = False

    @property
    def key(self) -> Key:
        return ("ve", self.node_id, self.facts.uuid)

    def apply(self, batch: Batch) -> None:
        if (node := batch.node(self.node_id)) is not None:
            batch.placed(node, self.facts, self.at, booted=self.booted)


@dataclass(frozen=True, slots=True)
class Left:
    """A VE that the node does not have."""

    node_id: int
    uuid: str
    at: datetime

    @property
    def key(self) -> Key:
        return ("ve", self.node_id, self.uuid)

    def apply(self, batch: Batch) -> None:
        if (node := batch.node(self.node_id)) is not None:
            batch.left(node, self.uuid, self.at)


@dataclass(frozen=True, slots=True)
class Addresses:
    """IP addresses of a running VE."""

    node_id: int
    uuid: str
    addresses: tuple[str, ...]

    @property
    def key(self) -> Key:
        return ("addresses", self.node_id, self.uuid)

    def apply(self, batch: Batch) -> None:
        batch.addressed(self.node_id, self.uuid, self.addresses)


@dataclass(frozen=True, slots=True)
class Booted:
    """When the node itself was started."""

    node_id: int
    at: datetime

    @property
    def key(self) -> Key:
        return ("booted", self.node_id, "")

    def apply(self, batch: Batch) -> None:
        if (node := batch.node(self.node_id)) is not None:
            batch.node_booted(node, self.at)


@dataclass(frozen=True, slots=True)
class Wired:
    """The network interfaces of a node."""

    node_id: int
    found: Interfaces

    @property
    def key(self) -> Key:
        return ("interfaces", self.node_id, "")

    def apply(self, batch: Batch) -> None:
        if (node := batch.node(self.node_id)) is not None:
            batch.interfaces(node, self.found)


Change = Listed | Failed | Seen | Left | Addresses | Booted | Wired
Message = Change | NodeReading


def foresee(batch: Batch, changes: Collection[Change]) -> None:
    """Have the batch fetch the rows of all changes at once, instead of each one its own."""
    batch.foresee(
        {change.node_id for change in changes},
        {uuid for change in changes for uuid in _uuids(change)},
        {change.node_id for change in changes if isinstance(change, Listed)},
    )


def _uuids(change: Change) -> Iterable[str]:
    match change:
        case Listed():
            return (ve.uuid for ve in change.ves)
        case Seen():
            return (change.facts.uuid,)
        case Left() | Addresses():
            return (change.uuid,)
    return ()
