"""The connections of one node: one to its VMs' driver (qemu), one to its CTs' (lxc)."""

import threading

import libvirt

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import DriverError, NotFound, NotSupported
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_hub import Hub
from infrastructure.drivers.libvirt_link import Link

_ABSENT = ("VIR_ERR_NO_CONNECT", "VIR_ERR_CONFIG_UNSUPPORTED", "VIR_ERR_NO_SUPPORT")


class Links:
    """Finds the connection for a VE.  A driver that the node lacks is found out once and then left out."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        kinds = [VEKind.VM, VEKind.CT]
        if endpoint.uri:
            kinds = [VEKind.CT if endpoint.uri.startswith("lxc") else VEKind.VM]
        self._links = {kind: Link(endpoint, kind) for kind in kinds}
        self._hubs = {kind: Hub(link) for kind, link in self._links.items()}
        self._present: dict[VEKind, bool] = {}
        self._kinds: dict[str, VEKind] = {}  # of VEs seen; a UUID never changes its kind
        self._lock = threading.Lock()

    def all(self) -> list[Link]:
        """The connections that this node has, opened.  Unreachable when it does not answer, NotSupported with none."""
        found = [link for link in self._links.values() if self._is_present(link)]
        if not found:
            raise NotSupported(
                f"libvirtd on {self.endpoint.name} has neither the QEMU nor the LXC driver",
                code="no-driver",
                advice="Install libvirt-daemon-driver-qemu on the node, then onboard it again.",
            )
        return found

    def first(self) -> Link:
        """The connection that describes the node itself."""
        return self.all()[0]

    def of(self, kind: VEKind) -> Link | None:
        """The connection of one kind, None when the node has no such driver."""
        link = self._links.get(kind)
        return link if link is not None and self._is_present(link) else None

    def hub(self, kind: VEKind) -> Hub:
        """The events of one kind's connection."""
        return self._hubs[kind]

    def remember(self, uuid: str, kind: VEKind) -> None:
        """Spare ``holding`` the question."""
        self._kinds[uuid] = kind

    def holding(self, uuid: str) -> Link:
        """The connection whose driver has this VE; NotFound when none has."""
        known = self._kinds.get(uuid)
        if known is not None:
            return self._links[known]
        for link in self.all():
            if link.call(lambda conn: _has(conn, uuid), doing="look the VE up"):
                self._kinds[uuid] = link.kind
                return link
        raise NotFound(
            f"{self.endpoint.name} has no Virtual Environment with the UUID {uuid[:60]}",
            code="VIR_ERR_NO_DOMAIN",
            advice="Refresh the inventory; it may have moved to another node.",
        )

    def drop(self) -> None:
        """Give all connections up without waiting for the node."""
        for link in self._links.values():
            link.drop()
        with self._lock:
            self._present.clear()

    def _is_present(self, link: Link) -> bool:
        known = self._present.get(link.kind)
        if known is not None:
            return known
        try:
            link.call(lambda _conn: None, doing="accept a connection")
        except DriverError as error:
            if error.code not in _ABSENT:
                raise
            present = False
        else:
            present = True
        with self._lock:
            self._present[link.kind] = present
        return present


def _has(connection: "libvirt.virConnect", uuid: str) -> bool:
    try:
        connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
            return False
        raise
    return True
