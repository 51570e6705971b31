"""Kinds of task that only these tests know. What they do is given as a script, so that each test shows its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tasks import registry
from tasks.lanes import Lane
from tasks.recovery import Recovery
from tasks.runner import TaskRun

Script = Callable[..., Any]


class Engine:
    """What the test jobs do, and what was done to them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.script: Script = lambda run, **params: None
        self.recovery: Script = lambda run, **params: Recovery.resume()
        self.undo: Script = lambda run, **args: None
        self.calls: list[tuple[str, Any]] = []


engine = Engine()


@registry.job(
    "test.move",
    queue="migrate",
    title="Moving {ve}",
    permission="ve.migrate",
    lock="ve:{ve_id}",
    doing="being moved",
    noun="move",
    phases=("Prepare", "Copy", "Clean up"),
    cancel_note="{ve} stays where it is.",
    recover=lambda run, **params: engine.recovery(run, **params),
)
def move(run: TaskRun, *, ve_id: int, live: bool = True) -> None:
    engine.calls.append(("move", ve_id))
    engine.script(run, ve_id=ve_id, live=live)


@registry.job("test.start", title="Starting {ve}", permission="ve.operate", lock="ve:{ve_id}", doing="being started")
def start(run: TaskRun, *, ve_id: int) -> None:
    """No `recover`."""
    engine.calls.append(("start", ve_id))
    engine.script(run, ve_id=ve_id)


def _lanes(params: Any) -> list[Lane]:
    limit = 2
    return [Lane(f"out:{params['node_id']}", limit, f"{limit} copies out of node {params['node_id']}")]


@registry.job("test.copy", title="Copying {number}", permission="ve.migrate", lanes=_lanes)
def copy(run: TaskRun, *, number: int, node_id: int) -> None:
    """No lock, two at a time per node."""
    engine.calls.append(("copy", number))
    engine.script(run, number=number, node_id=node_id)


@registry.job("test.all", title="Starting all", permission="ve.operate", recover=lambda run, **p: Recovery.resume())
def bulk(run: TaskRun, *, ve_ids: list[int]) -> None:
    from tasks.services import Child, Target

    run.start_children(
        Child("test.start", {"ve_id": each}, {"ve": f"ve{each}"}, (Target("ve", each, f"ve{each}"),)) for each in ve_ids
    )


@registry.job("test.once", title="Doing it once", permission="ve.operate", retryable=False)
def once(run: TaskRun) -> None:
    engine.script(run)


@registry.undo("test.undo")
def take_back(run: TaskRun, *, what: str) -> None:
    engine.calls.append(("undo", what))
    engine.undo(run, what=what)


class EngineDown(Exception):
    """Stands for the error family of a driver."""

    def __init__(self, message: str, advice: str = "") -> None:
        self.message = message
        self.advice = advice
        super().__init__(message)


class SourceDown(EngineDown):
    """A subclass is expected like its family."""


@registry.expected(EngineDown)
def explain(error: EngineDown) -> tuple[str, str]:
    return error.message, error.advice


@contextmanager
def script(function: Script) -> Iterator[None]:
    """Have the test jobs do this inside the block."""
    before, engine.script = engine.script, function
    try:
        yield
    finally:
        engine.script = before
