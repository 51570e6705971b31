"""Portal addresses: which a node has to spare, which it may be given, and which a target takes along when it moves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from typing import TypedDict

from infrastructure.models import Node, NodeInterfaces
from infrastructure.services.errors import InvalidInput, NotPossible
from iscsi.models import Portal, Target
from iscsi.services.inputs import clean_new_address

MOST = 8
_WAIT = "Wait until the node has told its interfaces, a few seconds after it answers."


@dataclass(frozen=True, slots=True)
class Wish:
    """A portal that somebody asks for: an address that the node has, or, with `interface`, "10.0.0.5/24" to add.

    interface: "" for the one that is in the address's network.
    """

    address: str
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """An address of a node that no target has."""

    address: str
    prefix: int
    interface: str


class Place(TypedDict):
    """A portal as tasks carry it."""

    address: str
    prefix: int
    interface: str
    added: bool


def free_addresses(node: Node, target: Target | None = None) -> list[Free]:
    """Addresses that a new portal on the node can have; those of `target` count as free. From the last look."""
    used = set(Portal.objects.exclude(target=target).values_list("address", flat=True))
    return [each for each in _addresses(node) if each.address not in used]


def interfaces(node: Node) -> list[tuple[str, list[str]]]:
    """Interfaces that an address can be added to, each with its networks: ("br0", ["192.0.2.0/24"])."""
    found: dict[str, list[str]] = {str(row["name"]): [] for row in _rows(node)}
    for each in _addresses(node):
        found[each.interface].append(str(ip_network(f"{each.address}/{each.prefix}", strict=False)))
    return [(name, sorted(set(networks))) for name, networks in found.items()]


def resolve(node: Node, wishes: Sequence[Wish], target: Target | None = None) -> list[Place]:
    """What a target's portals will be. `target`: the one that has some of them already.

    InvalidInput (field "portals") for none, too many, one twice, one that another target or machine has.
    """
    if not wishes:
        raise InvalidInput("A target needs an address", advice="Choose one of the node's, or add one.", field="portals")
    if len(wishes) > MOST:
        raise InvalidInput(f"A target has at most {MOST} portal addresses", field="portals")
    own = {portal.address: portal for portal in target.portals.all()} if target and target.node_id == node.pk else {}
    places = [_resolved(node, wish, own) for wish in wishes]
    if len({place["address"] for place in places}) < len(places):
        raise InvalidInput("One address is named twice", advice="Take one of them out.", field="portals")
    for place in places:
        _refuse_used(place, target)
    return places


def places_of(target: Target) -> list[Place]:
    """The portals that a target has now."""
    return [
        Place(address=each.address, prefix=each.prefix, interface=each.interface, added=each.added)
        for each in target.portals.all()
    ]


def set_portals(target: Target, places: Iterable[Place]) -> None:
    """Give a target these portals and no others; call it in a transaction."""
    wanted = {place["address"]: place for place in places}
    target.portals.exclude(address__in=wanted).delete()
    for place in wanted.values():
        rest = {key: value for key, value in place.items() if key != "address"}
        Portal.objects.update_or_create(target=target, address=place["address"], defaults=rest)


def gone_from(node: Node, places: Iterable[Place]) -> None:
    """Strike addresses that Mooring took off a node out of its last look: the next one is a quarter of a minute away.

    Else they would be offered as the node's own meanwhile, and refused as new ones. Call it in a transaction.
    """
    gone = {place["address"] for place in places if place["added"]}
    known = NodeInterfaces.objects.select_for_update().filter(node=node).first()
    if known is None or not gone:
        return
    for row in known.interfaces:
        row["addresses"] = [text for text in row.get("addresses") or () if str(text).partition("/")[0] not in gone]
    known.save(update_fields=["interfaces"])


def moved(target: Target, node: Node, chosen: dict[str, str] | None = None) -> list[Place]:
    """The portals of a target on another node. chosen: address → interface there; else the one of the same network.

    NotPossible for an address that is its node's own: only such as Mooring added can go along. InvalidInput (field
    "node") when the other node has no interface for it.
    """
    places = places_of(target)
    if fixed := [place["address"] for place in places if not place["added"]]:
        verb, them = ("is", "it") if len(fixed) == 1 else ("are", "them")
        raise NotPossible(
            f"{', '.join(fixed)} {verb} {target.node}'s own and cannot go along",
            advice=f"Edit the target: replace {them} by addresses that Mooring adds.",
        )
    return [{**place, "interface": _interface_for(node, place, (chosen or {}).get(place["address"], ""))}
            for place in places]  # fmt: skip


def _interface_for(node: Node, place: Place, chosen: str) -> str:
    if chosen:
        _require_interface(node, chosen, "node")
        return chosen
    return _in_network(node, place["address"], "Choose the interface that gets the address, or another node.", "node")


def _in_network(node: Node, address: str, advice: str, field: str) -> str:
    """The interface of the node that is in the network of an address. InvalidInput when none is."""
    parsed = ip_address(address)
    for name, networks in interfaces(node):
        if any(parsed in ip_network(network) for network in networks):
            return name
    raise InvalidInput(f"{node} has no interface in the network of {address}", advice=advice, field=field)


def _resolved(node: Node, wish: Wish, own: dict[str, Portal]) -> Place:
    if wish.interface is not None:
        address, prefix = clean_new_address(wish.address)
        advice = "Choose the interface that gets the address."
        interface = wish.interface or _in_network(node, address, advice, "interface")
        _require_interface(node, interface, "interface")
        if any(each.address == address for each in _addresses(node)) and address not in own:
            raise InvalidInput(f"{node} has {address} already", advice="Choose it from the list.", field="portals")
        return Place(address=address, prefix=prefix, interface=interface, added=True)
    portal = own.get(wish.address.strip())
    if portal is not None:
        return Place(address=portal.address, prefix=portal.prefix, interface=portal.interface, added=portal.added)
    there = next((each for each in _addresses(node) if each.address == wish.address.strip()), None)
    if there is None:
        raise InvalidInput(
            f"{node} does not have the address {wish.address.strip()[:60]!r}",
            advice="Choose one of its addresses, or have Mooring add one.",
            field="portals",
        )
    return Place(address=there.address, prefix=there.prefix, interface=there.interface, added=False)


def _refuse_used(place: Place, target: Target | None) -> None:
    address = place["address"]
    other = Portal.objects.filter(address=address).exclude(target=target).select_related("target").first()
    if other is not None:
        raise InvalidInput(
            f"{address} is a portal of {other.target}", advice="An address belongs to one target.", field="portals"
        )
    mine = target is not None and target.portals.filter(address=address).exists()
    if place["added"] and not mine and (owner := _owner(address)):
        raise InvalidInput(
            f"{address} is an address of {owner}", advice="Choose one that no machine has.", field="portals"
        )


def _owner(address: str) -> str:
    """The node that shows the address, or is reached at it; "" when none does."""
    for row in NodeInterfaces.objects.select_related("node"):
        if address in {str(text).partition("/")[0] for each in row.interfaces for text in each.get("addresses", ())}:
            return row.node.name
    return Node.objects.filter(address=address).values_list("name", flat=True).first() or ""


def _require_interface(node: Node, name: str, field: str) -> None:
    if name not in {known for known, _ in interfaces(node)}:
        raise InvalidInput(f"{node} has no interface {name[:30]!r}", advice="Choose one of the list.", field=field)


def _rows(node: Node) -> list[dict[str, object]]:
    known = NodeInterfaces.objects.filter(node=node).first()
    if known is None:
        raise NotPossible(f"The interfaces of {node} are not known yet", advice=_WAIT, field="portals")
    return [row for row in known.interfaces if row.get("name") and row.get("kind") not in ("tun", "veth")]


def _addresses(node: Node) -> list[Free]:
    found = []
    for row in _rows(node):
        listed = row.get("addresses")
        for text in listed if isinstance(listed, list) else []:
            parsed = ip_interface(str(text))
            if not parsed.ip.is_link_local:
                found.append(Free(str(parsed.ip), parsed.network.prefixlen, str(row["name"])))
    return found
