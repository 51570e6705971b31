"""Whether a node, or the storage, answers: judged by the time since its last answer, whatever its calls are doing."""

import threading
from collections.abc import Callable

# Samples come every 5 s. With the second to notice it, a node that hangs is shown as such within 11 s.
SILENT_SECONDS = 10.0


class Contact:
    """Reports each cause once, as ``tell(reason, refused)``, until the node or cluster was read in full again.

    Used by the observer and by its supervisor.
    """

    def __init__(
        self,
        name: str,
        tell: Callable[[str, bool], None],
        clock: Callable[[], float],
        silent: float = SILENT_SECONDS,
    ) -> None:
        self._name = name
        self._tell = tell
        self._clock = clock
        self._silent = silent
        self._lock = threading.Lock()
        self._started = clock()
        self._answered_at: float | None = None
        self._reason = ""
        self.reported = ""  # the reason that was reported, "" while the node is in contact

    @property
    def late(self) -> bool:
        """Whether the node is, or is about to be, without contact."""
        return bool(self.reported) or self._silence() > self._silent

    def answered(self) -> None:
        with self._lock:
            self._answered_at = self._clock()
            self._reason = ""

    def restored(self) -> None:
        """The node was read in full and that was told: it is in contact."""
        with self._lock:
            self.reported = ""

    def failed(self, reason: str, *, refused: bool) -> None:
        """A call failed. A refusal is certain; anything else counts once the node was silent for long enough.

        Once it is reported, a cause that says more replaces the one reported.
        """
        with self._lock:
            self._reason = reason
            never = self._answered_at is None
        if refused or never or self.reported:
            self._report(reason, refused=refused)
        else:
            self.check()

    def check(self) -> None:
        """Report a node that has been silent for too long; called every second."""
        silence = self._silence()
        if silence <= self._silent or self.reported:
            return
        self._report(self._reason or f"{self._name} has not answered for {silence:.0f} s.", refused=False)

    def _silence(self) -> float:
        since = self._answered_at
        return self._clock() - (self._started if since is None else since)

    def _report(self, reason: str, *, refused: bool) -> None:
        with self._lock:
            if self.reported == reason:
                return
            self.reported = reason
        self._tell(reason, refused)
