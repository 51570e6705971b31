"""Names for libvirt's numbers.  Positions are the values of the enumerations in libvirt-domain.h (libvirt 9.0)."""

import libvirt

from infrastructure.drivers.facts import VEState

STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: VEState.UNKNOWN,
    libvirt.VIR_DOMAIN_RUNNING: VEState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: VEState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: VEState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: VEState.SHUTTING_DOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: VEState.STOPPED,
    libvirt.VIR_DOMAIN_CRASHED: VEState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: VEState.SUSPENDED,
}

_RUNNING = (
    "",
    "booted",
    "migrated",
    "restored",
    "from-snapshot",
    "unpaused",
    "migration-canceled",
    "save-canceled",
    "wakeup",
    "crashed",
    "post-copy",
    "post-copy-failed",
)
_PAUSED = (
    "",
    "user",
    "migration",
    "save",
    "dump",
    "io-error",
    "watchdog",
    "from-snapshot",
    "shutting-down",
    "snapshot",
    "crashed",
    "starting-up",
    "post-copy",
    "post-copy-failed",
)
_STOPPED = ("", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from-snapshot", "daemon")
_REASONS: dict[VEState, tuple[str, ...]] = {
    VEState.RUNNING: _RUNNING,
    VEState.PAUSED: _PAUSED,
    VEState.SHUTTING_DOWN: ("", "user"),
    VEState.STOPPED: _STOPPED,
    VEState.CRASHED: ("", "panicked"),
}

_STARTED = ("booted", "migrated", "restored", "from-snapshot", "wakeup")
_SUSPENDED = (
    "paused",
    "migrated",
    "io-error",
    "watchdog",
    "restored",
    "from-snapshot",
    "api-error",
    "post-copy",
    "post-copy-failed",
)
_RESUMED = ("unpaused", "migrated", "from-snapshot", "post-copy", "post-copy-failed")
_ENDED = ("shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from-snapshot")
LIFECYCLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("defined", ("added", "updated", "renamed", "from-snapshot")),
    ("undefined", ("removed", "renamed")),
    ("started", _STARTED),
    ("suspended", _SUSPENDED),
    ("resumed", _RESUMED),
    ("stopped", _ENDED),
    ("shutdown", ("finished", "guest", "host")),
    ("pmsuspended", ("memory", "disk")),
    ("crashed", ("panicked", "crashloaded")),
)
WATCHDOG_ACTIONS = ("none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi")
IO_ERROR_ACTIONS = ("none", "pause", "report")
CLOSE_REASONS = ("error", "eof", "keepalive", "client")


def pick(names: tuple[str, ...], number: int) -> str:
    """The name at ``number``, or the number itself when a newer libvirt sends one unknown here."""
    return names[number] if 0 <= number < len(names) else str(number)


def state_of(number: int, reason: int) -> tuple[VEState, str]:
    """Translate the pair that libvirt reports for a domain."""
    state = STATES.get(number, VEState.UNKNOWN)
    return state, pick(_REASONS.get(state, ("",)), reason)


def lifecycle_of(event: int, detail: int) -> tuple[str, str]:
    """(detail, reason) of a lifecycle event."""
    if not 0 <= event < len(LIFECYCLE):
        return str(event), str(detail)
    name, reasons = LIFECYCLE[event]
    return name, pick(reasons, detail)


def version_text(number: int) -> str:
    """9000000 → "9.0.0"; "" for 0."""
    if not number:
        return ""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
