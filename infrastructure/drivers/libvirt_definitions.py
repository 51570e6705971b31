"""Moving what defines a stopped VE from one node to another."""

import libvirt

from infrastructure.drivers.base import Endpoint, Outcome
from infrastructure.drivers.errors import Conflict, NotFound, NotSupported
from infrastructure.drivers.facts import VEKind, VEState
from infrastructure.drivers.libvirt_answers import status
from infrastructure.drivers.libvirt_inventory import lookup
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_xml import parse
from infrastructure.drivers.uris import peer_uri

SECONDS = 30.0
_OFFLINE = libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_OFFLINE | libvirt.VIR_MIGRATE_PERSIST_DEST
_SAVED = (("os/nvram", "UEFI variables"), ("devices/tpm/backend[@type='emulator']", "a TPM"))
_WHOLE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE


class LibvirtDefinitions:
    """The part of the Migrator protocol that is about stopped VEs."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def migrate_definition(self, uuid: str, dest: Endpoint) -> None:
        link = self._links.holding(uuid)
        if link.kind is VEKind.CT:
            raise NotSupported("libvirt cannot migrate a container", code="ct-migration")
        target = peer_uri(dest)
        link.call(
            lambda conn: lookup(conn, uuid).migrateToURI3(target, {}, _OFFLINE),
            deadline=SECONDS,
            doing="move the definition",
        )

    def saved_state(self, uuid: str) -> tuple[str, ...]:
        link = self._links.holding(uuid)
        return link.call(lambda conn: _saved_state(lookup(conn, uuid)), doing="describe the VE")

    def definition(self, uuid: str) -> str:
        link = self._links.holding(uuid)
        return link.call(lambda conn: str(lookup(conn, uuid).XMLDesc(_WHOLE)), doing="describe the VE")

    def define(self, kind: VEKind, xml: str) -> None:
        link = self._links.of(kind)
        if link is None:
            what = "containers" if kind is VEKind.CT else "virtual machines"
            raise NotSupported(f"{self._links.endpoint.name} runs no {what}", code="no-driver")
        link.call(lambda conn: _define(conn, xml), deadline=SECONDS, doing="define the VE")

    def undefine(self, uuid: str) -> Outcome:
        try:
            link = self._links.holding(uuid)
            return link.call(
                lambda conn: _undefine(lookup(conn, uuid), link.kind), deadline=SECONDS, doing="undefine the VE"
            )
        except NotFound:
            return Outcome.ALREADY


def _saved_state(domain: "libvirt.virDomain") -> tuple[str, ...]:
    root = parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    return tuple(words for path, words in _SAVED if root.find(path) is not None)


def _define(connection: "libvirt.virConnect", xml: str) -> None:
    connection.defineXML(xml)


def _undefine(domain: "libvirt.virDomain", kind: VEKind) -> Outcome:
    if status(domain).state is not VEState.STOPPED:
        # libvirt would keep it as a transient one that vanishes at its next stop.
        raise Conflict(
            f"{domain.name()} is not stopped", code="VIR_ERR_OPERATION_INVALID", advice="Shut it down first."
        )
    if kind is VEKind.CT:
        domain.undefine()
    else:
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM)
    return Outcome.DONE
