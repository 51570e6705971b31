"""Each node's own cgroup in every hierarchy of the host; a cgroup namespace makes it the node's root.

Two kinds of host: version 1 (one mount per controller) and version 2 (one mount, Debian 12's default). A host that
mounts both, with the controllers on version 1, counts as version 1.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lab.processes import wait_until

V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
_V2_ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> dict[str, Path]:
    """The host's hierarchies: mount options ("cpu,cpuacct") → mount point for version 1, {"": /sys/fs/cgroup} for 2."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        controllers = [word for word in options.split(",") if word in V1_CONTROLLERS]
        if kind == "cgroup" and controllers:
            found.setdefault(",".join(controllers), Path(fields.split(" ")[4]))
    return found or {"": _V2_ROOT}


def is_version_2() -> bool:
    return "" in hierarchies()


def groups(name: str) -> list[Path]:
    """The folders of the cgroup `name`, one per hierarchy; they may not exist yet."""
    return [mount / name for mount in hierarchies().values()]


def create(name: str) -> None:
    """Makes the cgroup, ready to be joined. Harmless when it exists."""
    for path in groups(name):
        if is_version_2():
            for controller in V2_CONTROLLERS:
                with contextlib.suppress(OSError):  # a kernel without this controller
                    (path.parent / "cgroup.subtree_control").write_text(f"+{controller}")
            (path / "init").mkdir(parents=True, exist_ok=True)
            continue
        path.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and no process may join it then
            if (path / file).exists():
                (path / file).write_text((path.parent / file).read_text())


def root_files(name: str) -> list[Path]:
    """Where a process writes "0" to join the cgroup itself; the group it is in becomes the root of a new namespace."""
    return [path / "cgroup.procs" for path in groups(name)]


def leaf_files(name: str) -> list[Path]:
    """Where a node's process writes "0" to be in its place for good. Version 2 wants it in a leaf, because a group
    with members cannot hand controllers to its children."""
    return [path / "init" / "cgroup.procs" for path in groups(name)] if is_version_2() else root_files(name)


def remove(name: str) -> None:
    """Removes the cgroup and what libvirt made below it. The processes must be gone; the kernel may lag behind."""
    for path in groups(name):
        wait_until(lambda top=path: _removed(top), 10, f"cgroup {path} is still in use")  # type: ignore[misc]


def _removed(top: Path) -> bool:
    for folder in _deepest_first(top):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return not top.exists()


def _deepest_first(top: Path) -> Iterator[Path]:
    if top.is_dir():
        for child in sorted(top.iterdir()):
            if child.is_dir():
                yield from _deepest_first(child)
        yield top
