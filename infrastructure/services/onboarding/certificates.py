"""The certificate of a node, and where libvirtd and QEMU look for it."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from infrastructure.drivers.base import HostCommands, NotFound
from infrastructure.models import Node
from infrastructure.services.onboarding.settings_file import value_of
from panel.trust import ca

# libvirtd as server, and as client of its peers: libvirt looks for the names client*.pem and cacert.pem there.
LIBVIRT_DIR = "/etc/pki/mooring"
# Below /etc/pki/qemu because Debian's AppArmor profile lets QEMU read there and nowhere else of /etc/pki.
QEMU_DIR = "/etc/pki/qemu/mooring"
QEMU_CONF = "/etc/libvirt/qemu.conf"
_LIBVIRT_NAMES = ("cacert.pem", "servercert.pem", "clientcert.pem", "serverkey.pem", "clientkey.pem")
_QEMU_NAMES = ("ca-cert.pem", "server-cert.pem", "client-cert.pem", "server-key.pem", "client-key.pem")


@dataclass(frozen=True)
class Present:
    """What lies on the node already: the certificate, or None when it must be written anew."""

    expires_at: dt.datetime | None


def names_of(node: Node) -> list[str]:
    """What the certificate must name: peers and the panel use the address, people the name."""
    return [node.name, node.address]


def present(host: HostCommands, node: Node) -> Present:
    """Whether all files are there and the certificate is ours, names the node and is not due for renewal."""
    paths = [f"{LIBVIRT_DIR}/{name}" for name in _LIBVIRT_NAMES] + [f"{QEMU_DIR}/{name}" for name in _QEMU_NAMES]
    if host.run(["stat", "-c", "%n", *paths], check=False).code != 0:
        return Present(None)
    authority = ca.load_ca()
    try:
        pem = host.read_file(f"{LIBVIRT_DIR}/servercert.pem")
        copy = host.read_file(f"{QEMU_DIR}/server-cert.pem")
        trusted = host.read_file(f"{LIBVIRT_DIR}/cacert.pem")
    except NotFound:
        return Present(None)
    if copy != pem or trusted != authority.pem or not ca.certificate_is_current(pem, authority, names_of(node)):
        return Present(None)
    return Present(ca.expiry(pem))


def write(host: HostCommands, node: Node) -> dt.datetime:
    """Issue a new certificate and put it in both places; returns when it expires."""
    issued = ca.issue_node_certificates(node.name, [node.address])
    owner = qemu_user(host)
    host.run(["install", "-d", "-m", "0755", "/etc/pki", "/etc/pki/qemu", QEMU_DIR])
    host.run(["install", "-d", "-m", "0700", LIBVIRT_DIR])
    for folder, names in ((LIBVIRT_DIR, _LIBVIRT_NAMES), (QEMU_DIR, _QEMU_NAMES)):
        _write_set(host, folder, names, issued)
    # QEMU reads its key as the user that guests run as.
    host.run(["chown", f"{owner}:", *(f"{QEMU_DIR}/{name}" for name in _QEMU_NAMES if "key" in name)])
    return issued.expires_at


def _write_set(host: HostCommands, folder: str, names: Iterable[str], issued: ca.Issued) -> None:
    for name in names:
        if "key" in name:
            host.write_file(f"{folder}/{name}", issued.key, mode=0o400)
        else:
            host.write_file(f"{folder}/{name}", issued.ca if name.startswith("ca") else issued.certificate, mode=0o444)


def remove(host: HostCommands) -> None:
    """Delete the certificates and keys, so that the machine can no longer speak as one of our nodes."""
    host.run(["rm", "-rf", "--", LIBVIRT_DIR, QEMU_DIR])


def qemu_user(host: HostCommands) -> str:
    """The user that QEMU runs as on this node: the one of qemu.conf, else Debian's, else root."""
    try:
        configured = value_of(host.read_file(QEMU_CONF).decode("utf-8", "replace"), "user")
    except NotFound:
        configured = ""
    if configured:
        return configured.lstrip("+")
    return "libvirt-qemu" if host.run(["getent", "passwd", "libvirt-qemu"], check=False).code == 0 else "root"
