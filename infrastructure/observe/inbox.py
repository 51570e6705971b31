"""What others leave for an observer: libvirt's event thread, the writer and whoever stops it."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from infrastructure.drivers.facts import DomainEvent

# A migration sends an iteration event every second; a balloon event tells what the next sample tells too.
_QUIET = frozenset({"migration-iteration", "balloon"})
_BOOTED = frozenset({"booted", "restored", "from-snapshot", "wakeup"})


@dataclass(slots=True)
class Mail:
    """``changed``: VE UUID → whether it was booted just now. ``lost``: why the subscription ended, or ""."""

    changed: dict[str, bool] = field(default_factory=dict)
    everything: bool = False
    lost: str = ""


class Inbox:
    """Thread-safe; nothing here waits but ``wait``."""

    def __init__(self) -> None:
        self._mail = Mail()
        self._stopped = False
        self._condition = threading.Condition()

    def event(self, event: DomainEvent) -> None:
        """An engine's event: the VE is to be read again."""
        if event.kind not in _QUIET:
            booted = event.kind == "lifecycle" and event.detail == "started" and event.reason in _BOOTED
            self.want([event.uuid], booted=booted)

    def want(self, uuids: Iterable[str], *, booted: bool = False) -> None:
        with self._condition:
            for uuid in uuids:
                self._mail.changed[uuid] = booted or self._mail.changed.get(uuid, False)
            self._condition.notify()

    def want_everything(self) -> None:
        with self._condition:
            self._mail.everything = True
            self._condition.notify()

    def lost(self, reason: str) -> None:
        with self._condition:
            self._mail.lost = reason or "error"
            self._condition.notify()

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def take(self) -> Mail:
        with self._condition:
            mail, self._mail = self._mail, Mail()
            return mail

    def wait(self, seconds: float) -> None:
        """Return when there is mail, at a stop, or after ``seconds``."""
        with self._condition:
            self._condition.wait_for(self._has_news, max(0.0, seconds))

    def _has_news(self) -> bool:
        return self._stopped or bool(self._mail.changed or self._mail.everything or self._mail.lost)
