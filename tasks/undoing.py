"""Take back what a task did, by the undos saved in its steps, the last one first."""

from tasks import registry
from tasks.choices import Level, UndoState
from tasks.errors import Fenced
from tasks.models import TaskStep
from tasks.outcomes import judge
from tasks.steps import TaskRun


def saved_undos(task_id: int) -> list[TaskStep]:
    """The steps of all attempts whose undo is still to be run, the last one first."""
    return list(TaskStep.objects.filter(task_id=task_id, undo_state=UndoState.SAVED).order_by("-seq"))


def undo_all(run: TaskRun) -> list[str]:
    """Run every saved undo, each in a step of its own; returns what could not be undone, in words. Raises Fenced."""
    steps = saved_undos(run.task.pk)
    if not steps:
        return []
    run.cancellable = False
    with run.step("Undoing what was done"):
        return [failure for step in steps if (failure := _undo_one(run, step))]


def _undo_one(run: TaskRun, step: TaskStep) -> str:
    """Run one undo; "" or why it failed. One that fails does not keep the others from running."""
    failure = ""
    try:
        with run.step(f"Undoing: {step.title}"):
            registry.get_undo(step.undo_name)(run, **step.undo_args)
    except Fenced:
        raise
    except Exception as error:
        outcome = judge(error, run.secrets)
        failure = f"{step.title}: {outcome.reason}".rstrip(".")
        run.line(f"Undoing failed. {failure}", Level.ERROR)
    state = UndoState.FAILED if failure else UndoState.DONE
    run.pen.write(lambda stamp: TaskStep.objects.filter(pk=step.pk).update(undo_state=state, rev=stamp.rev))
    return failure
