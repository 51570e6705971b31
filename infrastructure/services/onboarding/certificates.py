"""The certificate of a node, and where libvirtd and QEMU look for it.

A new set of files is written beside the one in use and put in its place folder by folder, so that no daemon meets a key
with the wrong certificate. The old set stays beside it until the new one is proved, and can be put back.
"""

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
# Lies on the node from before the first change until libvirtd has taken all of them up, whoever made them.
RESTART_MARK = f"{LIBVIRT_DIR}/restart-needed"
MARK_TEXT = b"libvirtd has yet to take up what Mooring changed.\n"
_LIBVIRT_NAMES = ("cacert.pem", "servercert.pem", "clientcert.pem", "serverkey.pem", "clientkey.pem")
_QEMU_NAMES = ("ca-cert.pem", "server-cert.pem", "client-cert.pem", "server-key.pem", "client-key.pem")
_NEW, _OLD, _GONE = ".new", ".old", ".gone"

# Each may be cut off anywhere and run again. Folders are arguments, never part of the script.
# An old set that lies there already is the last one that was proved: what is in use now was not, and goes.
SWAP = f"""set -e
for dir; do
  [ -d "$dir{_NEW}" ] || continue
  if [ -d "$dir{_OLD}" ]; then rm -rf -- "$dir"; elif [ -d "$dir" ]; then mv -T -- "$dir" "$dir{_OLD}"; fi
  mv -T -- "$dir{_NEW}" "$dir"
done"""
PUT_BACK = f"""set -e
for dir; do
  rm -rf -- "$dir{_NEW}"
  [ -d "$dir{_OLD}" ] || continue
  rm -rf -- "$dir"
  mv -T -- "$dir{_OLD}" "$dir"
done"""
# Renamed first: a set that is half deleted must never be put back.
FORGET = f"""set -e
for dir; do
  rm -rf -- "$dir{_GONE}" "$dir{_NEW}"
  [ ! -d "$dir{_OLD}" ] || mv -T -- "$dir{_OLD}" "$dir{_GONE}"
  rm -rf -- "$dir{_GONE}"
done"""


@dataclass(frozen=True)
class Present:
    """The certificate that lies on the node; None when it must be written anew."""

    described: ca.Described | None

    @property
    def expires_at(self) -> dt.datetime | None:
        return self.described.expires_at if self.described else None


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
    return Present(ca.describe(pem))


def in_use(host: HostCommands) -> ca.Described:
    """The certificate in libvirtd's folder, whatever its state. NotFound or ValueError when there is none to read."""
    return ca.describe(host.read_file(f"{LIBVIRT_DIR}/servercert.pem"))


def write(host: HostCommands, node: Node) -> ca.Described:
    """Issue a new certificate and key and put them in both places; the set they replace is kept beside them."""
    described = stage(host, node)
    swap(host)
    return described


def stage(host: HostCommands, node: Node) -> ca.Described:
    """Issue a new certificate and key and write them beside those in use, with the note that a restart is needed."""
    issued = ca.issue_node_certificates(node.name, [node.address])
    owner = qemu_user(host)
    libvirt, qemu = LIBVIRT_DIR + _NEW, QEMU_DIR + _NEW
    host.run(["rm", "-rf", "--", libvirt, qemu])
    host.run(["install", "-d", "-m", "0755", "/etc/pki", "/etc/pki/qemu", qemu])
    host.run(["install", "-d", "-m", "0700", libvirt])
    for folder, names in ((libvirt, _LIBVIRT_NAMES), (qemu, _QEMU_NAMES)):
        _write_set(host, folder, names, issued)
    # QEMU reads its key as the user that guests run as.
    host.run(["chown", f"{owner}:", *(f"{qemu}/{name}" for name in _QEMU_NAMES if "key" in name)])
    host.write_file(RESTART_MARK.replace(LIBVIRT_DIR, libvirt), MARK_TEXT)
    return ca.describe(issued.certificate)


def swap(host: HostCommands) -> None:
    """Put what was staged in place; the set that was in use is kept."""
    _on_both(host, SWAP)


def swapped(host: HostCommands) -> bool:
    """Whether a new set is in place whose predecessor is still kept."""
    return host.run(["test", "-d", LIBVIRT_DIR + _OLD], check=False).code == 0


def put_back(host: HostCommands) -> bool:
    """Put the kept set back and note that libvirtd must be restarted; False when none is kept. May be repeated."""
    kept = any(host.run(["test", "-d", each + _OLD], check=False).code == 0 for each in (LIBVIRT_DIR, QEMU_DIR))
    if kept:
        # Before the change, in the set that comes back: a restart that is cut off is made up for.
        folder = LIBVIRT_DIR + _OLD if swapped(host) else LIBVIRT_DIR
        host.write_file(RESTART_MARK.replace(LIBVIRT_DIR, folder), MARK_TEXT)
    _on_both(host, PUT_BACK)
    return kept


def forget_old(host: HostCommands) -> None:
    """Delete the kept set with its key: the one in use is proved."""
    _on_both(host, FORGET)


def forget_command() -> list[str]:
    """What `forget_old` amounts to."""
    return ["rm", "-rf", "--", LIBVIRT_DIR + _OLD, QEMU_DIR + _OLD]


def swap_commands() -> list[list[str]]:
    """What `swap` amounts to."""
    return [
        ["mv", "-T", *pair]
        for folder in (LIBVIRT_DIR, QEMU_DIR)
        for pair in ((folder, folder + _OLD), (folder + _NEW, folder))
    ]


def remove(host: HostCommands) -> None:
    """Delete the certificates and keys, so that the machine can no longer speak as one of our nodes."""
    folders = [f"{folder}{suffix}" for folder in (LIBVIRT_DIR, QEMU_DIR) for suffix in ("", _NEW, _OLD, _GONE)]
    host.run(["rm", "-rf", "--", *folders])


def qemu_user(host: HostCommands) -> str:
    """The user that QEMU runs as on this node: the one of qemu.conf, else Debian's, else root."""
    try:
        configured = value_of(host.read_file(QEMU_CONF).decode("utf-8", "replace"), "user")
    except NotFound:
        configured = ""
    if configured:
        return configured.lstrip("+")
    return "libvirt-qemu" if host.run(["getent", "passwd", "libvirt-qemu"], check=False).code == 0 else "root"


def _on_both(host: HostCommands, script: str) -> None:
    # One line: SSH carries no line breaks in an argument.
    host.run(["sh", "-c", one_line(script), "sh", LIBVIRT_DIR, QEMU_DIR])


def one_line(script: str) -> str:
    """The script with its lines joined so that they mean the same."""
    joined = "; ".join(line.strip() for line in script.splitlines())
    return joined.replace("do; ", "do ").replace("then; ", "then ")


def _write_set(host: HostCommands, folder: str, names: Iterable[str], issued: ca.Issued) -> None:
    for name in names:
        if "key" in name:
            host.write_file(f"{folder}/{name}", issued.key, mode=0o400)
        else:
            host.write_file(f"{folder}/{name}", issued.ca if name.startswith("ca") else issued.certificate, mode=0o444)
