"""A node's own root file system: a folder that keeps /etc, /var and /root over power cycles.

It looks like a fresh Debian host with libvirt and SSH installed: nothing listens but SSH, no key is authorized. /usr
and dpkg's database are the host's, mounted read-only when the node boots.
"""

import shutil
from pathlib import Path

from lab.errors import LabError
from lab.instance import NODE_NAMES, Instance
from lab.shell import run

_FOLDERS = (
    *("dev", "home", "media", "mnt", "opt", "proc", "run", "srv/shared", "sys", "tmp", "usr", "boot"),
    *(
        "var/backups",
        "var/lib/dpkg",
        "var/lib/misc",
        "var/local",
        "var/mail",
        "var/opt",
        "var/spool",
        "var/lib/private",
    ),
    *("var/cache/libvirt/qemu",),
    *("var/log/libvirt/qemu", "var/log/libvirt/lxc"),
)
# What makes the host itself: its keys, its guests, its mounts, its jobs. None of it belongs to a new machine.
_NOT_COPIED = (
    *(
        "fstab",
        "crontab",
        "resolv.conf",
        "machine-id",
        "ceph",
        "hostname",
        "hosts",
        "motd",
        "pki",
        "letsencrypt",
        "ssl/private",
    ),
    *("libvirt/qemu", "libvirt/lxc", "libvirt/storage", "libvirt/secrets", "libvirt/libxl", "network/interfaces.d"),
)
_QEMU_CONF = """
# The node has no user of its own for guests; disks lie in a folder shared by several nodes.
user = "root"
group = "root"
remember_owner = 0
security_driver = "none"
"""
_SSHD_CONF = """PasswordAuthentication no
PermitRootLogin prohibit-password
"""


def build(root: Path, *, instance: Instance, name: str) -> None:
    """Makes the root file system of node `name` if there is none; an existing one keeps all but its hosts file."""
    if not root.exists():
        fresh = root.with_name("root.new")
        if fresh.exists():  # half made by a killed run
            shutil.rmtree(fresh)
        _make_folders(fresh)
        _copy_etc(fresh)
        _configure_libvirt(fresh / "etc", host_uuid=str(instance.uuid_of(f"node:{name}")))
        _configure_ssh(fresh)
        (fresh / "etc" / "hostname").write_text(f"{name}\n")
        (fresh / "etc" / "machine-id").write_text(instance.uuid_of(f"machine:{name}").hex + "\n")
        for empty in ("resolv.conf", "fstab"):
            (fresh / "etc" / empty).touch()
        fresh.rename(root)
    (root / "var" / "lib" / "libvirt" / "images").mkdir(parents=True, exist_ok=True)
    _write_hosts(root / "etc" / "hosts", instance)


def _make_folders(root: Path) -> None:
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "root").mkdir(mode=0o700)
    for folder in ("var/tmp", "tmp"):
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(0o1777)
    (root / "var" / "run").symlink_to("/run")
    (root / "var" / "lock").symlink_to("/run/lock")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        source = Path("/") / name
        if source.is_symlink():
            (root / name).symlink_to(source.readlink())
        elif source.exists():
            raise LabError(f"{source} is a folder of its own; the lab needs a host with a merged /usr, as Debian 12 is")


def _copy_etc(root: Path) -> None:
    run(["cp", "-a", "/etc", root / "etc"])
    for entry in _NOT_COPIED:
        path = root / "etc" / entry
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _configure_libvirt(etc: Path, *, host_uuid: str) -> None:
    libvirt = etc / "libvirt"
    for file in [*libvirt.glob("*.conf"), etc / "default" / "libvirtd", etc / "default" / "virtlogd"]:
        _deactivate_settings(file)
    with (libvirt / "libvirtd.conf").open("a") as conf:
        conf.write(f'\nhost_uuid = "{host_uuid}"\n')
    with (libvirt / "qemu.conf").open("a") as conf:
        conf.write(_QEMU_CONF)


def _deactivate_settings(path: Path) -> None:
    """Turns the host's own settings into comments: the node starts from Debian's defaults."""
    if path.exists():
        lines = path.read_text().splitlines()
        path.write_text("".join(f"{line}\n" if line.startswith("#") else f"#{line}\n" for line in lines))


def _configure_ssh(root: Path) -> None:
    etc = root / "etc" / "ssh"
    for key in etc.glob("ssh_host_*"):
        key.unlink()
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", etc / "ssh_host_ed25519_key"])
    (etc / "sshd_config.d" / "lab.conf").write_text(_SSHD_CONF)
    keys = root / "root" / ".ssh"
    keys.mkdir(mode=0o700)
    (keys / "authorized_keys").touch(mode=0o600)


def _write_hosts(path: Path, instance: Instance) -> None:
    lines = ["127.0.0.1 localhost"]
    lines += [f"{instance.address(11 + index)} {name}" for index, name in enumerate(NODE_NAMES)]
    path.write_text("\n".join(lines) + "\n")
