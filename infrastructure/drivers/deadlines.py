"""Blocking calls with a deadline, on daemon threads.

A call into libvirt cannot be interrupted.  So it runs on a thread of its own; when it overruns, its caller goes on and
the thread is left behind until the call returns.  concurrent.futures is not used because it joins such threads at exit.
"""

import itertools
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
IDLE_SECONDS = 30.0


class Overrun(Exception):
    """The call did not return in time; it may still take effect."""


class Job(Generic[T]):
    """A call under way on a worker thread."""

    def __init__(self, fn: Callable[[], T]) -> None:
        self._fn = fn
        self._done = threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._fn())
        except BaseException as error:  # carried to the caller, whatever it is
            self._error = error
        finally:
            del self._fn
            self._done.set()

    def wait(self, seconds: float | None) -> T:
        """The call's result, or its exception; Overrun when it is not there within ``seconds``: wait again."""
        if not self._done.wait(seconds):
            raise Overrun
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._result.pop()


class Workers:
    """Daemon threads, made when all others are busy and ended when idle for 30 s."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = itertools.count(1)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._jobs: SimpleQueue[Job[object]] = SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0  # threads waiting for a job, less the jobs already promised to them

    def submit(self, fn: Callable[[], T]) -> Job[T]:
        """Start ``fn`` on a thread."""
        job = Job(fn)
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{next(self._number)}", daemon=True)
                thread.start()
        self._jobs.put(job)  # type: ignore[arg-type]
        return job

    def call(self, fn: Callable[[], T], seconds: float) -> T:
        """Run ``fn`` and return its result or raise its exception; Overrun when it takes longer than ``seconds``."""
        return self.submit(fn).wait(seconds)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._free:
                        self._free -= 1
                        return
                continue  # a job was promised to this thread in this moment
            job.run()
            del job
            with self._lock:
                self._free += 1


workers = Workers("driver")
