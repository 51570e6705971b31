"""What may be entered for a node. Nothing but a checked name, address and port goes on to an engine."""

import ipaddress
import re

from infrastructure.services.errors import InvalidInput
from panel.trust.ca import PANEL_NAME

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(_LABEL, re.ASCII)
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII | re.IGNORECASE)
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}", re.ASCII)
_LOCATION = re.compile(r"[^\x00-\x1f\x7f]{0,63}")


def clean_name(name: str) -> str:
    """A host name's first label, such as "primary". InvalidInput otherwise."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a node's name",
            advice="Use 1 to 63 small letters, digits and hyphens, with a letter or digit at both ends.",
            field="name",
        )
    if name == PANEL_NAME:
        raise InvalidInput(f"{name!r} names the panel's own certificate", advice="Choose another name.", field="name")
    return name


def clean_address(address: str) -> str:
    """An IP address or host name, never a URL. InvalidInput otherwise."""
    address = address.strip()
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        pass
    else:
        if parsed.is_unspecified or parsed.is_multicast or getattr(parsed, "scope_id", None):
            raise InvalidInput(f"{address} is not the address of one machine", field="address")
        return str(parsed)
    # Four numbers with dots that are no IP address are a mistyped one, not a host name.
    if len(address) > 253 or not _HOST_NAME.fullmatch(address) or re.fullmatch(r"[\d.]+", address):
        raise InvalidInput(
            f"{address[:80]!r} is neither an IP address nor a host name",
            advice="Enter the address alone, such as 10.0.0.11 or node1.example.org.",
            field="address",
        )
    return address.lower()


def clean_port(port: int) -> int:
    """A TCP port. InvalidInput otherwise."""
    if not 0 < port < 65536:
        raise InvalidInput(f"{port} is not a port", advice="Use 1 to 65535; SSH's own is 22.", field="ssh_port")
    return port


def clean_fingerprint(fingerprint: str) -> str:
    """A host key's fingerprint as ssh-keygen prints it. InvalidInput otherwise."""
    fingerprint = fingerprint.strip().rstrip("=")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise InvalidInput(
            f"{fingerprint[:80]!r} is not a host key's fingerprint",
            advice="Copy it as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the node.",
            field="fingerprint",
        )
    return fingerprint


def clean_location(part: str, field: str) -> str:
    """Room, row or rack in the admin's words, up to 63 characters. InvalidInput otherwise."""
    part = part.strip()
    if not _LOCATION.fullmatch(part):
        raise InvalidInput("At most 63 characters, without line breaks", field=field)
    return part
