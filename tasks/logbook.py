"""Reading a task's log: what is new since a revision, the last part of it for a page, and all of it for a download.

Steps and lines share one numbering (`seq`, the order on the screen) and one clock (`rev`, the order of the writes).
Lines never change; a step changes until it ends, and each change gives it a newer `rev`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from django.db.models import F, QuerySet

from tasks.models import Task, TaskLine, TaskStep

Entry = TaskStep | TaskLine
BATCH = 400
BATCH_TEXT = 128 * 1024
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
    fresh = _lines(task).filter(rev__gt=after, rev__lte=task.rev).annotate(step_depth=F("step__depth"))
    lines = list(fresh.order_by("rev", "seq")[: batch + 1])
    # Those that changed since the task was read come along: one of them may be the step of a line.
    changed = list(_steps(task).filter(rev__gt=after).order_by("rev", "seq")[: batch + 1])
    rows: list[Entry] = [*lines, *(step for step in changed if step.rev <= task.rev)]
    cut = _cut(rows, batch, task.rev)
    entries: dict[int, Entry] = {row.seq: row for row in rows if row.rev <= cut}
    if len(rows) > batch or cut < task.rev:  # a batch never ends in the middle of one write
        entries |= {line.seq: line for line in fresh.filter(rev=cut)}
        entries |= {step.seq: step for step in _steps(task).filter(rev=cut)}
    if entries:
        last = max(entries)
        later = changed if len(changed) <= batch else _steps(task).filter(rev__gt=cut, seq__lt=last)
        entries |= {step.seq: step for step in later if step.rev > cut and step.seq < last}
    return News([entries[seq] for seq in sorted(entries)], cut, more=cut < task.rev)


def _cut(rows: list[Entry], batch: int, upto: int) -> int:
    """The revision up to which one answer goes: so many entries, and not more text than a browser may owe us."""
    size = 0
    for number, row in enumerate(sorted(rows, key=attrgetter("rev"))):
        size += len(row.text) if isinstance(row, TaskLine) else len(row.title)
        if number + 1 >= batch and len(rows) > batch:
            return row.rev
        if size > BATCH_TEXT:
            return row.rev
    return upto


def excerpt(task: Task, lines: int = SHOWN_LINES) -> Excerpt:
    """The log up to the `rev` of the given task, as a page shows it."""
    known = _lines(task).filter(rev__lte=task.rev)
    last = list(known.annotate(step_depth=F("step__depth")).order_by("-seq")[: lines + 1])
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
            *_lines(task).select_related("step").filter(seq__gt=last, seq__lte=upto),
        ]
        yield sorted(rows, key=attrgetter("seq"))
        last = upto


def depth_of(line: TaskLine) -> int:
    """How deep a line stands: one below its step."""
    if line.step_id is None:
        return 0
    known = line.__dict__.get("step_depth")  # where only the depth was read
    return int(known if known is not None else line.step.depth if line.step else 0) + 1


def _lines(task: Task) -> QuerySet[TaskLine]:
    return TaskLine.objects.filter(task_id=task.pk)


def _steps(task: Task) -> QuerySet[TaskStep]:
    return TaskStep.objects.filter(task_id=task.pk)
