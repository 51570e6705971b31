"""Run one attempt of a task, from the claim to the final state."""

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from panel.accounts.permissions import can
from tasks import publish, registry
from tasks.choices import OPEN_STATES, State, StepState, UndoState
from tasks.closing import release, settle
from tasks.errors import Fenced, JobFailed
from tasks.heartbeat import Heartbeat
from tasks.models import Task, TaskStep
from tasks.outcomes import Outcome, judge
from tasks.pen import Stamp
from tasks.recovery import Recovery
from tasks.registry import Job
from tasks.services.cancelling import cancel_children
from tasks.steps import Step, TaskRun
from tasks.undoing import saved_undos, undo_all

__all__ = ["Step", "TaskRun", "claim", "execute"]
log = structlog.get_logger("mooring.tasks")
MOST_RECOVERIES = 3  # a task whose workers keep dying is not resumed for ever


def execute(task_id: int, worker: str = "") -> None:
    """Run the task's next attempt if it is queued; otherwise do nothing. Never raises for what a job does."""
    task = claim(task_id, worker)
    if task is None:
        return
    run = TaskRun(task)
    with structlog.contextvars.bound_contextvars(task=task.pk, kind=task.kind, attempt=task.attempt):
        try:
            with Heartbeat(run):
                _conclude(run, _decide(run))
        except Fenced:
            log.warning("this attempt is over: another worker has the task; nothing was written")


def claim(task_id: int, worker: str) -> Task | None:
    """Take a queued task by compare-and-swap, as its next attempt; None when there is nothing to take."""
    with transaction.atomic():
        task = Task.objects.select_related("initiator").filter(pk=task_id, state=State.QUEUED).first()
        if task is None:
            return None
        won = Task.objects.filter(pk=task_id, state=State.QUEUED, attempt=task.attempt).update(
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            heartbeat=F("heartbeat") + 1,
            rev=F("rev") + 1,
            recovering=False,
            worker=worker[:100],
            started_at=Coalesce("started_at", timezone.now()),
        )
        if won != 1:
            return None
        task.attempt += 1
        task.state = State.RUNNING
        publish.after_commit(task_id, task.rev + 1, listed=True, parent_id=task.parent_id)
    return task  # `recovering` still says what the row said before the claim


def _decide(run: TaskRun) -> Outcome:
    """What the attempt comes to; raises Fenced."""
    task = run.task
    if task.ending:  # a worker died while it undid the task
        return Outcome(State(task.ending), task.reason, task.advice, task.traceback)
    try:
        job = registry.get_job(task.kind)
        if task.recovering:
            ended = _recover(run, job)
            if ended is not None:
                return ended
        _check_right(task, job)
        job.function(run, **task.params)
    except Fenced:
        raise
    except Exception as error:
        outcome = judge(error, run.secrets)
        if outcome.state == State.ERRORED:
            log.exception("a job met an error that it does not expect")
        return outcome
    if run.warnings:
        return Outcome(State.WARNING, " ".join(run.warnings))
    return Outcome(State.COMPLETED)


def _recover(run: TaskRun, job: Job) -> Outcome | None:
    """Ask the engine what became of the dead worker's attempt; None to run the job again."""
    lost = Outcome(
        State.LOST,
        "The worker died, and this kind of task cannot be taken up again.",
        "Look at the object's present state, then retry the task.",
    )
    if job.recover is None:
        return lost
    run.cancellable = False  # a request to cancel waits until it is known what there is to cancel
    with run.step("Asking the engine what is true") as step:
        found: Recovery = job.recover(run, **run.task.params)
        step.line(_WORDS[found.verdict])
    run.cancellable = run.task.cancellable
    if found.verdict == "completed":
        return Outcome(State.WARNING, " ".join(run.warnings)) if run.warnings else Outcome(State.COMPLETED)
    if found.verdict == "failed":
        return Outcome(State.FAILED, found.reason, found.advice)
    if run.task.recoveries >= MOST_RECOVERIES:
        return Outcome(State.LOST, f"Its worker died {run.task.recoveries} times.", lost.advice)
    return None


_WORDS = {
    "resume": "The work is not complete; it is taken up again",
    "completed": "The work was completed",
    "failed": "The work was not done",
}


def _check_right(task: Task, job: Job) -> None:
    """The initiator must still hold the right now; a task of Mooring itself has no initiator."""
    if task.initiator is None and not task.initiator_name:
        return
    if not can(task.initiator, job.permission, task):
        raise JobFailed(
            f"{task.initiator_name} no longer holds the permission {job.permission}.",
            "Ask an administrator for the role, then retry the task.",
        )


def _conclude(run: TaskRun, outcome: Outcome) -> None:
    """Undo where the outcome asks for it, then write the final state with all that goes with it. Raises Fenced."""
    if outcome.undoes and saved_undos(run.task.pk):
        ending = {"ending": outcome.state, "reason": outcome.reason, "advice": outcome.advice}
        run.pen.write(lambda stamp: _change(run, **ending, traceback=outcome.traceback))
        outcome = outcome.after_failed_undo(undo_all(run))
    below = set(run.task.children.order_by().values_list("state", flat=True))
    if below & OPEN_STATES or (below and not outcome.undoes):
        run.pen.write(lambda stamp: _park(run, outcome), listed=True, ends=True)
        return
    if run.pen.cancel_requested and not outcome.undoes:
        run.line("The request to cancel came too late: the work was done")
    run.pen.write(lambda stamp: _finish(run, outcome, stamp), listed=True, ends=True)
    log.info("the attempt ended", state=outcome.state, reason=outcome.reason)


def _finish(run: TaskRun, outcome: Outcome, stamp: Stamp) -> None:
    now = timezone.now()
    steps = TaskStep.objects.filter(task_id=run.task.pk)
    if not outcome.undoes:
        steps.filter(undo_state=UndoState.SAVED).update(undo_state=UndoState.DROPPED, rev=stamp.rev)
    steps.filter(state=StepState.RUNNING).update(state=StepState.LOST, finished_at=now, rev=stamp.rev)
    done = {"progress": 100} if not outcome.undoes else {}
    _change(
        run,
        state=outcome.state,
        reason=outcome.reason,
        advice=outcome.advice,
        traceback=outcome.traceback,
        ending="",
        finished_at=now,
        **done,
    )
    release(run.task.pk, run.task.parent_id)


def _park(run: TaskRun, outcome: Outcome) -> None:
    """Let go of the worker: the task ends when its children have."""
    TaskStep.objects.filter(task_id=run.task.pk, undo_state=UndoState.SAVED).update(undo_state=UndoState.DROPPED)
    ending = "" if outcome.state == State.COMPLETED else outcome.state
    told = {"reason": outcome.reason, "advice": outcome.advice, "traceback": outcome.traceback}
    _change(run, state=State.WAITING, waits_for_children=True, ending=ending, worker="", **told)
    if run.pen.cancel_requested:
        cancel_children(run.task.pk, Task.objects.values_list("cancelled_by", flat=True).get(pk=run.task.pk))
    settle(run.task.pk)


def _change(run: TaskRun, **columns: object) -> None:
    Task.objects.filter(pk=run.task.pk).update(**columns)
