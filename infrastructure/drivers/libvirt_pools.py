"""Secrets and storage pools of a node's libvirt.

A pool's start asks Ceph and may hang for half a minute, so these calls have a connection of their own.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt
from lxml import etree

from infrastructure.drivers.attaching import RbdPool
from infrastructure.drivers.base import remaining
from infrastructure.drivers.errors import Conflict
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_connection import Connection
from infrastructure.drivers.libvirt_errors import is_code
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_xml import parse

T = TypeVar("T")
SECONDS = 20.0  # for a start; libvirt itself gives Ceph 30


class LibvirtPools:
    """The Attacher protocol."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def keep_secret(self, uuid: str, usage: str, value: bytes) -> bool:
        return self._call(lambda conn: _keep_secret(conn, uuid, usage, value), "keep the storage's key")

    def drop_secret(self, uuid: str) -> bool:
        return self._call(lambda conn: _drop_secret(conn, uuid), "forget the storage's key")

    def secrets(self) -> frozenset[str]:
        return self._call(lambda conn: frozenset(conn.listSecrets()), "list its secrets")

    def keep_pool(self, pool: RbdPool) -> bool:
        return self._call(lambda conn: _keep_pool(conn, pool), "start the storage pool")

    def drop_pool(self, uuid: str) -> bool:
        return self._call(lambda conn: _drop_pool(conn, uuid), "forget the storage pool")

    def drop(self) -> None:
        """Give the connection up without waiting for the node."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def _call(self, fn: "Callable[[libvirt.virConnect], T]", doing: str) -> T:
        link = self._links.of(VEKind.VM) or self._links.first()
        with self._lock:
            if self._connection is None:
                self._connection = link.separate()
            connection = self._connection
        return connection.call(fn, seconds=remaining(SECONDS), doing=doing)


class PoolCalls:
    """The Attacher protocol of a driver that keeps its secrets and pools in ``_pools``."""

    _pools: LibvirtPools

    def keep_secret(self, uuid: str, usage: str, value: bytes) -> bool:
        return self._pools.keep_secret(uuid, usage, value)

    def drop_secret(self, uuid: str) -> bool:
        return self._pools.drop_secret(uuid)

    def secrets(self) -> frozenset[str]:
        return self._pools.secrets()

    def keep_pool(self, pool: RbdPool) -> bool:
        return self._pools.keep_pool(pool)

    def drop_pool(self, uuid: str) -> bool:
        return self._pools.drop_pool(uuid)


def pool_xml(pool: RbdPool) -> str:
    """The definition of a pool, for libvirt."""
    root = etree.Element("pool", type="rbd")
    etree.SubElement(root, "name").text = pool.name
    etree.SubElement(root, "uuid").text = pool.uuid
    source = etree.SubElement(root, "source")
    etree.SubElement(source, "name").text = pool.source
    for monitor in pool.monitors:
        address, _, port = monitor.rpartition(":")
        etree.SubElement(source, "host", name=address.strip("[]"), port=port)
    auth = etree.SubElement(source, "auth", type="ceph", username=pool.user)
    etree.SubElement(auth, "secret", uuid=pool.secret)
    return etree.tostring(root, encoding="unicode")


def secret_xml(uuid: str, usage: str) -> str:
    """The definition of a secret that is kept on disk and cannot be read back."""
    root = etree.Element("secret", ephemeral="no", private="yes")
    etree.SubElement(root, "uuid").text = uuid
    etree.SubElement(root, "description").text = "Storage key, kept by Mooring"
    element = etree.SubElement(root, "usage", type="ceph")
    etree.SubElement(element, "name").text = usage
    return etree.tostring(root, encoding="unicode")


def said_of(xml: str) -> RbdPool:
    """What a definition says, as far as Mooring cares; its parts are "" where it says nothing."""
    root = parse(xml, "pool")
    hosts = [(host.get("name", ""), host.get("port", "")) for host in root.iterfind("source/host")]
    return RbdPool(
        root.findtext("name", ""),
        root.findtext("uuid", ""),
        root.findtext("source/name", ""),
        tuple(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name, port in hosts),
        _attribute(root, "source/auth", "username"),
        _attribute(root, "source/auth/secret", "uuid"),
    )


def _attribute(root: etree._Element, path: str, name: str) -> str:
    found = root.find(path)
    return "" if found is None else found.get(name, "")


def _keep_secret(connection: "libvirt.virConnect", uuid: str, usage: str, value: bytes) -> bool:
    secret = _secret(connection, uuid)
    fresh = secret is None
    if secret is None:
        secret = connection.secretDefineXML(secret_xml(uuid, usage))
    secret.setValue(value)
    return fresh


def _drop_secret(connection: "libvirt.virConnect", uuid: str) -> bool:
    secret = _secret(connection, uuid)
    if secret is None:
        return False
    secret.undefine()
    return True


def _secret(connection: "libvirt.virConnect", uuid: str) -> "libvirt.virSecret | None":
    try:
        return connection.secretLookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_SECRET):
            return None
        raise


def _keep_pool(connection: "libvirt.virConnect", wanted: RbdPool) -> bool:
    found = _pool(connection, wanted.name, wanted.uuid)
    if found is not None and said_of(found.XMLDesc(libvirt.VIR_STORAGE_XML_INACTIVE)) != wanted:
        _stop(found)
        found.undefine()
        found = None
    if found is not None and found.isActive():
        return False
    pool = found or connection.storagePoolDefineXML(pool_xml(wanted))
    pool.create()
    return True


def _drop_pool(connection: "libvirt.virConnect", uuid: str) -> bool:
    pool = _found(lambda: connection.storagePoolLookupByUUIDString(uuid))
    if pool is None:
        return False
    _stop(pool)
    pool.undefine()
    return True


def _pool(connection: "libvirt.virConnect", name: str, uuid: str) -> "libvirt.virStoragePool | None":
    pool = _found(lambda: connection.storagePoolLookupByName(name))
    if pool is not None and pool.UUIDString() != uuid:
        raise Conflict(
            f"the node has another storage pool named {name}",
            code="pool-name-taken",
            advice=f"Rename it, or remove it with `virsh pool-undefine {name}` on the node.",
        )
    return pool


def _found(look: "Callable[[], libvirt.virStoragePool]") -> "libvirt.virStoragePool | None":
    try:
        return look()
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_STORAGE_POOL):
            return None
        raise


def _stop(pool: "libvirt.virStoragePool") -> None:
    if pool.isActive():
        pool.destroy()
