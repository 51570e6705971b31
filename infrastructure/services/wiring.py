"""How VEs and a node's interfaces hang together, from what was observed; asks no engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infrastructure.models import VE, Node, NodeInterfaces, NodeNetwork

KIND_WORDS = {"": "Hardware", "bridge": "Bridge", "tun": "Tunnel", "veth": "Virtual pair", "bond": "Bond"}


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of the node: rates in bytes per second, None where none is known; `ve` is whose adapter it is."""

    name: str
    kind: str
    state: str
    mac: str
    mtu: int
    speed_mbit: int
    addresses: tuple[str, ...]
    members: tuple[str, ...]
    received: int | None
    sent: int | None
    ve: VE | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """A VE's network adapter. `bridge` is that of its network, `port` the interface of the node it is joined to."""

    ve: VE
    mac: str
    network: str
    bridge: str
    model: str
    addresses: tuple[str, ...]
    port: Port | None


@dataclass(frozen=True, slots=True)
class Net:
    """A libvirt network with the VEs that have an adapter in it."""

    row: NodeNetwork
    ves: tuple[VE, ...]


@dataclass(frozen=True, slots=True)
class Wiring:
    networks: tuple[Net, ...]
    ports: tuple[Port, ...]
    adapters: tuple[Adapter, ...]
    observed_at: datetime | None  # of the interfaces


def wiring(node: Node, ves: Sequence[VE]) -> Wiring:
    """The networks and interfaces of a node and the adapters of these VEs on it: two queries."""
    networks = list(node.networks.all())
    seen = NodeInterfaces.objects.filter(node=node).first()
    ports = _ports(seen, _owners(ves))
    adapters = _adapters(ves, {network.name: network.bridge for network in networks}, ports)
    joined: dict[str, dict[int, VE]] = {}
    for adapter in adapters:
        joined.setdefault(adapter.network, {})[adapter.ve.pk] = adapter.ve
    nets = tuple(Net(network, tuple(joined.get(network.name, {}).values())) for network in networks)
    return Wiring(nets, tuple(ports.values()), adapters, seen.observed_at if seen else None)


def _owners(ves: Iterable[VE]) -> dict[str, VE]:
    """Device on the node → whose adapter it is."""
    return {nic["target"]: ve for ve in ves for nic in ve.nics if nic.get("target")}


def _ports(seen: NodeInterfaces | None, owners: Mapping[str, VE]) -> dict[str, Port]:
    """By name: bridges and hardware first, then the adapters of VEs."""
    rows: list[dict[str, Any]] = seen.interfaces if seen else []
    members: dict[str, list[str]] = {}
    for row in rows:
        if row["master"]:
            members.setdefault(row["master"], []).append(row["name"])
    ports = [
        Port(
            name=row["name"],
            kind=KIND_WORDS.get(row["kind"], row["kind"]),
            state=row["state"],
            mac=row["mac"],
            mtu=row["mtu"],
            speed_mbit=row["speed_mbit"],
            addresses=tuple(row["addresses"]),
            members=tuple(sorted(members.get(row["name"], []))),
            received=_rate(seen, row["name"], 0),
            sent=_rate(seen, row["name"], 1),
            ve=owners.get(row["name"]),
        )
        for row in rows
    ]
    ports.sort(key=lambda port: (port.ve is not None, port.kind != "Bridge", port.name))
    return {port.name: port for port in ports}


def _rate(seen: NodeInterfaces | None, name: str, way: int) -> int | None:
    known = seen.rates.get(name) if seen else None
    return known[way] if known else None


def _adapters(ves: Iterable[VE], bridges: Mapping[str, str], ports: Mapping[str, Port]) -> tuple[Adapter, ...]:
    return tuple(
        Adapter(
            ve=ve,
            mac=nic.get("mac", ""),
            network=nic.get("network", ""),
            bridge=nic.get("bridge", "") or bridges.get(nic.get("network", ""), ""),
            model=nic.get("model", ""),
            # The guest tells its addresses as a whole; with one adapter they are that one's.
            addresses=tuple(nic.get("addresses") or (ve.addresses if len(ve.nics) == 1 else ())),
            port=ports.get(nic.get("target", "")),
        )
        for ve in ves
        for nic in ve.nics
    )
