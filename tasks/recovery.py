"""What a job says after it asked the engine about an attempt whose worker died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Recovery:
    """The verdict of a job's `recover` function.

    resume: run the job again; its steps find what is already there.
    completed: the engine finished what was asked; `recover` has recorded it.
    failed: it did not happen; the saved undos run.
    """

    verdict: Literal["resume", "completed", "failed"]
    reason: str = ""
    advice: str = ""

    @classmethod
    def resume(cls) -> Recovery:
        return cls("resume")

    @classmethod
    def completed(cls) -> Recovery:
        return cls("completed")

    @classmethod
    def failed(cls, reason: str, advice: str = "") -> Recovery:
        return cls("failed", reason, advice)
