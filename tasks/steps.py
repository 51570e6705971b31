"""What a job is given: the run of one attempt, and the steps it opens in it."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from django.utils import timezone

from tasks import registry, signatures
from tasks.choices import Level, StepState, UndoState
from tasks.errors import BadRequest, Fenced, JobCancelled
from tasks.models import Task, TaskStep
from tasks.outcomes import judge
from tasks.pagefacts import PageFacts
from tasks.pen import Pen, Stamp, insert_lines
from tasks.progress import Progress
from tasks.text import Secret, clean, clip, shown_command

if TYPE_CHECKING:
    from tasks.services.children import Child

DONE = (StepState.COMPLETED, StepState.WARNING)
LOOK_EVERY = 0.25  # seconds for which what was last read about cancelling is good enough


class TaskRun(PageFacts):
    """One attempt of one task, as its job sees it.

    Each method that writes raises Fenced when the attempt is over because its worker was thought dead; a job lets that
    pass, and does nothing afterwards. A new step and each progress raise JobCancelled when somebody asked to cancel.
    Steps and lines may be written from any thread.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.attempt = task.attempt
        self.pen = Pen(task.pk, task.attempt, task.parent_id)
        self.secrets: set[str] = set()
        self.warnings: list[str] = []
        self.cancellable = task.cancellable  # no longer after the point of no return, and while undoing
        self.lock = threading.RLock()
        self.stack: list[Step] = []
        self._keys: Counter[str] = Counter()
        self._done_before = _completed_before(task)

    def step(self, title: str) -> "Step":
        """A step below the innermost open one; `with run.step("Checking secondnode1") as step:`."""
        return Step(self, title, self.stack[-1] if self.stack else None)

    def line(self, text: object, level: str = Level.INFO) -> None:
        """Write one line into the innermost open step (or above all steps)."""
        self.lines([text], level)

    def lines(self, texts: Iterable[object], level: str = Level.INFO) -> None:
        """Write many lines in one transaction."""
        self.write_lines(self.stack[-1] if self.stack else None, texts, level)

    def command(self, argv: Collection[object]) -> None:
        """Show the command line that does what the job does by other means; parts marked `Secret` are masked."""
        self.write_command(self.stack[-1] if self.stack else None, argv)

    def warn(self, reason: str) -> None:
        """Write a warning; the task will end as "completed, warnings" with this reason instead of "completed"."""
        self.warnings.append(clean(reason, secrets=self.secrets))
        if self.stack:
            self.stack[-1].warned = True
        self.line(reason, Level.WARNING)

    def undo(self, name: str, **args: Any) -> None:
        """Save, before the effect, how the innermost open step is undone: a registered name and JSON arguments.

        Undos run in reverse order when the task fails, is cancelled or lost, in this worker or another; they are
        dropped when it completes. A step has one undo: a second one needs a nested step. Raises BadRequest, UnknownJob.
        """
        if not self.stack:
            raise BadRequest(f"the undo {name} must be saved inside a step")
        args = signatures.complete(registry.get_undo(name), args)
        self.stack[-1].save_undo(name, args)

    def check_cancel(self) -> None:
        """Raise JobCancelled when somebody asked to cancel; asks the database when the last look is 0.25 s old."""
        if self.cancelled():
            raise JobCancelled(f"Cancelled by {self._canceller()}.")

    def cancelled(self) -> bool:
        """Whether the job should stop now. Raises Fenced."""
        if self.pen.fenced or time.monotonic() - self.pen.looked_at > LOOK_EVERY:
            self.pen.look()
        return self.cancellable and self.pen.cancel_requested

    def point_of_no_return(self) -> None:
        """From here on the job finishes: cancelling is no longer offered, and a request made before is not followed."""
        with self.lock:
            self.cancellable = False
            self.pen.write(lambda stamp: Task.objects.filter(pk=self.task.pk).update(cancellable=False), listed=True)

    def atomic(self) -> AbstractContextManager[Stamp]:
        """A transaction for the job's own rows that can only commit while this attempt holds the task.

        Raises Fenced on entering. Ask no engine inside.
        """
        return self.pen.atomic()

    def start_children(self, children: "Iterable[Child]", *, at_most: int | None = None) -> list[Task]:
        """Start the tasks of a bulk action in one transaction, below this one and in its initiator's name.

        at_most: so many of them are queued or running at once, the others wait.

        A child that is refused (right, conflict) becomes a failed row with the reason. When the job returns, the task
        waits for its children without a worker and takes its outcome from theirs. Asked again by a later attempt,
        children that are open or completed are left as they are.
        """
        from tasks.services.children import start_children

        with self.atomic():
            return start_children(self.task, children, at_most=at_most)

    def write_command(self, step: "Step | None", argv: Collection[object]) -> None:
        self.secrets.update(part for part in argv if isinstance(part, Secret) and len(part) > 3)
        self.write_lines(step, [shown_command(argv)], Level.COMMAND)

    def write_lines(self, step: "Step | None", texts: Iterable[object], level: str) -> None:
        cleaned = [clean(text, secrets=self.secrets) for text in texts]
        if not cleaned:
            return
        row_id = step.row_id if step else None
        now = timezone.now()

        def insert(stamp: Stamp) -> None:
            rows = [
                (self.task.pk, row_id, stamp.seq + offset, level, text, now, stamp.rev)
                for offset, text in enumerate(cleaned)
            ]
            insert_lines(rows)

        self.pen.write(insert, entries=len(cleaned))

    def key_of(self, title: str, parent: "Step | None") -> str:
        """The path of titles, numbered when an attempt repeats it."""
        path = f"{parent.key} / {title}" if parent else title
        self._keys[path] += 1
        suffix = f" #{self._keys[path]}" if self._keys[path] > 1 else ""
        if len(path) + len(suffix) > 250:
            path = path[:185] + signatures.digest(path, {})
        return path + suffix

    def completed_before(self, key: str) -> bool:
        return key in self._done_before

    def flush_progress(self) -> None:
        """Write what progress was held back; called by the heartbeat. Raises Fenced."""
        with self.lock:
            steps = tuple(self.stack)
        for step in steps:
            step.figures.flush()

    def _canceller(self) -> str:
        name = Task.objects.filter(pk=self.task.pk).values_list("cancelled_by", flat=True).first()
        return name or "Mooring"


def _completed_before(task: Task) -> frozenset[str]:
    if task.attempt < 2:
        return frozenset()
    done = TaskStep.objects.filter(task=task, attempt__lt=task.attempt, state__in=DONE)
    return frozenset(done.exclude(undo_state=UndoState.DONE).values_list("key", flat=True))


class Step:
    """A step of a task, open between entering and leaving its `with` block.

    Every attempt runs the body of every step again: the body asks the engine whether its effect is already there, and
    then says so with `already_done`. `done_before` tells that an earlier attempt completed this step (the record's
    word, not the engine's), for the rare effect that no engine can be asked about.
    """

    def __init__(self, run: TaskRun, title: str, parent: "Step | None") -> None:
        self.run = run
        self.title = clip(title, 250, secrets=run.secrets)
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.key = ""
        self.row_id = 0
        self.done_before = False
        self.warned = False
        self.figures = Progress(self)
        self._has_undo = False

    def __enter__(self) -> Self:
        run = self.run
        with run.lock:
            self.key = run.key_of(self.title, self.parent)
            self.done_before = run.completed_before(self.key)
            self.row_id = run.pen.write(self._insert, entries=1)
            run.stack.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.run.lock:
            with suppress(ValueError):
                self.run.stack.remove(self)
            if isinstance(error, Fenced) or (error is not None and not isinstance(error, Exception)):
                return  # another worker has the task, or this process is ending: the reaper closes what is open
            self._close(error)

    def step(self, title: str) -> "Step":
        """A step nested in this one."""
        return Step(self.run, title, self)

    def line(self, text: object, level: str = Level.INFO) -> None:
        """Write one line into this step."""
        self.run.write_lines(self, [text], level)

    def lines(self, texts: Iterable[object], level: str = Level.INFO) -> None:
        """Write many lines in one transaction."""
        self.run.write_lines(self, texts, level)

    def command(self, argv: Collection[object]) -> None:
        """See TaskRun.command."""
        self.run.write_command(self, argv)

    def already_done(self, what: str = "") -> None:
        """Say that the engine already has this step's effect: "already done: vmtest runs on secondnode1"."""
        text = f"already done: {what}" if what else "already done"
        self.line(text)
        self.note(text)

    def note(self, text: str) -> None:
        """Set the short text beside the step's state."""
        self.run.pen.write(lambda stamp: self.update(stamp, note=clip(text, 250, secrets=self.run.secrets)))

    def progress(self, percent: float | None = None, note: str = "", **figures: Any) -> None:
        """Show how far this step is: percent 0–100, a note, and figures in their natural units (rate_mib=112.5).

        Made to be called from an engine's progress callback, as often as it likes: at most two a second are written,
        and the last one always. Raises JobCancelled, so that the driver aborts the engine's job. Does not raise Fenced:
        that would abort a job which another worker now watches; the next call of another method raises it.
        """
        self.figures.show(percent, note, figures)
        if not self.run.pen.fenced:
            with suppress(Fenced):
                self.run.check_cancel()

    def save_undo(self, name: str, args: dict[str, Any]) -> None:
        if self._has_undo:
            raise BadRequest(f"the step {self.title!r} already has an undo; open a nested step for {name}")

        def save(stamp: Stamp) -> None:
            # An earlier attempt of the same step saved the same undo; once is enough.
            TaskStep.objects.filter(
                task_id=self.run.task.pk, undo_state=UndoState.SAVED, undo_name=name, undo_args=args
            ).update(undo_state=UndoState.DROPPED)
            self.update(stamp, undo_name=name, undo_args=args, undo_state=UndoState.SAVED)

        self.run.pen.write(save)
        self._has_undo = True

    def update(self, stamp: Stamp, **columns: Any) -> None:
        """Change this step's row inside a write."""
        TaskStep.objects.filter(pk=self.row_id).update(rev=stamp.rev, **columns)

    def _insert(self, stamp: Stamp) -> int:
        if self.run.cancellable and self.run.pen.cancel_requested:
            self.run.check_cancel()
        return TaskStep.objects.create(
            task_id=self.run.task.pk,
            parent_id=self.parent.row_id if self.parent else None,
            seq=stamp.seq,
            depth=self.depth,
            key=self.key,
            title=self.title,
            attempt=self.run.attempt,
            rev=stamp.rev,
            started_at=timezone.now(),
        ).pk

    def _close(self, error: Exception | None) -> None:
        self.figures.close()
        state = StepState.WARNING if self.warned else StepState.COMPLETED
        if isinstance(error, JobCancelled):
            state = StepState.CANCELLED
        elif error is not None:
            state = StepState.FAILED
            self._tell_once(error)
        elif self.warned and self.parent:
            self.parent.warned = True
        self.run.pen.write(lambda stamp: self.update(stamp, state=state, finished_at=timezone.now()))

    def _tell_once(self, error: Exception) -> None:
        """Write the cause where it happened: in the innermost step only."""
        if not getattr(error, "told_in_log", False):
            error.told_in_log = True  # type: ignore[attr-defined]
            self.line(judge(error, self.run.secrets).reason, Level.ERROR)
