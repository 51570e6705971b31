"""Driver facts as columns of the inventory's rows."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from django.db.models import Model

from infrastructure.choices import VEState
from infrastructure.drivers import facts
from infrastructure.drivers.facts import NodeFacts, VEFacts

_STATES: dict[str, str] = {
    facts.VEState.RUNNING: VEState.RUNNING,
    facts.VEState.PAUSED: VEState.PAUSED,
    facts.VEState.SHUTTING_DOWN: VEState.STOPPING,
    facts.VEState.STOPPED: VEState.STOPPED,
    facts.VEState.CRASHED: VEState.CRASHED,
    facts.VEState.SUSPENDED: VEState.PAUSED,
}
# Reasons that tell an administrator more than the state does; libvirt's others ("booted", "user") do not.
_REASONS: dict[tuple[str, str], str] = {
    (VEState.PAUSED, "io-error"): "Disk I/O error",
    (VEState.PAUSED, "watchdog"): "Watchdog fired",
    (VEState.PAUSED, "migration"): "Migration",
    (VEState.PAUSED, "starting-up"): "Incoming migration",
    (VEState.PAUSED, "save"): "Saving",
    (VEState.PAUSED, "dump"): "Dumping",
    (VEState.PAUSED, "snapshot"): "Snapshot",
    (VEState.PAUSED, "crashed"): "Guest crashed",
    (VEState.PAUSED, "post-copy-failed"): "Post-copy migration failed",
    (VEState.RUNNING, "post-copy-failed"): "Post-copy migration failed",
    (VEState.STOPPED, "crashed"): "Process crashed",
    (VEState.STOPPED, "failed"): "Failed to start",
    (VEState.STOPPED, "saved"): "Saved to disk",
    (VEState.CRASHED, "panicked"): "Guest kernel panic",
}


def state_of(state: str) -> str:
    """The panel's state for a driver's."""
    return _STATES.get(state, VEState.UNKNOWN)


def reason_of(state: str, reason: str) -> str:
    """A reason worth showing with the driver's state, or ""."""
    if state == facts.VEState.SUSPENDED:
        return "Asleep by its own request"
    return _REASONS.get((state_of(state), reason), "")


def node_columns(found: NodeFacts) -> dict[str, Any]:
    """Columns of Node that describe the machine; memory_free is not among them, it belongs to the statistics."""
    runs = {"vm", "ct"} & {str(item) for item in found.capabilities}
    return {
        "hostname": found.hostname[:253],
        "libvirt_version": found.libvirt_version[:20],
        "qemu_version": found.qemu_version[:20],
        "kernel": found.kernel[:100],
        "cpu_model": found.cpu_model[:120],
        "cpu_threads": found.cpu_threads or None,
        "cpu_mhz": found.cpu_mhz or None,
        "memory_bytes": found.memory_bytes or None,
        "roles": ["VE"] if runs else [],
    }


def ve_columns(found: VEFacts) -> dict[str, Any]:
    """Columns of VE that its node's definition and engine give; JSON columns as JSON would return them."""
    columns: dict[str, Any] = {
        "name": found.name[:255],
        "vcpus": found.vcpus or None,
        "memory_bytes": found.memory_bytes or None,
        "autostart": found.autostart,
        "persistent": found.persistent,
        "os": found.os[:100],
        "disks": [_json(disk) for disk in found.disks],
        "nics": [_json(nic) for nic in found.nics],
        "graphics": _json(found.graphics[0]) if found.graphics else None,
        "snapshots": found.snapshots,
        "has_agent": found.agent_connected,
    }
    if found.addresses:
        columns["addresses"] = list(found.addresses)
    return columns


def keep_sizes(disks: list[dict[str, Any]], known: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The disks, with the known size where the engine could not tell it this time."""
    sizes = {(disk["target"], disk["source"]): disk["size_bytes"] for disk in known}
    return [
        disk | {"size_bytes": disk["size_bytes"] or sizes.get((disk["target"], disk["source"]), 0)} for disk in disks
    ]


def assign(row: Model, columns: Mapping[str, Any]) -> set[str]:
    """Set the columns that differ and return their names."""
    changed = {name for name, value in columns.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, columns[name])
    return changed


def _json(value: Any) -> dict[str, Any]:
    """A flat dataclass as JSON would return it; asdict, which copies deeply, took a tenth of a full look's time."""
    found = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: list(item) if isinstance(item, tuple) else item for name, item in found}
