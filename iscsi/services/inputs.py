"""What may be entered for users, targets and LUNs. Nothing but a checked value goes on to an engine."""

import re
import secrets
from collections.abc import Iterable
from ipaddress import ip_interface

from django.conf import settings

from infrastructure.services.errors import InvalidInput
from iscsi.drivers.facts import LUN_NUMBERS

GIB = 1 << 30
LARGEST_GIB = 65_536
MOST_INITIATORS = 64
MOST_IOPS, MOST_MBPS = 10_000_000, 100_000
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
# The initiator standard's length; a space at an end, or any other character, is what people cannot type again.
_SECRET = re.compile(r"[\x21-\x7e]{12,16}", re.ASCII)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?", re.ASCII)
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{0,40}")
_INITIATOR = re.compile(r"(?:iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+:[a-z0-9.:-]+|eui\.[0-9a-f]{16})", re.ASCII)
_SNAPSHOT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", re.ASCII)
_LONGEST_IQN = 223


def clean_user(name: str) -> str:
    """A CHAP user's name, such as "chap-lab". InvalidInput otherwise."""
    name = name.strip()
    if not _USER.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a user's name",
            advice="Use 1 to 40 letters, digits, dots, dashes and underscores, with a letter or digit first.",
            field="name",
        )
    return name


def clean_secret(secret: str) -> str:
    """A CHAP password. InvalidInput, which does not say it, otherwise."""
    if not _SECRET.fullmatch(secret):
        raise InvalidInput(
            "The password cannot be used",
            advice="Use 12 to 16 characters: letters, digits and signs without spaces. Initiators take no others.",
            field="secret",
        )
    return secret


def clean_target_name(name: str) -> str:
    """What stands after the colon of an IQN, such as "target1". InvalidInput otherwise."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(
            f"{name[:80]!r} cannot be a target's name",
            advice="Use 1 to 40 letters, digits, dots and dashes, with a letter or digit at both ends.",
            field="name",
        )
    return name


def iqn_of(name: str) -> str:
    """The IQN of a target of that name: "iqn.2014-06.com.vstorage:target1"."""
    return f"{settings.ISCSI_IQN_PREFIX}:{name}"


def clean_initiators(names: Iterable[str]) -> list[str]:
    """Names of initiators, each once. InvalidInput that says the line; empty lines are skipped."""
    found: dict[str, None] = {}
    for line, text in enumerate(names, start=1):
        name = text.strip().lower()
        if not name:
            continue
        if len(name) > _LONGEST_IQN or not _INITIATOR.fullmatch(name):
            raise InvalidInput(
                f"Line {line} is not an initiator's full name: {name[:80]!r}",
                advice="It looks like iqn.1993-08.org.debian:01:b81a24; each initiator shows its own.",
                field="initiators",
            )
        found[name] = None
    if len(found) > MOST_INITIATORS:
        raise InvalidInput(
            f"{len(found)} initiators are more than a target takes",
            advice=f"Name at most {MOST_INITIATORS}, or none and ask for CHAP.",
            field="initiators",
        )
    return list(found)


def clean_limit(value: int | None, field: str, *, most: int) -> int | None:
    """A limit, or None for none. InvalidInput for what is below 1 or absurd. field: "iops" or "bandwidth"."""
    if value is None:
        return None
    if not 1 <= value <= most:
        raise InvalidInput(f"{value:,} is not a limit", advice=f"Use 1 to {most:,}, or no limit.", field=field)
    return value


def clean_number(number: int) -> int:
    """A LUN's number. InvalidInput otherwise."""
    if number not in LUN_NUMBERS:
        raise InvalidInput(
            f"{number} cannot be a LUN's number", advice="Use 1 to 255; 0 is the target's own.", field="number"
        )
    return number


def clean_size(gib: int, field: str = "size") -> int:
    """GiB → bytes. InvalidInput below 1 GiB and above 64 TiB."""
    if not 1 <= gib <= LARGEST_GIB:
        raise InvalidInput(f"{gib:,} GiB is no size for a LUN", advice="Use 1 GiB to 65,536 GiB.", field=field)
    return gib * GIB


def clean_label(name: str) -> str:
    """What a LUN is called, maybe nothing. InvalidInput for control characters and more than 40."""
    name = name.strip()
    if not _LABEL.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a LUN's name", advice="Use at most 40 printable characters.", field="name"
        )
    return name


def clean_snapshot(name: str) -> str:
    """A snapshot's name, such as "before-upgrade". InvalidInput otherwise."""
    name = name.strip()
    if not _SNAPSHOT.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a snapshot's name",
            advice="Use 1 to 40 letters, digits, dots, dashes and underscores, with a letter or digit first.",
            field="name",
        )
    return name


def clean_new_address(text: str) -> tuple[str, int]:
    """ "10.0.0.5/24" → ("10.0.0.5", 24): an address that a node may be given. InvalidInput otherwise."""
    text = text.strip()
    try:
        parsed = ip_interface(text)
    except ValueError:
        parsed = None
    if parsed is None or "/" not in text or getattr(parsed, "scope_id", None):
        raise InvalidInput(
            f"{text[:80]!r} is no address with the length of its network's prefix",
            advice="Enter it like 172.16.24.125/24.",
            field="address",
        )
    address, network = parsed.ip, parsed.network
    usable = not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)
    edges = (network.network_address, network.broadcast_address) if network.num_addresses > 2 else ()
    if not usable or address.is_reserved or address in edges:
        raise InvalidInput(f"{address} is not the address of one machine", field="address")
    return str(address), network.prefixlen


def new_image() -> str:
    """The name of a new LUN's image; initiators know the disk by its digits."""
    return f"lun-{secrets.token_hex(8)}"
