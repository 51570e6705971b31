"""The time of day of the panel's processes, as if somebody set the machine's clock: it differs by what a file says.

Only this process is misled, so the machine's other users keep their time. The monotonic clock goes on as it does when
a clock is set. Libraries written in C that ask the kernel themselves, such as those for TLS, keep the true time.
"""

import os
import threading
import time
from pathlib import Path

import time_machine

LOOK_EVERY = 0.2


class _Clock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0.0
        self._travel: time_machine.travel | None = None
        self.watch()
        os.register_at_fork(after_in_child=self.watch)

    def watch(self) -> None:
        threading.Thread(target=self._watch, name="clock", daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                offset = float(self._path.read_text())
            except (OSError, ValueError):
                offset = self._offset
            if offset != self._offset:
                self._set(offset)
            threading.Event().wait(LOOK_EVERY)

    def _set(self, offset: float) -> None:
        if self._travel is not None:
            self._travel.stop()
            self._travel = None
        if offset:
            self._travel = time_machine.travel(time.time() + offset, tick=True)
            self._travel.start()
        self._offset = offset


def follow(path: Path) -> None:
    """Differ from the true time by the seconds that the file holds, from at most 0.2 s after they change."""
    _Clock(path)
