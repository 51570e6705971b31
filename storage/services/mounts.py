"""Directories of the file system on a node: mounted by ceph-fuse at /srv/mooring/NAME, over SSH.

Every function may be repeated, and ends: what touches a mount does so by a command that is killed when it hangs.
"""

from infrastructure.drivers.base import Completed, Conflict, DriverError, HostDriver
from storage.drivers.matching import FILESYSTEM, directory_of
from storage.models import Cluster

FOLDER = "/srv/mooring"
CONF, KEYRING = "/etc/ceph/mooring.conf", "/etc/ceph/mooring-files.keyring"
TYPE = "fuse.ceph-fuse"
_MOUNT_SECONDS, _UNMOUNT_SECONDS = 15, 20  # ceph-fuse gives up after the first
_LIMIT = ("timeout", "--kill-after=2")
# One mount at a time, and none above another: a task that was killed may have left one on its way. ceph-fuse does not
# inherit the lock, which it would hold for as long as it serves the mount.
_ONCE = ("flock", "--close", "/run/mooring-mount.lock", "sh", "-c")
_UNLESS_THERE = f'grep -qs " $1 {TYPE} " /proc/mounts || {{ shift; exec "$@"; }}'
_PROBE = (*_LIMIT, "6", "stat", "--file-system", "--format=%T")
_DEAD = "Transport endpoint is not connected"
_KILLED = (124, 137)
_MOST_USERS = 5


def path_of(name: str) -> str:
    """Where nodes have a datastore: "/srv/mooring/iso"."""
    return f"{FOLDER}/{directory_of(name).rpartition('/')[2]}"


def mount_command(cluster: Cluster, name: str) -> list[str]:
    who = ["-n", f"client.{cluster.files_user}", "-c", CONF, "--keyring", KEYRING]
    return ["ceph-fuse", *who, "-r", directory_of(name), path_of(name)]


def unmount_command(name: str) -> list[str]:
    return ["umount", path_of(name)]


def keep(host: HostDriver, cluster: Cluster, name: str, key: str) -> None:
    """Mount a datastore's directory unless it is mounted and answers. Raises DriverError.

    Conflict when something else is mounted there. A mount that hangs is left: it goes on when the cluster does.
    """
    path = path_of(name)
    kind = _mounted(host, path)
    if kind and kind != TYPE:
        raise Conflict(
            f"Something else is mounted at {path} ({kind})",
            code="mounted",
            component="host",
            advice="Unmount it there; Mooring needs the folder.",
        )
    if kind and _alive(host, path):
        return
    if kind:
        host.run(["umount", "--lazy", path])
    host.run(["install", "-d", "-m", "755", "/etc/ceph", FOLDER, path])
    host.write_file(CONF, _conf(cluster), mode=0o644)
    host.write_file(KEYRING, f"[client.{cluster.files_user}]\n\tkey = {key}\n".encode(), mode=0o600)
    _mount(host, cluster, name)


def drop(host: HostDriver, name: str) -> None:
    """Unmount it and remove its folder. Conflict, with who uses it, while it is busy.

    Somebody may have mounted it by hand above the other.
    """
    path = path_of(name)
    limit = [*_LIMIT, str(_UNMOUNT_SECONDS)]
    while (kind := _mounted(host, path)) == TYPE:
        done = host.run([*limit, *unmount_command(name)], check=False, deadline=_UNMOUNT_SECONDS + 10)
        if done.code != 0:
            _unmount_anyway(host, path, done)
    if not kind:
        host.run(["rmdir", "--ignore-fail-on-non-empty", path], check=False)


def forget(host: HostDriver) -> None:
    """Remove the key and what else nodes need for mounting; for one that has no datastore for files any more."""
    host.run(["rm", "-f", CONF, KEYRING])
    host.run(["rmdir", "--ignore-fail-on-non-empty", FOLDER], check=False)


def _unmount_anyway(host: HostDriver, path: str, done: Completed) -> None:
    """Let go of a mount whose process died; of one that is used, tell by whom."""
    if _probe_says_dead(host, path):
        host.run(["umount", "--lazy", path])
        return
    if done.code in _KILLED:
        raise _hangs(path)
    users = _users(host, path)
    raise Conflict(
        f"{path} is in use" + (f" by {users}" if users else f": {done.complaint}"),
        code="busy",
        component="host",
        advice="Stop what uses it; it is unmounted within two minutes after that.",
    )


def _conf(cluster: Cluster) -> bytes:
    """ceph-fuse's options: neither a log nor a socket of its own, for it runs once for each datastore."""
    options = {
        "mon_host": ",".join(cluster.monitors),
        "client_fs": FILESYSTEM,
        "client_mount_timeout": str(_MOUNT_SECONDS),
        "log_file": "",
        "admin_socket": "",
    }
    lines = [
        "# Written by Mooring for its datastores",
        "[global]",
        *(f"{key} = {value}" for key, value in options.items()),
    ]
    return ("\n".join(lines) + "\n").encode()


def _mount(host: HostDriver, cluster: Cluster, name: str) -> None:
    limit = [*_LIMIT, str(_MOUNT_SECONDS + 5)]
    command = [*_ONCE, _UNLESS_THERE, "sh", path_of(name), *mount_command(cluster, name)]
    done = host.run([*limit, *command], check=False, deadline=_MOUNT_SECONDS + 15)
    if done.code == 0:
        return
    missing = done.code == 127
    raise DriverError(
        f"ceph-fuse did not mount {path_of(name)}: {'it is not installed' if missing else done.complaint}",
        code="no-ceph-fuse" if missing else "not-mounted",
        component="host",
        retryable=not missing,
        advice="Set the node up again: that installs it."
        if missing
        else "Check that the node reaches the monitors and the metadata server.",
    )


def _mounted(host: HostDriver, path: str) -> str:
    """The type of the topmost mount there, "" when nothing is mounted."""
    found = ""
    for line in host.run(["cat", "/proc/mounts"]).text.splitlines():
        fields = line.split(" ")
        if len(fields) > 2 and fields[1] == path:
            found = fields[2]
    return found


def _alive(host: HostDriver, path: str) -> bool:
    """Whether a mount answers; False when its process is gone. DriverError when it hangs."""
    done = host.run([*_PROBE, path], check=False)
    if done.code == 0:
        return True
    if done.code in _KILLED:
        raise _hangs(path)
    return False


def _hangs(path: str) -> DriverError:
    """Not Unreachable: the node answers, and its other datastores are seen to."""
    return DriverError(
        f"{path} does not answer",
        code="mount-hangs",
        component="host",
        retryable=True,
        advice="It goes on when the cluster answers the node again.",
    )


def _probe_says_dead(host: HostDriver, path: str) -> bool:
    return _DEAD in host.run([*_PROBE, path], check=False).complaint


def _users(host: HostDriver, path: str) -> str:
    """Who has files or folders open below: "sleep (4711), qemu-system-x86 (4712)"; "" when nobody was found."""
    links = ["(", "-lname", path, "-o", "-lname", f"{path}/*", ")"]
    found = host.run(["find", "/proc", "-maxdepth", "3", *links, "-printf", "%h\\n"], check=False).text
    pids = sorted({parts[2] for line in found.splitlines() if (parts := line.split("/"))[2:] and parts[2].isdigit()})
    if not pids:
        return ""
    said = host.run(["ps", "-o", "comm=,pid=", "-p", ",".join(pids[:_MOST_USERS])], check=False).text
    named = [line.split() for line in said.splitlines()]
    words = [f"{' '.join(each[:-1])} ({each[-1]})" for each in named if len(each) > 1]
    return ", ".join(words) + (f" and {len(pids) - _MOST_USERS} more" if len(pids) > _MOST_USERS else "")
