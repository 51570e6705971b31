"""libvirt URIs, built from checked parts only: nothing but a registered address reaches a resolver."""

import ipaddress
import re
from pathlib import PurePosixPath

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import Refused
from infrastructure.drivers.facts import VEKind

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]*", re.ASCII)
_DRIVERS = {VEKind.VM: ("qemu", "/system"), VEKind.CT: ("lxc", "/")}


def checked_address(address: str) -> str:
    """Return the address if it is an IP address or a host name, else raise Refused.

    >>> checked_address("10.0.0.1")
    '10.0.0.1'
    """
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        pass
    if len(address) <= 253 and _HOSTNAME.fullmatch(address):
        return address
    raise Refused(
        f"{address[:80]!r} is not an IP address or a host name",
        code="bad-address",
        advice="Correct the node's address.",
    )


def host_part(address: str) -> str:
    """The address as it stands in a URI: IPv6 in brackets."""
    address = checked_address(address)
    return f"[{address}]" if ":" in address else address


def _checked_path(path: str) -> str:
    if not _PATH.fullmatch(path) or ".." in PurePosixPath(path).parts:
        raise Refused(f"{path!r} cannot be used as a folder of certificates", code="bad-path")
    return path


def connection_uri(endpoint: Endpoint, kind: VEKind) -> str:
    """How the panel reaches the node's hypervisor of this kind: qemu+tls or lxc+tls, or the endpoint's own ``uri``."""
    if endpoint.uri:
        return endpoint.uri
    if not endpoint.pki_dir:
        raise Refused(f"{endpoint.name} has no certificates yet", code="no-pki", advice="Onboard the node.")
    driver, path = _DRIVERS[kind]
    return f"{driver}+tls://{_authority(endpoint)}{path}?pkipath={_checked_path(endpoint.pki_dir)}"


def peer_uri(endpoint: Endpoint) -> str:
    """How another node reaches this one for a peer-to-peer migration; the folder is on that other node."""
    return f"qemu+tls://{_authority(endpoint)}/system?pkipath={_checked_path(endpoint.peer_pki_dir)}"


def data_uri(endpoint: Endpoint) -> str:
    """Where the guest's memory goes: the address, so that nodes need not resolve each other's names."""
    return f"tcp://{host_part(endpoint.address)}"


def _authority(endpoint: Endpoint) -> str:
    host = host_part(endpoint.address)
    if not 0 < endpoint.tls_port < 65536:
        raise Refused(f"{endpoint.tls_port} is not a port", code="bad-port")
    return host if endpoint.tls_port == 16514 else f"{host}:{endpoint.tls_port}"
