"""The one thread that writes what all observers tell: what has come in goes into one short transaction, or a few."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import structlog
from django.db import Error, InterfaceError, OperationalError, connection

from infrastructure.observe.messages import Change, Key, Listed, Message, foresee
from infrastructure.services.inventory_batch import writing
from infrastructure.services.inventory_samples import NodeReading, apply_samples

log = structlog.get_logger("mooring.observe")
GATHER_SECONDS = 0.1  # readings wait so long for each other; anything else is written at once
PAUSE_SECONDS = (1.0, 5.0)  # while the database cannot be written
VES_AT_ONCE = 5000  # in one transaction; SQLite takes some 32,000 values in a statement


class Writer(threading.Thread):
    """``put`` never blocks and never raises.

    While the database is away only the newest message of each kind and object is kept, and written when it is back.
    """

    def __init__(self, feedback: "Feedback") -> None:
        super().__init__(name="inventory-writer", daemon=True)
        self._feedback = feedback
        self._waiting: dict[Key, Message] = {}
        self._urgent = False
        self._stopping = False
        self._condition = threading.Condition()
        self._failures = 0

    def put(self, message: Message) -> None:
        with self._condition:
            key = _key(message)
            self._waiting.pop(key, None)  # so that the order is that of the newest
            self._waiting[key] = message
            self._urgent = self._urgent or not isinstance(message, NodeReading)
            self._condition.notify()

    def stop(self, seconds: float = 5.0) -> None:
        """Write what is waiting, then end."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self.is_alive():
            self.join(seconds)

    def run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping  # then what is taken now is the last
            if messages := self._take():
                self._attempt(messages)
        connection.close()

    def write(self, messages: Sequence[Message]) -> None:
        """Write messages in their order, readings last. Raises OperationalError when the database is away."""
        changes = [message for message in messages if not isinstance(message, NodeReading)]
        readings = [message for message in messages if isinstance(message, NodeReading)]
        for part in _parts(changes):
            self._write_changes(part)
        if readings:
            outcome = apply_samples(readings)
            self._feedback.outcome(outcome.ids, outcome.wanted, outcome.unknown)

    def _write_changes(self, changes: Sequence[Change]) -> None:
        try:
            with writing() as batch:
                foresee(batch, changes)
                for change in changes:
                    change.apply(batch)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            if len(changes) == 1:
                log.exception("an observation could not be written", observation=type(changes[0]).__name__)
                return
            # One that cannot be written must not keep the others from it.
            for change in changes:
                self._write_changes([change])
            return
        if batch.wanted:
            self._feedback.outcome({}, batch.wanted, ())

    def _attempt(self, messages: Sequence[Message]) -> None:
        try:
            self.write(messages)
        except (OperationalError, InterfaceError) as error:
            self._failures += 1
            if self._failures == 1:
                log.error("the database cannot be written; observations are kept", error=str(error))
            self._put_back(messages)
            self._reconnect()
            first, most = PAUSE_SECONDS
            with self._condition:
                self._condition.wait_for(lambda: self._stopping, min(most, first * self._failures))
        except Exception:
            log.exception("observations could not be written", count=len(messages))
        else:
            if self._failures:
                log.info("the database can be written again", failures=self._failures)
            self._failures = 0

    def _take(self) -> list[Message]:
        with self._condition:
            self._condition.wait_for(lambda: bool(self._waiting) or self._stopping)
            self._condition.wait_for(lambda: self._urgent or self._stopping, GATHER_SECONDS)
            messages, self._waiting, self._urgent = list(self._waiting.values()), {}, False
            return messages

    def _put_back(self, messages: Collection[Message]) -> None:
        with self._condition:
            self._waiting = {_key(message): message for message in messages} | self._waiting
            self._urgent = True

    def _reconnect(self) -> None:
        try:
            connection.close()
        except Error as error:
            log.debug("a broken connection could not be closed", error=str(error))


class Feedback:
    """What the writing showed, for the observers."""

    def __init__(
        self,
        learned: Callable[[int, dict[str, int]], None],
        wanted: Callable[[int, Collection[str]], None],
        unknown: Callable[[int], None],
    ) -> None:
        self._learned = learned
        self._wanted = wanted
        self._unknown = unknown

    def outcome(
        self, ids: dict[int, dict[str, int]], wanted: Collection[tuple[int, str]], unknown: Collection[int]
    ) -> None:
        """``ids``: node id → UUID → key of its VEs; ``wanted``: VEs to read again; ``unknown``: nodes to read again."""
        for node_id, found in ids.items():
            self._learned(node_id, found)
        for node_id, uuid in wanted:
            self._wanted(node_id, [uuid])
        for node_id in unknown:
            self._unknown(node_id)


def _parts(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """In order, each part with at most some thousand VEs: others write between two transactions.

    A VE that moved while the database was away may be missing between two parts; its start time is lost then.
    """
    part: list[Change] = []
    room = VES_AT_ONCE
    for change in changes:
        weight = len(change.ves) if isinstance(change, Listed) else 1
        if part and weight > room:
            yield part
            part, room = [], VES_AT_ONCE
        part.append(change)
        room -= weight
    if part:
        yield part


def _key(message: Message) -> Key:
    return ("reading", message.node_id, "") if isinstance(message, NodeReading) else message.key
