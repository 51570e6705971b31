"""The files of a node's storage: its folders, ceph.conf, keyrings and start script, and the marks the lab leaves there.

Written while the node may be without power, so that its boot finds them.
"""

import pwd
import shutil
import uuid
from pathlib import Path

from lab import ceph_conf, ceph_layout
from lab.ceph_layout import Osd
from lab.errors import LabError
from lab.instance import NODE_NAMES, PROJECT, Instance
from lab.node import Node
from lab.shell import run

SERVICE = PROJECT / "lab" / "files" / "node-ceph.sh"
_DATA = Path("var/lib/ceph")
_FOLDERS = (
    *("mon", "mgr", "mds", "osd", "tmp", "crash/posted", "bootstrap-osd", "bootstrap-mds", "bootstrap-mgr"),
    *("bootstrap-rbd", "bootstrap-rbd-mirror", "bootstrap-rgw"),
)


def require_ceph(instance: Instance) -> None:
    """Raises LabError when the host has no Ceph, or when the nodes were made while it had none."""
    try:
        pwd.getpwnam("ceph")
    except KeyError:
        raise LabError("Ceph is not installed: install the packages of setup/packages-lab.txt") from None
    for name in NODE_NAMES:
        users = instance.directory / "nodes" / name / "root" / "etc" / "passwd"
        if users.exists() and not any(line.startswith("ceph:") for line in users.read_text().splitlines()):
            raise LabError(
                f"the lab “{instance.name}” was made before Ceph was installed: its nodes have no user ceph."
                f" Make it anew: bin/lab --instance {instance.name} down --purge, then up"
            )


def prepare(node: Node) -> None:
    """Makes what the node's storage finds at boot. A ceph.conf that was changed stays while its addresses fit."""
    for name in _FOLDERS:
        _own_folder(node, _DATA / name)
    _own_folder(node, Path("var/log/ceph"))
    etc = node.root / "etc"
    (etc / "ceph").mkdir(exist_ok=True)
    conf = etc / "ceph" / "ceph.conf"
    if not conf.exists() or f"mon_host = {ceph_conf.monitor_host(node.instance)}\n" not in conf.read_text():
        write(conf, ceph_conf.conf(node.instance), mode=0o644)
    keys = ceph_conf.keys(node.instance)
    write(etc / "ceph" / "ceph.client.admin.keyring", ceph_conf.keyring(ceph_conf.ADMIN, keys[ceph_conf.ADMIN]))
    write(etc / "init.d" / "ceph", SERVICE.read_text(), mode=0o755)
    for kind, homes in (("mgr", ceph_layout.MANAGERS), ("mds", ceph_layout.METADATA_SERVERS)):
        if node.name in homes:
            entity = f"{kind}.{node.name}"
            folder = _own_folder(node, _DATA / kind / f"ceph-{node.name}")
            write(folder / "keyring", ceph_conf.keyring(entity, keys[entity]), owner="ceph")


def monitor_folder(node: Node) -> Path:
    return node.root / _DATA / "mon" / f"ceph-{node.name}"


def monitor_made(node: Node) -> bool:
    """True when the monitor's data were made completely."""
    return (monitor_folder(node) / "done").exists()


def begin_monitor(node: Node) -> tuple[Path, Path]:
    """A folder for the node's monitor.

    Returns the host's paths of the first monitor map and of a keyring with all first keys.
    """
    _own_folder(node, monitor_folder(node).relative_to(node.root))
    monmap, keyring = (node.root / _DATA / "tmp" / name for name in ("monmap", "mkfs.keyring"))
    keys = ceph_conf.keys(node.instance)
    write(keyring, "".join(ceph_conf.keyring(entity, key) for entity, key in keys.items()), owner="ceph")
    monmap.unlink(missing_ok=True)
    places = [
        word
        for name in ceph_layout.MONITORS
        for word in ("--addv", name, ceph_conf.monitor_address(node.instance, name))
    ]
    run(["monmaptool", "--create", "--fsid", ceph_conf.fsid(node.instance), *places, monmap])
    return monmap, keyring


def complete_monitor(node: Node) -> None:
    """Notes that the monitor is made, and for which addresses."""
    write(monitor_folder(node) / "addresses", ceph_conf.monitor_host(node.instance) + "\n")
    (monitor_folder(node) / "done").touch()


def order(node: Node, daemon: str) -> str:
    """A word that makes earlier orders to make this daemon's data void; see node-ceph.sh."""
    word = uuid.uuid4().hex
    write(node.root / _DATA / "tmp" / f"{daemon}.order", word)
    return word


def osd_folder(node: Node, osd: Osd) -> Path:
    return node.root / _DATA / "osd" / f"ceph-{osd.number}"


def begin_osd(node: Node, osd: Osd) -> None:
    """A folder for the OSD with a fresh key."""
    folder = _own_folder(node, osd_folder(node, osd).relative_to(node.root))
    write(folder / "keyring", ceph_conf.keyring(osd.name, ceph_conf.new_key()), owner="ceph")


def osd_made(node: Node, osd: Osd) -> bool:
    """True when the OSD's data were made completely; Ceph writes this file last."""
    return (osd_folder(node, osd) / "ready").exists()


def osd_registered(node: Node, osd: Osd) -> bool:
    """True once the cluster knew the OSD; node-ceph.sh starts only such."""
    return (osd_folder(node, osd) / "registered").exists()


def note_registered(node: Node, osd: Osd) -> None:
    (osd_folder(node, osd) / "registered").touch()


def osd_uuid(node: Node, osd: Osd) -> str:
    """What the made store calls itself."""
    return (osd_folder(node, osd) / "fsid").read_text().strip()


def osd_key(node: Node, osd: Osd) -> str:
    lines = (osd_folder(node, osd) / "keyring").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.strip().startswith("key"))


def switched_off(node: Node, osd: Osd) -> bool:
    return _switch(node, osd).exists()


def switch(node: Node, osd: Osd, *, on: bool) -> None:
    """Leaves or takes the mark with which node-ceph.sh does not start the OSD."""
    if on:
        _switch(node, osd).unlink(missing_ok=True)
    else:
        _switch(node, osd).touch()


def _switch(node: Node, osd: Osd) -> Path:
    return osd_folder(node, osd) / "switched-off"


def write(path: Path, text: str, *, mode: int = 0o600, owner: str = "root") -> None:
    """Writes a file in one move, with these rights from the beginning. An equal one is left alone."""
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=mode)
    fresh.write_text(text)
    fresh.chmod(mode)
    shutil.chown(fresh, owner, owner)
    fresh.replace(path)


def _own_folder(node: Node, path: Path) -> Path:
    """A folder of the user ceph, as Debian's packages make it. The host's number for the user is the nodes' too."""
    folder = node.root / path
    folder.mkdir(parents=True, exist_ok=True)
    above = folder
    while above not in {node.root / _DATA.parent, node.root / "var" / "log"}:
        if above.stat().st_uid == 0:
            shutil.chown(above, "ceph", "ceph")
        above = above.parent
    return folder
