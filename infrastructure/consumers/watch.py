"""Rights of the open consoles, asked of the database for all of them at once.

A console that may no longer be used ends within 5 s. While the database cannot be asked it stays: nobody can revoke a
right then either.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import structlog
from django.db import DatabaseError, InterfaceError

from infrastructure.consumers.visit import RIGHT, UNREACHABLE, Visit
from infrastructure.services import console_sessions
from infrastructure.services.console_sessions import Open
from panel.live.threads import in_thread
from panel.live.wire import Closed

log = structlog.get_logger("mooring.console")
CHECK_SECONDS = 4.0
Revoked = asyncio.Future[None]


class _Watch:
    """The open consoles of one event loop; one task looks after them while there are any."""

    def __init__(self) -> None:
        self._visits: dict[int, tuple[Visit, Revoked]] = {}
        self._task: asyncio.Task[None] | None = None
        self._saying: asyncio.Task[None] | None = None

    def add(self, visit: Visit) -> Revoked:
        revoked: Revoked = asyncio.get_running_loop().create_future()
        self._visits[visit.session_id] = visit, revoked
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return revoked

    def remove(self, visit: Visit) -> None:
        self._visits.pop(visit.session_id)
        if not self._visits and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            consoles = [Open(pk, visit.session_key, visit.ve.pk) for pk, (visit, _) in self._visits.items()]
            try:
                ending = await in_thread(console_sessions.to_end, consoles)
            except (DatabaseError, InterfaceError) as error:
                log.warning("the rights of open consoles could not be asked", error=str(error))
                continue
            except Exception:
                # Nobody knows who may stay: all begin again, and are judged when they are let in.
                log.exception("the rights of open consoles could not be judged")
                self._end(set(self._visits), UNREACHABLE, "Your right to the console of {} could not be checked.")
                continue
            self._end(ending, RIGHT, "You may no longer use the console of {}.")
            # Not awaited: a database that is locked for writing must not delay the next check.
            if self._saying is None or self._saying.done():
                self._saying = asyncio.create_task(_say([each.session_id for each in consoles]))

    def _end(self, session_ids: set[int], code: int, reason: str) -> None:
        for pk in session_ids & self._visits.keys():
            visit, revoked = self._visits[pk]
            if not revoked.done():
                revoked.set_exception(Closed(code, reason.format(visit.ve)))


async def _say(session_ids: list[int]) -> None:
    try:
        await in_thread(console_sessions.keep_alive, session_ids)
    except (DatabaseError, InterfaceError) as error:
        log.warning("open consoles could not be noted", error=str(error))


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()


@contextlib.contextmanager
def watch(visit: Visit) -> Iterator[Revoked]:
    """Watch over an open console; the future fails with Closed once its user may no longer use it."""
    mine = _watches.setdefault(asyncio.get_running_loop(), _Watch())
    revoked = mine.add(visit)
    try:
        yield revoked
    finally:
        mine.remove(visit)
        if not revoked.cancel():
            revoked.exception()  # it has been seen, or came too late to matter
