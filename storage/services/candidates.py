"""Which devices of a node can become a disk of the cluster: whole and empty ones; the others with the reason."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.drivers.base import DriverError, HostCommands
from infrastructure.services.errors import NotPossible

SMALLEST = 1 << 30
ASK_SECONDS = 15.0
_COLUMNS = "NAME,PATH,MAJ:MIN,SIZE,TYPE,RO,ROTA,MODEL,SERIAL,MOUNTPOINTS"
_LSBLK = ["lsblk", "--json", "--bytes", "--output", _COLUMNS]
# The device files that are there with their numbers, for the kernel may know devices that this machine does not have;
# then what is written on each. lsblk tells that only where udev runs.
_WRITTEN = (
    'for p; do [ -b "$p" ] || continue; found=$(wipefs --no-act --noheadings --output TYPE "$p") || found=unreadable; '
    'echo "$p" $(stat -c "%t %T" "$p") $found; done'
)
# Block devices that a program has open: a VM's raw disk may have nothing that anybody would recognise.
_OPEN = 'find /proc/[0-9]*/fd -maxdepth 1 -lname "/dev/*" -printf "%l\\n" 2>/dev/null | sort -u'
# A name of its own that stays the same when the order of devices changes; the shortest of several.
_STABLE = (
    'for l in /dev/disk/by-id/*; do [ "$(readlink -f -- "$l")" != "$1" ] || echo "$l"; done | '
    "awk '{print length, $0}' | sort -n | head -n 1 | cut -d ' ' -f 2-"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole device; size in bytes. `reason`: why it cannot be used, "" when it can."""

    path: str
    size: int
    rotational: bool
    model: str = ""
    serial: str = ""
    reason: str = ""


def candidates(host: HostCommands, *, seconds: float = ASK_SECONDS) -> list[Candidate]:
    """The devices of a node, those that can be used first; it has ``seconds`` for all of it. Raises DriverError."""
    end = time.monotonic() + seconds

    def ask(argv: list[str], *, check: bool = True) -> bytes:
        return host.run(argv, check=check, deadline=max(0.0, end - time.monotonic())).stdout

    answer = ask(_LSBLK)
    try:
        devices = [row for row in json.loads(answer)["blockdevices"] if row["type"] in ("disk", "loop")]
    except (ValueError, KeyError, TypeError) as error:
        raise DriverError("The node's answer to lsblk cannot be read", code="bad-answer", component="host") from error
    there = _written(ask(["sh", "-c", _WRITTEN, "sh", *(str(row["path"]) for row in devices)]).decode())
    opened = set(ask(["sh", "-c", _OPEN], check=False).decode().split())
    found = [_candidate(row, there, opened) for row in devices]
    return sorted(found, key=lambda each: (bool(each.reason), each.path))


def require_empty(host: HostCommands, path: str) -> Candidate:
    """The device, if it can be used now. NotPossible with the reason otherwise."""
    found = next((each for each in candidates(host) if each.path == path), None)
    advice = "Choose an empty device; Mooring never deletes what is on one."
    if found is None:
        raise NotPossible(f"There is no device {path}", advice=advice, field="path")
    if found.reason:
        why = f"{found.reason[:1].lower()}{found.reason[1:]}"
        raise NotPossible(f"{path} cannot be used: {why}", advice=advice, field="path")
    return found


def stable_path(host: HostCommands, path: str) -> str:
    """A name of the device that does not change when devices come and go; the path itself without one."""
    return host.run(["sh", "-c", _STABLE, "sh", path], check=False).stdout.decode().strip() or path


def _written(answer: str) -> dict[str, tuple[str, list[str]]]:
    """Path → ("7:0", ["ext4"]) of the device files that are there."""
    found = {}
    for line in answer.splitlines():
        path, major, minor, *signatures = line.split()
        found[path] = (f"{int(major, 16)}:{int(minor, 16)}", signatures)
    return found


def _candidate(row: Mapping[str, Any], there: Mapping[str, tuple[str, list[str]]], opened: set[str]) -> Candidate:
    path = str(row["path"])
    number, signatures = there.get(path, ("", []))
    reason = _in_use(row) or (_holds(signatures) if number == row["maj:min"] else "It has no device file")
    return Candidate(
        path=path,
        size=int(row["size"] or 0),
        rotational=bool(row["rota"]),
        model=str(row["model"] or "").strip(),
        serial=str(row["serial"] or "").strip(),
        reason=reason or ("A program has it open" if path in opened else ""),
    )


def _in_use(row: Mapping[str, Any]) -> str:
    mounts = [mount for mount in row.get("mountpoints") or [] if mount]
    children = row.get("children") or []
    if mounts:
        return f"Mounted at {mounts[0]}"
    if children:
        names = ", ".join(str(child["name"]) for child in children)
        return f"Has partitions: {names}" if all(c["type"] == "part" for c in children) else f"Used by {names}"
    if row.get("ro"):
        return "Read-only"
    return "Smaller than 1 GiB" if int(row["size"] or 0) < SMALLEST else ""


def _holds(signatures: list[str]) -> str:
    if "ceph_bluestore" in signatures:
        return "Is a disk of a Ceph cluster"
    if "unreadable" in signatures:
        return "Cannot be read"
    return f"Holds {', '.join(signatures)}" if signatures else ""
