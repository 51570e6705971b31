"""Reading a task's log: what is new since a revision, the last part of it for a page, and all of it for a download.

Steps and lines share one numbering (`seq`, the order on the screen) and one clock (`rev`, the order of the writes).
Lines never change; a step changes until it ends, and each change gives it a newer `rev`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from django.db.models import QuerySet

from tasks.models import Task, TaskLine, TaskStep

Entry = TaskStep | TaskLine
BATCH = 400
SHOWN_LINES = 1000
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class News:
    """Entries by `seq`; with what came before they are the whole log up to `rev`. `more`: read on from there."""

    entries: list[Entry]
    rev: int
    more: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Entries by `seq`: every step and the last lines; `hidden` is the number of earlier lines left out."""

    entries: list[Entry]
    hidden: int


def news(task: Task, after: int, *, batch: int = BATCH) -> News:
    """What was written after revision `after` and up to the `rev` of the given, freshly read task.

    The task is read first and bounds the rest, so that nothing of a write that happens meanwhile is torn: it comes
    with the next call. A step that changed meanwhile, or changes beyond the batch, is still included when a later entry
    is: otherwise the entry would reach the screen before the step it stands under. It then comes again with its change.
    """
    lines = list(_lines(task).filter(rev__gt=after, rev__lte=task.rev).order_by("rev", "seq")[: batch + 1])
    steps = list(_steps(task).filter(rev__gt=after, rev__lte=task.rev).order_by("rev", "seq")[: batch + 1])
    rows: list[Entry] = [*lines, *steps]
    revs = sorted(row.rev for row in rows)
    full = len(revs) > batch
    cut = revs[batch - 1] if full else task.rev
    entries: dict[int, Entry] = {row.seq: row for row in rows if row.rev <= cut}
    if full:  # a batch never ends in the middle of one write
        entries |= {line.seq: line for line in _lines(task).filter(rev=cut)}
        entries |= {step.seq: step for step in _steps(task).filter(rev=cut)}
    if entries:
        earlier = _steps(task).filter(rev__gt=cut, seq__lt=max(entries))
        entries |= {step.seq: step for step in earlier}
    return News([entries[seq] for seq in sorted(entries)], cut, more=cut < task.rev)


def excerpt(task: Task, lines: int = SHOWN_LINES) -> Excerpt:
    """The log up to the `rev` of the given task, as a page shows it."""
    known = _lines(task).filter(rev__lte=task.rev)
    last = list(known.order_by("-seq")[: lines + 1])
    hidden = known.count() - lines if len(last) > lines else 0
    last = last[:lines]
    entries: list[Entry] = [*last, *_steps(task).filter(seq__lte=task.log_length)]
    return Excerpt(sorted(entries, key=attrgetter("seq")), hidden)


def entire(task: Task) -> Iterator[list[Entry]]:
    """The log up to the given task's `log_length`, in chunks by `seq`; each chunk is read by itself."""
    last = 0
    while last < task.log_length:
        upto = min(last + CHUNK, task.log_length)
        rows: list[Entry] = [
            *_steps(task).filter(seq__gt=last, seq__lte=upto),
            *_lines(task).filter(seq__gt=last, seq__lte=upto),
        ]
        yield sorted(rows, key=attrgetter("seq"))
        last = upto


def depth_of(line: TaskLine) -> int:
    """How deep a line stands: one below its step."""
    return line.step.depth + 1 if line.step else 0


def _lines(task: Task) -> QuerySet[TaskLine]:
    return TaskLine.objects.filter(task_id=task.pk).select_related("step")


def _steps(task: Task) -> QuerySet[TaskStep]:
    return TaskStep.objects.filter(task_id=task.pk)
