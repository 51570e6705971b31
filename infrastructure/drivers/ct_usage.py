"""What containers use, read from their control groups and /proc in one command on the node.

libvirt has no statistics for LXC domains.  A container's domain id is the process id of its controller, whose
/proc/PID/cgroup names the container's groups, whatever their layout: nothing is guessed from names.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from infrastructure.drivers.facts import Completed

# Without -r grep reads each named file once; -s: a container that has just stopped is no error.
_READ = ("grep", "-sH", "")
_V1_FILES = {
    "cpuacct": ("cpuacct.usage",),
    "memory": ("memory.usage_in_bytes", "memory.stat"),
    "blkio": ("blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced"),
}
_V2_FILES = ("cpu.stat", "memory.current", "memory.stat", "io.stat")
_SAFE_GROUP = re.compile(r"/[^\0\n]*")


@dataclass(frozen=True, slots=True)
class Usage:
    """Counters since the container's start; None where its control group does not tell."""

    cpu_ns: int | None = None
    memory_used: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    disk_read_requests: int | None = None
    disk_write_requests: int | None = None
    net_rx_bytes: int | None = None
    net_tx_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A container to ask about: the controller's process id, and its adapters' devices on the node."""

    pid: int
    devices: tuple[str, ...] = ()


@dataclass(slots=True)
class UsageReader:
    """Reads with one command; a container seen for the first time costs one more, which finds its groups."""

    run: Callable[[Collection[str]], Completed]
    _groups: dict[int, dict[str, str]] = field(default_factory=dict)

    def read(self, containers: Mapping[str, Running]) -> dict[str, Usage]:
        """Usage by the same keys.  Raises what ``run`` raises."""
        pids = {container.pid for container in containers.values()}
        self._groups = {pid: groups for pid, groups in self._groups.items() if pid in pids}
        if unknown := sorted(pids - self._groups.keys()):
            self._find_groups(unknown)
        paths = {key: self._paths(container.pid) for key, container in containers.items()}
        wanted = [path for group in paths.values() for path in group]
        if not wanted:
            return {}
        lines = _by_file(self.run([*_READ, *wanted, "/proc/net/dev"]).text)
        devices = _network(lines.pop("/proc/net/dev", []))
        return {key: _usage(paths[key], lines, container, devices) for key, container in containers.items()}

    def _find_groups(self, pids: Iterable[int]) -> None:
        answer = _by_file(self.run([*_READ, *(f"/proc/{pid}/cgroup" for pid in pids)]).text)
        for pid in pids:
            groups: dict[str, str] = {}
            for line in answer.get(f"/proc/{pid}/cgroup", []):
                _number, _, rest = line.partition(":")
                controllers, _, path = rest.partition(":")
                if _SAFE_GROUP.fullmatch(path) and ".." not in path.split("/"):
                    groups.update(dict.fromkeys(controllers.split(","), path))
            if groups:
                self._groups[pid] = groups

    def _paths(self, pid: int) -> list[str]:
        groups = self._groups.get(pid, {})
        paths = [
            f"/sys/fs/cgroup/{controller}{groups[controller]}/{name}"
            for controller, names in _V1_FILES.items()
            if controller in groups
            for name in names
        ]
        if not paths and groups.get("", "/") != "/":
            # The controller process sits in a leaf below the container's group on cgroup v2.
            group = groups[""].removesuffix("/libvirt")
            paths = [f"/sys/fs/cgroup{group}/{name}" for name in _V2_FILES]
        return paths


def _by_file(text: str) -> dict[str, list[str]]:
    """Split grep's "path:line" output; the paths asked for contain no colon followed by data of ours."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        path, separator, content = line.partition(":")
        if separator:
            found.setdefault(path, []).append(content)
    return found


def _network(lines: Iterable[str]) -> dict[str, tuple[int, int]]:
    """(received, sent) bytes of the node's devices from /proc/net/dev."""
    devices: dict[str, tuple[int, int]] = {}
    for line in lines:
        name, separator, rest = line.partition(":")
        fields = rest.split()
        if separator and len(fields) >= 9 and fields[0].isdigit() and fields[8].isdigit():
            devices[name.strip()] = (int(fields[0]), int(fields[8]))
    return devices


def _usage(
    paths: Iterable[str],
    lines: Mapping[str, list[str]],
    container: Running,
    devices: Mapping[str, tuple[int, int]],
) -> Usage:
    content = {path.rsplit("/", 1)[1]: lines[path] for path in paths if path in lines}
    io = _v1_io(content) if "blkio.throttle.io_service_bytes" in content else _v2_io(content)
    links = [devices[name] for name in container.devices if name in devices]
    return Usage(
        cpu_ns=_cpu(content),
        memory_used=_memory(content),
        disk_read_bytes=io[0],
        disk_write_bytes=io[1],
        disk_read_requests=io[2],
        disk_write_requests=io[3],
        # What the node's end of the pair sends is what the container receives.
        net_rx_bytes=sum(sent for _received, sent in links) if links else None,
        net_tx_bytes=sum(received for received, _sent in links) if links else None,
    )


def _pairs(lines: Iterable[str]) -> dict[str, int]:
    pairs: dict[str, int] = {}
    for line in lines:
        name, _, value = line.partition(" ")
        if value.isdigit():
            pairs[name] = int(value)
    return pairs


def _single(lines: list[str] | None) -> int | None:
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _cpu(content: Mapping[str, list[str]]) -> int | None:
    if "cpuacct.usage" in content:
        return _single(content["cpuacct.usage"])
    microseconds = _pairs(content.get("cpu.stat", [])).get("usage_usec")
    return microseconds * 1000 if microseconds is not None else None


def _memory(content: Mapping[str, list[str]]) -> int | None:
    """Use without inactive page cache, which the kernel gives back when asked."""
    current = _single(content.get("memory.usage_in_bytes") or content.get("memory.current"))
    if current is None:
        return None
    stat = _pairs(content.get("memory.stat", []))
    return max(0, current - stat.get("total_inactive_file", stat.get("inactive_file", 0)))


_Io = tuple[int | None, int | None, int | None, int | None]


def _v1_io(content: Mapping[str, list[str]]) -> _Io:
    def total(name: str, operation: str) -> int:
        fields = (line.split() for line in content.get(name, []))
        return sum(int(item[2]) for item in fields if len(item) == 3 and item[1] == operation and item[2].isdigit())

    moved, requests = "blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced"
    return total(moved, "Read"), total(moved, "Write"), total(requests, "Read"), total(requests, "Write")


def _v2_io(content: Mapping[str, list[str]]) -> _Io:
    if "io.stat" not in content:
        return None, None, None, None
    sums = dict.fromkeys(("rbytes", "wbytes", "rios", "wios"), 0)
    for line in content["io.stat"]:
        for item in line.split()[1:]:
            name, _, value = item.partition("=")
            if name in sums and value.isdigit():
                sums[name] += int(value)
    return sums["rbytes"], sums["wbytes"], sums["rios"], sums["wios"]
