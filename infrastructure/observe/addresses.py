"""Which VEs to ask for their addresses, and asking beside the observer: a guest agent may take seconds to answer."""

import os
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from ipaddress import ip_address

import structlog
from django.utils import timezone

from infrastructure.drivers.base import Capability, DriverError, HostDriver, Unreachable, within
from infrastructure.observe.container_addresses import container_addresses
from infrastructure.observe.messages import Addresses, Booted, Message

log = structlog.get_logger("mooring.observe")
# libvirt itself gives an agent 5 s; less than that here would cost the connection, which all calls share.
CALL_SECONDS = 12.0
AGAIN_SECONDS = 60.0
# A guest gets its address some seconds after its start.
YOUNG_SECONDS = 120.0
YOUNG_AGAIN_SECONDS = 5.0
EARLY_SECONDS = 0.5  # rounds come with the samples, of which one may be a moment early


class Schedule:
    """Running VE → when to ask for its addresses next, in seconds of the observer's clock."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._young_until: dict[str, float] = {}

    def running(self, uuids: Collection[str], now: float) -> None:
        """Ask about these and no others; one that is new among them is asked at once, and often at first."""
        for uuid in self._due.keys() - set(uuids):
            del self._due[uuid]
            self._young_until.pop(uuid, None)
        for uuid in uuids:
            if uuid not in self._due:
                self.started(uuid, now)

    def started(self, uuid: str, now: float) -> None:
        """A VE was started: it has no address yet."""
        self._due[uuid] = now
        self._young_until[uuid] = now + YOUNG_SECONDS

    def soon(self, uuid: str, now: float) -> None:
        """Something happened that may tell more, such as its agent connecting."""
        if uuid in self._due:
            self._due[uuid] = now

    def take(self, now: float) -> list[str]:
        """The VEs to ask now; they come again after a minute, or sooner by ``answered``."""
        due = [uuid for uuid, at in self._due.items() if at <= now + EARLY_SECONDS]
        for uuid in due:
            self._due[uuid] = now + AGAIN_SECONDS
        return due

    def answered(self, uuid: str, found: bool, now: float) -> None:
        if uuid in self._due and not found and now < self._young_until.get(uuid, 0):
            self._due[uuid] = now + YOUNG_AGAIN_SECONDS


class Finder:
    """Asks in a thread of its own, one at a time for a node; what it finds goes to ``tell``."""

    def __init__(self, node_id: int, tell: Callable[[Message], None], clock: Callable[[], float]) -> None:
        self.schedule = Schedule()
        self.controllers: dict[str, int] = {}  # of running containers, by UUID
        self._node_id = node_id
        self._tell = tell
        self._clock = clock
        self._known: dict[str, tuple[str, ...]] = {}
        self._thread: threading.Thread | None = None
        self._boot_asked = False

    def forget(self) -> None:
        """The node was connected anew: what was told before may not have been written."""
        self._known.clear()
        self._boot_asked = False

    def changed(self, uuid: str, now: float, *, started: bool) -> None:
        """A VE was started, moved or changed: ask again soon, and tell the answer even if it is the same."""
        self._known.pop(uuid, None)
        if started:
            self.schedule.started(uuid, now)
        else:
            self.schedule.soon(uuid, now)

    def start_round(self, driver: HostDriver, now: float) -> None:
        """Start asking whoever is due, unless the last round still runs."""
        if self._thread is not None and self._thread.is_alive():
            return
        due = self.schedule.take(now)
        if due or not self._boot_asked:
            self._thread = threading.Thread(
                target=self.ask, args=(driver, due), name=f"addresses-{self._node_id}", daemon=True
            )
            self._thread.start()

    def ask(self, driver: HostDriver, uuids: Collection[str]) -> None:
        """Ask the given VEs, and once a connection when the node itself was started."""
        try:
            with within(CALL_SECONDS):
                host_commands = Capability.HOST_COMMANDS in driver.capabilities()
                self._boot_asked, asked_before = True, self._boot_asked
                if host_commands and not asked_before:
                    self._ask_boot(driver)
                for uuid in uuids:
                    if uuid not in self.controllers:
                        self._ask_one(driver, uuid)
                if host_commands:
                    self._ask_containers(driver, uuids)
        except Unreachable:
            return  # the observer finds that out by itself
        except DriverError as error:
            log.info("the node does not tell its containers' addresses", node=self._node_id, error=str(error))
        except Exception:
            log.exception("asking for addresses failed", node=self._node_id)

    def _ask_one(self, driver: HostDriver, uuid: str) -> None:
        try:
            self._found(uuid, driver.addresses(uuid))
        except Unreachable:
            raise
        except DriverError:
            self._found(uuid, ())

    def _ask_containers(self, driver: HostDriver, uuids: Collection[str]) -> None:
        wanted = {uuid: pid for uuid, pid in self.controllers.copy().items() if uuid in uuids}
        answers = container_addresses(driver, wanted)
        for uuid in wanted:
            self._found(uuid, answers.get(uuid, ()))

    def _found(self, uuid: str, addresses: Iterable[str]) -> None:
        found = tuple(address for address in addresses if is_useful(address))
        self.schedule.answered(uuid, bool(found), self._clock())
        # Nothing found tells nothing: a busy agent is no reason to drop the address that is known.
        if found and self._known.get(uuid) != found:
            self._known[uuid] = found
            self._tell(Addresses(self._node_id, uuid, found))

    def _ask_boot(self, driver: HostDriver) -> None:
        try:
            age = uptime(driver.run(["cat", "/proc/uptime", "/proc/1/stat"]).text)
        except Unreachable:
            raise
        except (DriverError, ValueError, IndexError) as error:
            log.info("the node does not tell when it was started", node=self._node_id, error=str(error))
            return
        self._tell(Booted(self._node_id, timezone.now() - timedelta(seconds=age)))


def is_useful(address: str) -> bool:
    """Whether the address reaches the guest from elsewhere; link-local ones are of no use to anybody who reads them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_link_local or parsed.is_loopback or parsed.is_unspecified)


def uptime(text: str) -> float:
    """Seconds since init was started, from /proc/uptime and /proc/1/stat one after the other."""
    first, _, stat = text.partition("\n")
    started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(first.split()[0]) - started
