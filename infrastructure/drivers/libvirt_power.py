"""Starting and stopping VEs.  Each operation looks at the state first, so that it can be repeated."""

import time
from collections.abc import Callable, Collection

import libvirt

from infrastructure.drivers.base import Outcome, ShutdownMode
from infrastructure.drivers.errors import Conflict, NotSupported
from infrastructure.drivers.facts import VEKind, VEState
from infrastructure.drivers.libvirt_answers import status
from infrastructure.drivers.libvirt_errors import is_code
from infrastructure.drivers.libvirt_inventory import lookup
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_xml import domain_facts

# The first start after a node's boot probes QEMU: about 10 s under emulation.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
NOTICE_SECONDS = 1.5  # after a container's end, until libvirt shows it
INIT_SECONDS = 3.0  # after its start, until libvirt knows which process of a container to signal
# The one child of libvirt's controller of a container is its init. Without a controller, which ends with its init, or
# with somebody else under its number, the container is no more. An init is given three seconds to end, so that libvirt,
# which misses the end as well, is told at once.
_ENDED = "ended"
_SIGNAL = (
    """init=; case "$(tr '\\0' ' ' <"/proc/$2/cmdline" 2>/dev/null)" in """
    """*libvirt_lxc\\ --name\\ "$3"\\ *) read -r init rest <"/proc/$2/task/$2/children";; esac; """
    """if [ -n "$init" ]; then kill -s "$1" "$init"; """
    """for n in 1 2 3 4 5 6; do [ -e "/proc/$init" ] || break; sleep 0.5; done; fi; """
    f"""if [ -z "$init" ] || [ ! -e "/proc/$init" ]; then echo {_ENDED}; fi"""
)
_UP = (VEState.RUNNING, VEState.PAUSED, VEState.SHUTTING_DOWN, VEState.SUSPENDED, VEState.CRASHED)
_DOWN = (VEState.STOPPED,)
_SHUTDOWN_FLAGS = {
    ShutdownMode.AGENT: libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
    ShutdownMode.ACPI: libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
    ShutdownMode.SIGNAL: libvirt.VIR_DOMAIN_SHUTDOWN_SIGNAL,
}
_REBOOT_FLAGS = {
    ShutdownMode.AGENT: libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT,
    ShutdownMode.ACPI: libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
    ShutdownMode.SIGNAL: libvirt.VIR_DOMAIN_REBOOT_SIGNAL,
}


class _InitUnknown(Conflict):
    """libvirt missed which process of a container is its init; it does not learn that any more until the next start."""

    def __init__(self, name: str, controller: int) -> None:
        super().__init__(
            f"libvirt does not know the init of {name} and cannot signal it",
            code="VIR_ERR_OPERATION_INVALID",
            advice="Shut it down from inside, or force it off: it loses what it has not written.",
        )
        self.name = name
        self.controller = controller


class LibvirtPower:
    """The PowerControl protocol. run: what a command on the node prints, where it can be reached by SSH."""

    def __init__(self, links: Links, run: Callable[[Collection[str]], str] | None = None) -> None:
        self._links = links
        self._run = run

    def start(self, uuid: str) -> Outcome:
        return self._change(uuid, _start, "start the VE", START_SECONDS)

    def shutdown(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        kind = self._links.holding(uuid).kind
        try:
            return self._change(uuid, lambda domain: _shutdown(domain, kind, mode), "shut the VE down", STOP_SECONDS)
        except _InitUnknown as missed:
            return self._signal(uuid, missed, "TERM", lambda: self.destroy(uuid))

    def destroy(self, uuid: str) -> Outcome:
        return self._change(uuid, _destroy, "force the VE off", STOP_SECONDS)

    def reboot(self, uuid: str, mode: ShutdownMode = ShutdownMode.AUTO) -> Outcome:
        kind = self._links.holding(uuid).kind
        try:
            return self._change(uuid, lambda domain: _reboot(domain, kind, mode), "restart the VE", STOP_SECONDS)
        except _InitUnknown as missed:
            return self._signal(uuid, missed, "HUP", lambda: (self.destroy(uuid), self.start(uuid)))

    def suspend(self, uuid: str) -> Outcome:
        return self._change(uuid, _suspend, "pause the VE", STOP_SECONDS)

    def resume(self, uuid: str) -> Outcome:
        return self._change(uuid, _resume, "resume the VE", STOP_SECONDS)

    def set_autostart(self, uuid: str, enabled: bool) -> Outcome:
        return self._change(uuid, lambda domain: _set_autostart(domain, enabled), "set autostart", STOP_SECONDS)

    def _signal(self, uuid: str, missed: _InitUnknown, name: str, after_end: Callable[[], object]) -> Outcome:
        """Send the signal that libvirt sends, past libvirt. Often it misses the end of such a container, too."""
        if self._run is None:
            raise missed
        said = self._run(["sh", "-c", _SIGNAL, "sh", name, str(missed.controller), missed.name])
        if said.strip() != _ENDED or self._notices(uuid, missed.controller):
            return Outcome.SIGNALLED
        after_end()
        return Outcome.FOUND_ENDED

    def _notices(self, uuid: str, controller: int) -> bool:
        """Whether libvirt soon knows that the container with this controller has ended; it may have started it anew."""
        end = time.monotonic() + NOTICE_SECONDS
        while self._links.holding(uuid).call(
            lambda conn: _runs_as(lookup(conn, uuid), controller), deadline=STOP_SECONDS, doing="look at the VE"
        ):
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def _change(self, uuid: str, fn: "Callable[[libvirt.virDomain], Outcome]", doing: str, seconds: float) -> Outcome:
        return self._links.holding(uuid).call(lambda conn: fn(lookup(conn, uuid)), deadline=seconds, doing=doing)


def _start(domain: "libvirt.virDomain") -> Outcome:
    if status(domain).state in _UP:
        return Outcome.ALREADY
    try:
        domain.create()
    except libvirt.libvirtError as error:
        # Another request started it between the look and the call.
        if is_code(error, libvirt.VIR_ERR_OPERATION_INVALID) and status(domain).state in _UP:
            return Outcome.ALREADY
        raise
    return Outcome.DONE


def _runs_as(domain: "libvirt.virDomain", controller: int) -> bool:
    return status(domain).state is VEState.RUNNING and domain.ID() == controller


def _destroy(domain: "libvirt.virDomain") -> Outcome:
    if status(domain).state in _DOWN:
        return Outcome.ALREADY
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_OPERATION_INVALID) and status(domain).state in _DOWN:
            return Outcome.ALREADY
        raise
    return Outcome.DONE


def _shutdown(domain: "libvirt.virDomain", kind: VEKind, mode: ShutdownMode) -> Outcome:
    state = status(domain).state
    if state in _DOWN:
        return Outcome.ALREADY
    if state is VEState.PAUSED:
        raise _not_running(domain, "cannot be shut down while it is paused", "Resume it first, or force it off.")
    flag = _SHUTDOWN_FLAGS[_mode(domain, kind, mode)]
    _once_init_is_known(domain, kind, lambda: _ask(domain.shutdownFlags, flag, mode))
    return Outcome.REQUESTED


def _reboot(domain: "libvirt.virDomain", kind: VEKind, mode: ShutdownMode) -> Outcome:
    if status(domain).state is not VEState.RUNNING:
        raise _not_running(domain, "is not running", "Start it instead.")
    flag = _REBOOT_FLAGS[_mode(domain, kind, mode)]
    _once_init_is_known(domain, kind, lambda: _ask(domain.reboot, flag, mode))
    return Outcome.REQUESTED


def _once_init_is_known(domain: "libvirt.virDomain", kind: VEKind, request: Callable[[], None]) -> None:
    """A container that was just started runs before libvirt hears of its init. _InitUnknown when it never does."""
    end = time.monotonic() + INIT_SECONDS
    while True:
        try:
            return request()
        except libvirt.libvirtError as error:
            unknown = kind is VEKind.CT and is_code(error, libvirt.VIR_ERR_OPERATION_INVALID)
            if not unknown or status(domain).state is not VEState.RUNNING:
                raise
            if time.monotonic() > end:
                raise _InitUnknown(domain.name(), domain.ID()) from None
        time.sleep(0.2)


def _ask(request: "Callable[[int], object]", flag: int, mode: ShutdownMode) -> None:
    try:
        request(flag)
    except libvirt.libvirtError as error:
        # An engine with a single way of its own rejects every flag.
        if mode is not ShutdownMode.AUTO or not is_code(error, libvirt.VIR_ERR_INVALID_ARG):
            raise
        request(0)


def _suspend(domain: "libvirt.virDomain") -> Outcome:
    state = status(domain).state
    if state is VEState.PAUSED:
        return Outcome.ALREADY
    if state is not VEState.RUNNING:
        raise _not_running(domain, "is not running", "Start it first.")
    domain.suspend()
    return Outcome.DONE


def _resume(domain: "libvirt.virDomain") -> Outcome:
    state = status(domain).state
    if state is VEState.RUNNING:
        return Outcome.ALREADY
    if state is not VEState.PAUSED:
        raise _not_running(domain, "is not paused", "Start it first.")
    domain.resume()
    return Outcome.DONE


def _set_autostart(domain: "libvirt.virDomain", enabled: bool) -> Outcome:
    if bool(domain.autostart()) == enabled:
        return Outcome.ALREADY
    domain.setAutostart(int(enabled))
    return Outcome.DONE


def _mode(domain: "libvirt.virDomain", kind: VEKind, mode: ShutdownMode) -> ShutdownMode:
    if mode is ShutdownMode.AUTO:
        if kind is VEKind.CT:
            return ShutdownMode.SIGNAL
        # A guest that does not run the agent would leave the request unanswered: ask only a connected channel.
        connected = domain_facts(domain.XMLDesc()).agent_connected
        return ShutdownMode.AGENT if connected else ShutdownMode.ACPI
    if (mode is ShutdownMode.SIGNAL) != (kind is VEKind.CT):
        what = "A container" if kind is VEKind.CT else "A virtual machine"
        raise NotSupported(f"{what} cannot be asked by {mode.value}", code="shutdown-mode")
    return mode


def _not_running(domain: "libvirt.virDomain", why: str, advice: str) -> Conflict:
    return Conflict(f"{domain.name()} {why}", code="VIR_ERR_OPERATION_INVALID", advice=advice)
