"""A container's counters from its control groups, whatever their version and layout."""

from collections.abc import Collection

from infrastructure.drivers.ct_usage import Running, Usage, UsageReader
from infrastructure.drivers.facts import Completed

V1 = {
    "/proc/7/cgroup": ["9:name=systemd:/x", "4:memory:/m/ct", "2:cpu,cpuacct:/c/ct", "7:blkio:/b/ct"],
    "/sys/fs/cgroup/cpuacct/c/ct/cpuacct.usage": ["123456"],
    "/sys/fs/cgroup/memory/m/ct/memory.usage_in_bytes": ["5000"],
    "/sys/fs/cgroup/memory/m/ct/memory.stat": ["cache 9", "inactive_file 1", "total_inactive_file 2000"],
    "/sys/fs/cgroup/blkio/b/ct/blkio.throttle.io_service_bytes": [
        "8:0 Read 10",
        "8:16 Read 5",
        "8:0 Write 3",
        "Total 18",
    ],
    "/sys/fs/cgroup/blkio/b/ct/blkio.throttle.io_serviced": ["8:0 Read 2", "8:0 Write 1"],
}
V2 = {
    "/proc/7/cgroup": ["0::/machine.slice/machine-lxc.scope/libvirt"],
    "/sys/fs/cgroup/machine.slice/machine-lxc.scope/cpu.stat": ["usage_usec 123", "user_usec 100"],
    "/sys/fs/cgroup/machine.slice/machine-lxc.scope/memory.current": ["5000"],
    "/sys/fs/cgroup/machine.slice/machine-lxc.scope/memory.stat": ["anon 1", "inactive_file 2000"],
    "/sys/fs/cgroup/machine.slice/machine-lxc.scope/io.stat": ["8:0 rbytes=15 wbytes=3 rios=2 wios=1 dbytes=0 dios=0"],
}
DEV = {
    "/proc/net/dev": [
        "Inter-|   Receive  |  Transmit",
        " vnet0: 100 1 0 0 0 0 0 0 900 9 0 0 0 0 0 0",
        " vnet1: 5 1 0 0 0 0 0 0 6 9 0 0 0 0 0 0",
    ]
}


class Node:
    """Answers grep as a node with these files does."""

    def __init__(self, files: dict[str, list[str]]) -> None:
        self.files = files
        self.commands: list[list[str]] = []

    def run(self, argv: Collection[str]) -> Completed:
        self.commands.append(list(argv))
        lines = [f"{path}:{line}" for path in list(argv)[3:] for line in self.files.get(path, [])]
        return Completed("\n".join(lines).encode(), b"", 0)


def test_it_reads_control_groups_of_version_1() -> None:
    node = Node(V1 | DEV)
    usage = UsageReader(node.run).read({"ct": Running(7, ("vnet0",))})
    assert usage == {"ct": Usage(123456, 3000, 15, 3, 2, 1, net_rx_bytes=900, net_tx_bytes=100)}


def test_it_reads_control_groups_of_version_2() -> None:
    node = Node(V2 | DEV)
    usage = UsageReader(node.run).read({"ct": Running(7, ("vnet0", "vnet1"))})
    assert usage == {"ct": Usage(123000, 3000, 15, 3, 2, 1, net_rx_bytes=906, net_tx_bytes=105)}


def test_one_command_is_enough_once_the_groups_are_known() -> None:
    node = Node(V1 | DEV)
    reader = UsageReader(node.run)
    for _ in range(3):
        reader.read({"ct": Running(7)})
    assert len(node.commands) == 4


def test_a_container_that_has_stopped_meanwhile_has_no_figures() -> None:
    node = Node(dict(DEV))
    assert UsageReader(node.run).read({"ct": Running(7)}) == {}


def test_nothing_is_asked_without_containers() -> None:
    node = Node({})
    assert UsageReader(node.run).read({}) == {}
    assert node.commands == []


def test_a_group_cannot_lead_out_of_the_control_groups() -> None:
    node = Node({"/proc/7/cgroup": ["2:cpuacct:/../../../etc", "0::/a/../../b"]} | DEV)
    assert UsageReader(node.run).read({"ct": Running(7)}) == {}


def test_odd_contents_are_no_figures() -> None:
    odd = {path: ["", "nonsense", "a b c d", "-1"] for path in V1 if path.startswith("/sys")}
    node = Node({"/proc/7/cgroup": V1["/proc/7/cgroup"]} | odd | DEV)
    usage = UsageReader(node.run).read({"ct": Running(7)})["ct"]
    assert (usage.cpu_ns, usage.memory_used) == (None, None)
