"""The connection to a cluster: one librados handle, opened when needed and shared by threads.

A call into librados cannot be interrupted. It runs on a worker thread; one that overruns its deadline is left behind
with its handle, and the next call makes a new one, which tries all monitors again. The last call to leave such a handle
closes it. A handle does not survive a fork.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import rados

from infrastructure.drivers import deadlines
from infrastructure.drivers.base import remaining
from infrastructure.drivers.errors import IdentityChanged, TimedOut, Unreachable
from storage.drivers import ceph_access, ceph_errors, ceph_quorum
from storage.drivers.base import Access

T = TypeVar("T")


class _Slot:
    """One handle from its making to its end."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._opening = threading.Lock()
        self._mutex = threading.Lock()
        self._users = 0
        self._left = False
        self._handle: rados.Rados | None = None

    def use(self, fn: "Callable[[rados.Rados], T]") -> T:
        """Run ``fn`` on the handle. In a worker thread; blocks as long as Ceph does."""
        try:
            with self._opening:
                if self._handle is None:
                    self._handle = _opened(self._access)
            return fn(self._handle)
        finally:
            self._leave()

    def enter(self) -> None:
        with self._mutex:
            self._users += 1

    def _leave(self) -> None:
        with self._mutex:
            self._users -= 1
            last = self._left and not self._users
        if last:
            self._close()

    def leave_behind(self) -> None:
        """Never to be used again; closed on a worker thread when no call is in it any more."""
        with self._mutex:
            if self._left:
                return
            self._left = True
            free = not self._users
        if free:
            deadlines.workers.submit(self._close)

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.shutdown()


class Connection:
    """See ``run``. Safe from any thread."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._process = os.getpid()
        self._swap = threading.Lock()
        self._slot = _Slot(access)

    def run(self, fn: "Callable[[rados.Rados], T]", *, seconds: float, doing: str) -> T:
        """``fn(handle)`` on a worker thread, connecting first if need be. Raises DriverError.

        TimedOut after ``seconds``, or after what `within` of infrastructure.drivers.base leaves; then the handle is
        given up.
        """
        if os.getpid() != self._process:
            raise RuntimeError("a connection to Ceph was used after a fork: ask storage.drivers.registry for a new one")
        seconds = remaining(seconds)
        with self._swap:
            slot = self._slot
            slot.enter()
        end = time.monotonic() + seconds
        try:
            return deadlines.workers.submit(lambda: slot.use(fn)).wait(max(0.0, end - time.monotonic()))
        except deadlines.Overrun:
            self._replace(slot)
            raise self._explained(self._timed_out(seconds, doing)) from None
        except Unreachable as error:
            self._replace(slot)
            raise self._explained(error) from error

    def close(self) -> None:
        """Let go of the handle, without waiting for it; a later call makes another."""
        self._replace(self._slot)

    def _replace(self, slot: _Slot) -> None:
        with self._swap:
            if self._slot is slot:
                self._slot = _Slot(self.access)
        slot.leave_behind()

    def _explained(self, error: Unreachable) -> Unreachable:
        """The error, or one of its kind that tells that too few monitors answer."""
        if not (words := ceph_quorum.missing(self.access.name, self.access.monitors)):
            return error
        advice = "Start its monitors again, and check that the panel can reach them."
        return type(error)(words, code="no-quorum", component="ceph", advice=advice)

    def _timed_out(self, seconds: float, doing: str) -> TimedOut:
        return TimedOut(
            f"{self.access.name} did not {doing} within {seconds:g} s",
            code="deadline",
            component="ceph",
            advice=ceph_errors.CHECK_MONITORS,
        )


def _opened(access: Access) -> "rados.Rados":
    """A connected handle. Raises DriverError."""
    ceph_access.check(access)
    try:
        handle = rados.Rados(rados_id=access.user, conf=ceph_access.conf(access), conffile=None)
        handle.connect()
    except rados.Error as error:
        raise ceph_errors.connecting(error, access.name, access.user) from None
    found = handle.get_fsid()
    if access.fsid and found != access.fsid:
        handle.shutdown()
        raise IdentityChanged(
            f"The monitors of {access.name} are of another cluster: its fsid is {found}, {access.fsid} was expected",
            code="other-cluster",
            component="ceph",
            advice="Check the monitors' addresses. A cluster that was made anew has to be added anew.",
        )
    return handle
