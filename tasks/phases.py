"""The phases of a task: the few words under its progress that say where it stands.

A task's row keeps them as a list of {"name", "note", "at", "end"}, times in ISO 8601. They only go forward: an attempt
that takes a task up again passes those that are over without touching them, and a retry begins with fresh ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.choices import State
from tasks.errors import BadRequest
from tasks.models import Task

Rows = list[dict[str, Any]]


def planned(names: Iterable[str]) -> Rows:
    """What a new task keeps of the phases that its job declares."""
    return [{"name": name, "note": ""} for name in names]


def entered(rows: Rows, name: str, note: str, now: datetime) -> Rows:
    """The rows once the phase has begun; those before it are over. Raises BadRequest for one that is not declared."""
    index = _index(rows, name)
    if "end" in rows[index]:
        return rows
    moment = now.isoformat()
    before = [row | {"end": moment} if "at" in row and "end" not in row else row for row in rows[:index]]
    current = {"at": moment, **rows[index], "note": note or rows[index]["note"]}
    return [*before, current, *rows[index + 1 :]]


def noted(rows: Rows, name: str, note: str) -> Rows:
    """The rows with another note for a phase that is not over; raises BadRequest for one that is not declared."""
    index = _index(rows, name)
    if "end" in rows[index]:
        return rows
    return [*rows[:index], rows[index] | {"note": note}, *rows[index + 1 :]]


def _index(rows: Rows, name: str) -> int:
    for index, row in enumerate(rows):
        if row["name"] == name:
            return index
    raise BadRequest(f"the job declares no phase {name!r}")


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase as the page shows it: done, now, waiting, skipped, or failed and cancelled where the task ended."""

    name: str
    state: str
    note: str
    began: datetime | None = None
    ended: datetime | None = None


def shown(task: Task) -> list[Phase]:
    """The task's phases; when it has ended, the one it was in ended with it."""
    return [_shown(row, task) for row in task.phases]


def _shown(row: dict[str, Any], task: Task) -> Phase:
    name, note = str(row["name"]), str(row.get("note", ""))
    if "at" not in row:
        later = not task.is_final and not any("at" in other for other in task.phases[task.phases.index(row) :])
        # One that was over before anybody looked was not entered, but what it came to may be known.
        told = later or task.state in (State.COMPLETED, State.WARNING)
        return Phase(name, "waiting" if later else "skipped", note if told else "")
    began = datetime.fromisoformat(row["at"])
    if "end" in row:
        return Phase(name, "done", note, began, datetime.fromisoformat(row["end"]))
    if not task.is_final:
        return Phase(name, "now" if task.state == State.RUNNING else "waiting", note, began)
    states = {State.COMPLETED: "done", State.WARNING: "done", State.CANCELLED: "cancelled"}
    return Phase(name, states.get(State(task.state), "failed"), note, began, task.finished_at)
