"""Which targets the collector reconciles, and when: at once when a server is another than before, else patiently."""

import threading
import time
from collections.abc import Callable

import structlog
from django.db import connection

from infrastructure.drivers.base import DriverError
from infrastructure.observe.backoff import Backoff
from iscsi.differences import Wanted, differences
from iscsi.drivers.facts import ServerFacts
from iscsi.models import Target
from iscsi.services.reconcile import Outcome, reconcile

log = structlog.get_logger("mooring.iscsi")
# A look tells of servers only; addresses that somebody took away are found by this.
AGAIN_SECONDS = 60.0


class _Patient:
    """What is known of one target."""

    def __init__(self, now: float) -> None:
        self.again = now + AGAIN_SECONDS
        self.due = now
        self.seen: object = None  # what the last attempt was about: the same once more waits for its time
        self.backoff = Backoff(first=2.0, most=60.0)
        self.thread: threading.Thread | None = None


class Mender:
    """Reconciles each target in a thread of its own, so that one that hangs holds up no other."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        mend: Callable[[int], Outcome] | None = None,
    ) -> None:
        self._clock = clock
        self._mend = mend or (lambda target_id: reconcile(target_id, wait=0.0))
        self._known: dict[int, _Patient] = {}
        self._lock = threading.Lock()

    def consider(self, target: Target, wanted: Wanted, found: ServerFacts | None) -> bool:
        """Have it mended when it differs, or when the last time is long ago; whether that was begun."""
        differs = bool(differences(wanted, found))
        with self._lock:
            known = self._known.setdefault(target.pk, _Patient(self._clock()))
            if known.thread is not None and known.thread.is_alive():
                return False
            now = self._clock()
            seen = (found.instance if found else None, [action.words for action in differences(wanted, found)])
            if not (differs and (now >= known.due or seen != known.seen)) and now < known.again:
                return False
            known.seen, known.again = seen, now + AGAIN_SECONDS
            known.thread = threading.Thread(
                target=self._work, args=(target.pk, target.name, known), name=f"mend-{target.name}", daemon=True
            )
            known.thread.start()
        return True

    def join(self, seconds: float) -> None:
        """Wait for what is under way."""
        end = self._clock() + seconds
        for known in list(self._known.values()):
            if known.thread is not None:
                known.thread.join(max(0.0, end - self._clock()))

    def _work(self, target_id: int, name: str, known: _Patient) -> None:
        why: object = None
        try:
            outcome = self._mend(target_id)
            why = outcome.failed or None
            if outcome.done:
                log.info("a target's server was mended", target=name, done=outcome.done)
        except DriverError as error:
            why = str(error)
        except Exception:
            why = "a fault of the panel"
            log.exception("a target could not be reconciled", target=name)
        finally:
            connection.close()
        if why is None:
            known.backoff.reset()
            known.due = self._clock()
        else:
            known.due = self._clock() + known.backoff.next()
            log.warning("a target's server differs from what is wanted", target=name, why=why)
