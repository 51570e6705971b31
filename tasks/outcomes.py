"""How an attempt ends."""

import traceback
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from tasks.choices import State
from tasks.errors import JobCancelled
from tasks.registry import explained
from tasks.text import clean

MOST_TRACEBACK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """A final state with its cause and next step for the user, and the traceback for administrators."""

    state: State
    reason: str = ""
    advice: str = ""
    traceback: str = ""

    @property
    def undoes(self) -> bool:
        """Whether what the task did so far must be undone."""
        return self.state not in (State.COMPLETED, State.WARNING)

    def after_failed_undo(self, failures: list[str]) -> Self:
        """The same outcome when something could not be undone: failed, and said so."""
        if not failures:
            return self
        reason = f"{self.reason} Undoing was not complete: {'; '.join(failures)}".strip()
        advice = f"{self.advice} Check by hand what these steps left behind.".strip()
        state = self.state if self.state == State.ERRORED else State.FAILED
        return replace(self, state=state, reason=reason, advice=advice)


def judge(error: Exception, secrets: Collection[str] = ()) -> Outcome:
    """The outcome that an exception of a job means."""
    if isinstance(error, JobCancelled):
        return Outcome(State.CANCELLED, clean(error, secrets=secrets))
    known = explained(error)
    if known is not None:
        reason, advice = known
        return Outcome(State.FAILED, clean(reason, secrets=secrets), clean(advice, secrets=secrets))
    lines = "".join(traceback.format_exception(error)).splitlines()
    text = "\n".join(clean(line, secrets=secrets, strip=False) for line in lines)
    return Outcome(
        State.ERRORED,
        f"Mooring met an error of its own ({type(error).__name__}).",
        "Retry the task; if it happens again, an administrator finds the details on the task's page.",
        text[-MOST_TRACEBACK:],
    )
