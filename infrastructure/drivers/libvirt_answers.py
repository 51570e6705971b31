"""What libvirt tells of a domain beside its XML: asked of the domain itself, or of all domains at once.

Each question is a round trip to the node; at once, five take the place of five for each VM.
"""

from collections.abc import Mapping
from typing import Any

import libvirt

from infrastructure.drivers.facts import VEKind, VEStatus
from infrastructure.drivers.libvirt_codes import state_of
from infrastructure.drivers.libvirt_errors import is_code, optional

# While a VM migrates in, other questions about its disks wait for the end of the migration.
_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_MARKS_OF_ALL = {
    "autostart": libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
    "persistent": libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT,
}
_MARKS = _MARKS_OF_ALL | {
    "saved": libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
    "snapshots": libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT,
}


def status(domain: "libvirt.virDomain") -> VEStatus:
    """State and reason of a domain."""
    number, reason = domain.state()
    return VEStatus(*state_of(number, reason))


class Asked:
    """Each question goes to the domain. False, 0 or {} where the engine knows no such thing, libvirtError otherwise."""

    def status(self, domain: "libvirt.virDomain") -> VEStatus:
        return status(domain)

    def autostart(self, domain: "libvirt.virDomain") -> bool:
        return _or_zero(domain.autostart) == 1

    def persistent(self, domain: "libvirt.virDomain") -> bool:
        return _or_zero(domain.isPersistent) == 1

    def saved(self, domain: "libvirt.virDomain") -> bool:
        return _or_zero(domain.hasManagedSaveImage) == 1

    def snapshots(self, domain: "libvirt.virDomain") -> int:
        return _or_zero(domain.snapshotNum)

    def sizes(self, domain: "libvirt.virDomain") -> dict[str, int]:
        """Device name → bytes, of an active domain; 0 for a disk that cannot be asked about now."""
        with optional():
            found = domain.connect().domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_BLOCK, _FLAGS)
            return _sizes(found[0][1]) if found else {}  # none of a domain that has gone meanwhile
        return {}


class AskedAtOnce(Asked):
    """Made of a connection's answers about all its domains; what the engine does not tell so is asked of the domain.

    What changes meanwhile shows at the next look. Containers have neither snapshots nor saved states, and libvirt gives
    no such statistics of them.
    """

    def __init__(self, connection: "libvirt.virConnect", kind: VEKind) -> None:
        marks = _MARKS if kind is VEKind.VM else _MARKS_OF_ALL
        self._marks = {name: _marked(connection, flag) for name, flag in marks.items()}
        self._stats: dict[str, Mapping[str, Any]] = {}
        if kind is VEKind.CT:
            return
        with optional():
            groups = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_BLOCK
            found = connection.getAllDomainStats(groups, _FLAGS)
            self._stats = {domain.UUIDString(): stats for domain, stats in found}

    def status(self, domain: "libvirt.virDomain") -> VEStatus:
        stats = self._stats.get(domain.UUIDString(), {})
        if "state.state" not in stats:
            return super().status(domain)
        return VEStatus(*state_of(stats["state.state"], stats.get("state.reason", 0)))

    def autostart(self, domain: "libvirt.virDomain") -> bool:
        marked = self._has("autostart", domain)
        return super().autostart(domain) if marked is None else marked

    def persistent(self, domain: "libvirt.virDomain") -> bool:
        marked = self._has("persistent", domain)
        return super().persistent(domain) if marked is None else marked

    def saved(self, domain: "libvirt.virDomain") -> bool:
        marked = self._has("saved", domain)
        return super().saved(domain) if marked is None else marked

    def snapshots(self, domain: "libvirt.virDomain") -> int:
        return 0 if self._has("snapshots", domain) is False else super().snapshots(domain)

    def sizes(self, domain: "libvirt.virDomain") -> dict[str, int]:
        stats = self._stats.get(domain.UUIDString())
        return super().sizes(domain) if stats is None else _sizes(stats)

    def _has(self, mark: str, domain: "libvirt.virDomain") -> bool | None:
        """None: the engine does not tell."""
        marked = self._marks.get(mark)
        return None if marked is None else domain.UUIDString() in marked


def _marked(connection: "libvirt.virConnect", flag: int) -> frozenset[str] | None:
    """The UUIDs of the domains with this mark; None when the engine cannot list them so."""
    with optional():
        return frozenset(domain.UUIDString() for domain in connection.listAllDomains(flag))
    return None


def _sizes(stats: Mapping[str, Any]) -> dict[str, int]:
    numbers = range(stats.get("block.count", 0))
    return {stats[f"block.{n}.name"]: int(stats.get(f"block.{n}.capacity", 0)) for n in numbers}


def _or_zero(ask: "object") -> int:
    """The answer of an optional question; 0 where this engine does not know it."""
    try:
        return int(ask())  # type: ignore[operator]
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_OPERATION_INVALID):
            return 0
        raise
