"""Addresses of containers, which libvirt cannot tell: read from their own /proc/net, two commands for all of a node."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address

from infrastructure.drivers.base import HostDriver
from infrastructure.drivers.facts import VEFacts, VEKind, VEState

# Without -r grep reads each named file once; -s: a container that has just stopped is no error.
_READ = ("grep", "-sH", "")


def controllers(ves: Iterable[VEFacts]) -> dict[str, int]:
    """UUID → process id of libvirt's controller, which is the domain id, of containers with a network of their own.

    One without an adapter shares the node's network, whose addresses are not the container's.
    """
    return {
        ve.uuid: ve.domain_id
        for ve in ves
        if ve.kind is VEKind.CT and ve.state is VEState.RUNNING and ve.nics and ve.domain_id
    }


def container_addresses(driver: HostDriver, pids: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Addresses by UUID for the controllers given; a container that has none, or has ended, is left out.

    Raises DriverError.
    """
    if not pids:
        return {}
    paths = {f"/proc/{pid}/task/{pid}/children": uuid for uuid, pid in pids.items()}
    inits: dict[str, str] = {}
    for path, line in _lines(driver, paths):
        if path in paths and (children := line.split()) and children[0].isdigit():
            inits[children[0]] = paths[path]
    files = [f"/proc/{pid}/net/{name}" for pid in inits for name in ("fib_trie", "if_inet6")]
    content: dict[str, list[str]] = {}
    for path, line in _lines(driver, files):
        content.setdefault(path, []).append(line)
    found: dict[str, tuple[str, ...]] = {}
    for pid, uuid in inits.items():
        v4 = local_v4(content.get(f"/proc/{pid}/net/fib_trie", []))
        v6 = local_v6(content.get(f"/proc/{pid}/net/if_inet6", []))
        if v4 or v6:
            found[uuid] = tuple(dict.fromkeys((*v4, *v6)))
    return found


def local_v4(lines: Iterable[str]) -> list[str]:
    """Addresses that the kernel's routing tree calls its own: "|-- 10.0.0.7" followed by "/32 host LOCAL"."""
    found: list[str] = []
    address = ""
    for line in lines:
        mark, _, rest = line.strip().partition(" ")
        if mark == "|--":
            address = rest
        elif line.strip() == "/32 host LOCAL":
            found.append(address)
    return found


def local_v6(lines: Iterable[str]) -> list[str]:
    """Addresses of if_inet6, whose lines begin with 32 hexadecimal digits."""
    return [str(IPv6Address(int(line.split()[0], 16))) for line in lines if line.split()]


def _lines(driver: HostDriver, paths: Iterable[str]) -> list[tuple[str, str]]:
    wanted = list(paths)
    if not wanted:
        return []
    text = driver.run([*_READ, *wanted], check=False).text
    return [
        (path, content) for path, separator, content in (line.partition(":") for line in text.splitlines()) if separator
    ]
