"""Writing the inventory's rows: all that differs, in a few statements, under one revision."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from infrastructure.drivers.facts import NetworkFacts
from infrastructure.models import VE, InventoryRevision, Node, NodeInterfaces, NodeNetwork, Placement, Removal
from infrastructure.services.inventory_columns import assign
from infrastructure.services.row_updates import update_each, update_rows
from infrastructure.services.words import SOURCES, write_words


@dataclass(frozen=True, slots=True)
class Interfaces:
    """A node's network interfaces as dictionaries, and name → [received, sent] in bytes per second."""

    interfaces: list[dict[str, Any]]
    rates: dict[str, list[int]]
    at: datetime


@dataclass(slots=True)
class Changes:
    """What is to be written. Rows are changed in memory already; the sets name their columns."""

    ves: dict[str, tuple[VE, set[str]]] = field(default_factory=dict)  # by UUID; a row without a key is new
    nodes: dict[int, tuple[Node, set[str]]] = field(default_factory=dict)
    seen: dict[int, datetime] = field(default_factory=dict)  # node id → when it answered; takes no revision
    placements: dict[tuple[str, int], Placement] = field(default_factory=dict)
    ended: list[Placement] = field(default_factory=list)
    networks: dict[int, tuple[NetworkFacts, ...]] = field(default_factory=dict)
    interfaces: dict[int, Interfaces] = field(default_factory=dict)
    removed_ves: set[int] = field(default_factory=set)
    removed_nodes: set[int] = field(default_factory=set)

    def write(self) -> int | None:
        """Write all in the running transaction; returns the revision taken, None when nothing needed one."""
        moved_networks = self._write_networks()
        moved_networks |= {pk for pk, seen in self.interfaces.items() if _write_interfaces(pk, seen)}
        changed_nodes = moved_networks | {pk for pk, (_node, names) in self.nodes.items() if names}
        rev = None
        if self.ves or changed_nodes or self.removed_ves or self.removed_nodes:
            rev = InventoryRevision.bump()
        Placement.objects.filter(pk__in=[placement.pk for placement in self.ended]).delete()
        self._write_ves(rev or 0)
        self._write_placements()
        self._write_nodes(changed_nodes, rev or 0)
        self._write_removals(rev or 0)
        return rev

    def _write_networks(self) -> set[int]:
        """Make the networks of the nodes what was found; the nodes of which anything differed."""
        known: dict[int, dict[str, NodeNetwork]] = {pk: {} for pk in self.networks}
        for network in NodeNetwork.objects.filter(node__in=known) if known else ():
            known[network.node_id][network.name] = network
        return {pk for pk, found in self.networks.items() if _replace_networks(pk, found, known[pk])}

    def _write_ves(self, rev: int) -> None:
        new: list[VE] = []
        known: list[tuple[VE, set[str]]] = []
        for ve, names in self.ves.values():
            ve.rev = rev
            if ve.pk is None:
                new.append(ve)
            else:
                known.append((ve, names | {"rev"}))
        if new:
            VE.objects.bulk_create(new)
        update_each(known)
        write_words([*new, *(ve for ve, names in known if names & SOURCES)])

    def _write_placements(self) -> None:
        new: list[Placement] = []
        known: list[Placement] = []
        for placement in self.placements.values():
            placement.ve_id = placement.ve.pk
            (new if placement.pk is None else known).append(placement)
        if new:
            Placement.objects.bulk_create(new)
        update_rows(known, ["state", "reason", "observed_at"])

    def _write_nodes(self, changed: set[int], rev: int) -> None:
        for pk in changed:
            node, names = self.nodes.get(pk, (None, set()))
            columns = {name: getattr(node, name) for name in names}
            if pk in self.seen:
                columns["observed_at"] = self.seen[pk]
            Node.objects.filter(pk=pk).update(**columns, rev=rev)
        update_rows([Node(pk=pk, observed_at=self.seen[pk]) for pk in self.seen.keys() - changed], ["observed_at"])

    def _write_removals(self, rev: int) -> None:
        now = timezone.now()
        removals = [Removal(kind="ve", object_id=pk, rev=rev, at=now) for pk in self.removed_ves]
        removals += [Removal(kind="node", object_id=pk, rev=rev, at=now) for pk in self.removed_nodes]
        if removals:
            VE.objects.filter(pk__in=self.removed_ves).delete()
            Removal.objects.bulk_create(removals)


def _replace_networks(node_id: int, found: tuple[NetworkFacts, ...], known: dict[str, NodeNetwork]) -> bool:
    """Make the node's networks the found ones; whether anything differed."""
    wanted = {network.name[:100]: _network_columns(network) for network in found}
    gone = [network.pk for name, network in known.items() if name not in wanted]
    new = [NodeNetwork(node_id=node_id, name=name, **columns) for name, columns in wanted.items() if name not in known]
    changed: list[NodeNetwork] = []
    for name, network in known.items():
        if name in wanted and assign(network, wanted[name]):
            changed.append(network)
    if gone:
        NodeNetwork.objects.filter(pk__in=gone).delete()
    if new:
        NodeNetwork.objects.bulk_create(new)
    update_rows(changed, ["bridge", "active", "autostart", "mode", "addresses", "dhcp"])
    return bool(gone or new or changed)


def _network_columns(found: NetworkFacts) -> dict[str, Any]:
    return {
        "bridge": found.bridge[:63],
        "active": found.active,
        "autostart": found.autostart,
        "mode": found.mode[:30],
        "addresses": list(found.addresses),
        "dhcp": list(found.dhcp),
    }


def _write_interfaces(node_id: int, found: Interfaces) -> bool:
    """Record the node's interfaces and their traffic; whether more than the traffic differed."""
    known = NodeInterfaces.objects.filter(node=node_id).first()
    # A known time in the future was written before the clock was set back: it says nothing.
    if known is not None and found.at < known.observed_at <= timezone.now():
        return False
    columns = {"interfaces": found.interfaces, "rates": found.rates, "observed_at": found.at}
    if known is None:
        NodeInterfaces.objects.create(node_id=node_id, **columns)
    else:
        NodeInterfaces.objects.filter(node=node_id).update(**columns)
    return known is None or known.interfaces != found.interfaces
