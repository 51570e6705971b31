"""The network interfaces of a node's kernel with their traffic, asked over SSH beside the observer."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from django.utils import timezone

from infrastructure.drivers.base import Capability, DriverError, HostDriver, Unreachable, within
from infrastructure.observe.messages import Message, Wired
from infrastructure.services.inventory_rows import Interfaces

log = structlog.get_logger("mooring.observe")
EVERY_SECONDS = 15.0
CALL_SECONDS = 8.0
LIST = ("ip", "-json", "-details", "-statistics", "address", "show")
_SPEED = "/sys/class/net/{}/speed"
_OUTSIDE = ("host", "link")  # scopes of addresses that only the machine itself, or one cable, knows


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface. ``kind`` is bridge, tun, veth …, "" for hardware; ``speed_mbit`` 0 where the kernel is silent."""

    name: str
    kind: str = ""
    state: str = ""
    mac: str = ""
    mtu: int = 0
    speed_mbit: int = 0
    master: str = ""
    addresses: tuple[str, ...] = ()


Traffic = Mapping[str, tuple[int, int]]  # name → bytes received and sent since the interface was made


def read(driver: HostDriver) -> tuple[list[Interface], Traffic]:
    """All interfaces but the loopback. Raises DriverError; ValueError for an answer that is not understood."""
    found = json.loads(driver.run(LIST, deadline=CALL_SECONDS).text)
    if not isinstance(found, list):
        raise ValueError("the list of interfaces is not a list")
    rows = [row for row in found if isinstance(row, dict) and row.get("ifname") and row.get("link_type") != "loopback"]
    speeds = _speeds(driver, [str(row["ifname"]) for row in rows])
    return [_interface(row, speeds) for row in rows], {str(row["ifname"]): _bytes(row) for row in rows}


def rates(before: Traffic, now: Traffic, seconds: float) -> dict[str, list[int]]:
    """Bytes per second of the interfaces that were there before; a counter that began anew tells nothing."""
    if seconds <= 0:
        return {}
    return {
        name: [round((new - old) / seconds) for new, old in zip(counters, before[name], strict=True)]
        for name, counters in now.items()
        if name in before and all(new >= old for new, old in zip(counters, before[name], strict=True))
    }


class Wiring:
    """Asks in a thread of its own, one at a time for a node."""

    def __init__(self, node_id: int, tell: Callable[[Message], None], clock: Callable[[], float]) -> None:
        self._node_id = node_id
        self._tell = tell
        self._clock = clock
        self._due = clock()
        self._last: tuple[float, Traffic] | None = None
        self._thread: threading.Thread | None = None

    def forget(self) -> None:
        """The node was connected anew: its counters may have begun anew."""
        self._last = None
        self._due = self._clock()

    def start_round(self, driver: HostDriver, now: float) -> None:
        """Ask when it is time, unless the last question is still open."""
        if now < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = now + EVERY_SECONDS
        self._thread = threading.Thread(
            target=self.ask, args=(driver,), name=f"interfaces-{self._node_id}", daemon=True
        )
        self._thread.start()

    def ask(self, driver: HostDriver) -> None:
        """Ask once and tell the answer."""
        try:
            with within(CALL_SECONDS):
                if Capability.HOST_COMMANDS not in driver.capabilities():
                    return
                asked, at = self._clock(), timezone.now()
                found, traffic = read(driver)
        except Unreachable:
            return  # the observer finds that out by itself
        except (DriverError, ValueError, TypeError) as error:
            log.info("the node does not tell its interfaces", node=self._node_id, error=str(error))
            return
        except Exception:
            log.exception("asking for interfaces failed", node=self._node_id)
            return
        last, self._last = self._last, (asked, traffic)
        moving = rates(last[1], traffic, asked - last[0]) if last else {}
        shown = [json.loads(json.dumps(asdict(interface))) for interface in found]
        self._tell(Wired(self._node_id, Interfaces(shown, moving, at)))


def _interface(row: Mapping[str, Any], speeds: Mapping[str, int]) -> Interface:
    name = str(row["ifname"])
    return Interface(
        name=name,
        kind=str((row.get("linkinfo") or {}).get("info_kind", "")),
        state=_state(row),
        mac=str(row.get("address", "")),
        mtu=int(row.get("mtu") or 0),
        speed_mbit=speeds.get(name, 0),
        master=str(row.get("master", "")),
        addresses=tuple(
            f"{item['local']}/{item['prefixlen']}"
            for item in row.get("addr_info") or ()
            if item.get("local") and item.get("scope") not in _OUTSIDE
        ),
    )


def _state(row: Mapping[str, Any]) -> str:
    """What the kernel says; drivers of guests' adapters leave it at unknown, and then carrier and switch tell."""
    state = str(row.get("operstate", "")).lower()
    return "up" if state == "unknown" and {"UP", "LOWER_UP"} <= set(row.get("flags") or ()) else state


def _bytes(row: Mapping[str, Any]) -> tuple[int, int]:
    stats = row.get("stats64") or {}
    return tuple(int((stats.get(way) or {}).get("bytes") or 0) for way in ("rx", "tx"))  # type: ignore[return-value]


def _speeds(driver: HostDriver, names: Iterable[str]) -> dict[str, int]:
    """Megabits per second; the kernel answers nothing for what has none, and -1 for what it does not know."""
    paths = {_SPEED.format(name): name for name in names if "/" not in name}
    if not paths:
        return {}
    text = driver.run(["grep", "-sH", "", *paths], check=False).text
    lines = (line.rpartition(":") for line in text.splitlines())
    return {paths[path]: int(value) for path, _, value in lines if path in paths and value.isdigit()}
