"""VNC is reached through the panel alone: a scan from the host and from another node's namespace finds it closed."""

import subprocess

import pytest

from tests.lab.conftest import RunningLab

pytestmark = pytest.mark.lab

SECONDS = 0.3
# Where QEMU puts VNC and SPICE, its websockets, and migrations by default.
PORTS = [*range(5700, 5800), *range(5900, 6000), *range(49152, 49216)]
_SCAN = f"""
import socket, sys
for port in {PORTS!r} + [int(sys.argv[2])]:
    with socket.socket() as tried:
        tried.settimeout({SECONDS})
        if tried.connect_ex((sys.argv[1], port)) == 0:
            print(port)
"""


def open_ports(lab: RunningLab, whence: str, address: str, *, known: int) -> list[int]:
    """What can be connected to from there; `known` is a port that is open, so that a scan proves itself."""
    command = ["/usr/bin/python3", "-c", _SCAN, address, str(known)]
    if whence != "host":
        return [int(line) for line in lab.exec(whence, *command).split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return [int(line) for line in done.stdout.split()]


@pytest.fixture
def home(lab: RunningLab) -> str:
    """The node that runs vmtest: tests of other files move it."""
    [node] = lab.where("vmtest")
    return node


@pytest.mark.parametrize("whence", ["host", "secondnode2"])
def test_a_scan_from_elsewhere_finds_no_vnc(lab: RunningLab, whence: str, home: str) -> None:
    node = lab.node(home)
    assert "type='vnc'" in lab.virsh(home, "dumpxml", "vmtest"), "there is nothing to find"

    found = open_ports(lab, whence, node.address, known=node.ssh_port)

    assert found == [node.ssh_port]


def test_the_socket_is_for_qemu_alone(lab: RunningLab, home: str) -> None:
    xml = lab.virsh(home, "dumpxml", "vmtest")
    path = xml.split("<listen type='socket' socket='")[1].split("'")[0]

    mode = lab.exec(home, "stat", "-c", "%A", path.rsplit("/", 1)[0]).strip()

    assert mode[7:] == "---", f"whoever is on the node may open {path}: {mode}"
