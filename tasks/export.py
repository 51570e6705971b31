"""A task's log as a file: text for people, JSON for programs. Both are made in parts and never held whole."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tasks.choices import Level
from tasks.logbook import Entry, depth_of, entire
from tasks.models import Task, TaskStep

_MARKS = {Level.WARNING: "Warning: ", Level.ERROR: "Error: ", Level.COMMAND: "$ "}


def as_text(task: Task) -> Iterator[str]:
    """Time (UTC), indented entry, state: one entry a line; the lines of a message of several are indented alike."""
    yield _head(task)
    for entries in entire(task):
        yield "".join(_text(entry) for entry in entries)


def as_json(task: Task) -> Iterator[str]:
    """One object: `task` and `entries`, whose `seq` counts 1, 2, 3 … without a gap."""
    yield f'{{"task": {json.dumps(_facts(task), ensure_ascii=False)},\n"entries": ['
    between = "\n"
    for entries in entire(task):
        for entry in entries:
            yield between + json.dumps(_entry(entry), ensure_ascii=False)
            between = ",\n"
    yield "\n]}\n"


def _head(task: Task) -> str:
    lines = [f"Task {task.pk}: {task.title}", f"State: {task.get_state_display()}"]
    if task.reason:
        lines.append(f"Reason: {task.reason}")
    if task.advice:
        lines.append(f"Next step: {task.advice}")
    source = f" from {task.source}" if task.source else ""
    lines.append(f"Initiator: {task.initiator_name or 'Mooring'}{source}")
    return "\n".join(lines) + "\n\n"


def _text(entry: Entry) -> str:
    if isinstance(entry, TaskStep):
        return f"{_clock(entry.started_at)}  {'  ' * entry.depth}{entry.title}  [{_state(entry)}]\n"
    lead = f"{_clock(entry.at)}  {'  ' * depth_of(entry)}"
    first, *rest = (_MARKS.get(Level(entry.level), "") + entry.text).splitlines() or [""]
    return f"{lead}{first}\n" + "".join(f"{' ' * len(lead)}{line}\n" for line in rest)


def _state(step: TaskStep) -> str:
    took = f", {(step.finished_at - step.started_at).total_seconds():.1f} s" if step.finished_at else ""
    note = f", {step.note}" if step.note else ""
    return f"{step.get_state_display()}{took}{note}"


def _facts(task: Task) -> dict[str, Any]:
    return {
        "id": task.pk,
        "kind": task.kind,
        "title": task.title,
        "state": task.state,
        "reason": task.reason,
        "advice": task.advice,
        "attempt": task.attempt,
        "initiator": task.initiator_name or None,
        "source": task.source,
        "parent": task.parent_id,
        "targets": [
            {"type": target.object_type, "id": target.object_id, "name": target.object_name}
            for target in task.targets.all()
        ],
        "created_at": _iso(task.created_at),
        "started_at": _iso(task.started_at),
        "finished_at": _iso(task.finished_at),
        "rev": task.rev,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, TaskStep):
        return {
            "seq": entry.seq,
            "type": "step",
            "at": _iso(entry.started_at),
            "depth": entry.depth,
            "title": entry.title,
            "state": entry.state,
            "note": entry.note,
            "attempt": entry.attempt,
            "finished_at": _iso(entry.finished_at),
        }
    return {
        "seq": entry.seq,
        "type": "line",
        "at": _iso(entry.at),
        "depth": depth_of(entry),
        "level": entry.level,
        "text": entry.text,
        "step": entry.step.seq if entry.step else None,
    }


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
