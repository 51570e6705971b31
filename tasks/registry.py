"""Which kinds of task there are, how their effects are undone, and which errors of theirs are expected.

Apps register in their `jobs` package; it is imported at the first look-up, never before a worker has forked.
"""

import inspect
import pkgutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from django.apps import apps

from panel.accounts.roles import PERMISSIONS
from tasks.errors import BadRequest, JobFailed, UnknownJob

if TYPE_CHECKING:
    from tasks.lanes import Lane
    from tasks.recovery import Recovery

Params = Mapping[str, Any]
Function = Callable[..., None]
Locks = str | Sequence[str] | Callable[[Params], Sequence[str]] | None
Lanes = Callable[[Params], "Sequence[Lane]"]
Phases = Sequence[str] | Callable[[Params], Sequence[str]]
Recover = Callable[..., "Recovery"]
Explain = Callable[[Any], tuple[str, str]]
F = TypeVar("F", bound=Callable[..., Any])
QUEUES = ("default", "migrate")  # one worker each in setup/supervisord.conf


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of task. `doing` completes "vmtest is …": "being migrated"; `noun` completes "Cancel …": "migration"."""

    kind: str
    function: Function
    queue: str
    title: str
    permission: str
    lock: Locks
    lanes: Lanes | None
    recover: Recover | None
    retryable: bool
    doing: str
    shares: Locks = None
    noun: str = "task"
    phases: Phases = ()
    cancel_note: str = ""

    def lock_keys(self, params: Params) -> list[str]:
        """The locks that a task with these parameters holds alone while it is open, each once, in a fixed order."""
        return _keys(self.lock, params)

    def shared_keys(self, params: Params) -> list[str]:
        """The locks that it shares with other tasks."""
        return _keys(self.shares, params)

    def phase_names(self, params: Params) -> list[str]:
        """The phases that a task with these parameters goes through, in their order."""
        return list(self.phases(params) if callable(self.phases) else self.phases)


_jobs: dict[str, Job] = {}
_undos: dict[str, Function] = {}
_expected: dict[type[Exception], Explain] = {}
_discovered = False
_discovering = threading.RLock()


def job(
    kind: str,
    *,
    queue: str = "default",
    title: str,
    permission: str,
    lock: Locks = None,
    lanes: Lanes | None = None,
    recover: Recover | None = None,
    retryable: bool = True,
    doing: str = "being worked on",
    shares: Locks = None,
    noun: str = "task",
    phases: Phases = (),
    cancel_note: str = "",
) -> Callable[[F], F]:
    """Register `function(run: TaskRun, *, …)` as the job of a kind of task; its keyword parameters are the task's.

    title: a gerund with the placeholders that enqueue() fills from title_args: "Migrating Virtual Environment {ve}".
    permission: what the user must hold when asking, and still hold when a worker begins.
    lock: what no two open tasks share: "ve:{ve_id}", several of these, or a function of the parameters.
    shares: like lock, for what it uses together with others: refused only while a task holds that key alone.
    lanes: function of the parameters that names the lanes the task runs in.
    recover: `recover(run, **params) -> Recovery`, called after a worker died in the middle of the job; it asks the
        engine what is true. Without one the saved undos run and the task ends as lost.
    noun: what the page offers to cancel, and whose charts it shows: "migration".
    phases: what the page's phases bar shows, or a function of the parameters; the job enters each by `run.phase`.
    cancel_note: what cancelling leaves and drops, with the placeholders of the title: "{ve} stays on {source}. …".
    Raises ValueError for a bad declaration.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"job {kind!r}: unknown permission {permission!r}")
    if queue not in QUEUES:
        raise ValueError(f"job {kind!r}: unknown queue {queue!r}")

    def register(function: F) -> F:
        _refuse_second(_jobs.get(kind), function, f"job {kind!r}")
        _jobs[kind] = Job(
            kind, function, queue, title, permission, lock, lanes, recover, retryable, doing, shares, noun, phases,
            cancel_note,
        )  # fmt: skip
        return function

    return register


def undo(name: str) -> Callable[[F], F]:
    """Register `function(run: TaskRun, *, …)` as an undo. It must be idempotent: the effect may not even have begun."""

    def register(function: F) -> F:
        known = _undos.get(name)
        if known is not None and known.__qualname__ != function.__qualname__:
            raise ValueError(f"undo {name!r} is registered twice")
        _undos[name] = function
        return function

    return register


def expected(kind: type[Exception]) -> Callable[[Explain], Explain]:
    """Register `explain(error) -> (reason, advice)` for an exception that means failed, not a bug of Mooring."""

    def register(explain: Explain) -> Explain:
        _expected[kind] = explain
        return explain

    return register


def explained(error: BaseException) -> tuple[str, str] | None:
    """(reason, advice) of an expected error, None for a bug."""
    if isinstance(error, JobFailed):
        return error.reason, error.advice
    for kind in type(error).__mro__:
        if kind in _expected:
            return _expected[kind](error)
    return None


def get_job(kind: str) -> Job:
    """The job of a kind; UnknownJob when no installed app registers it."""
    autodiscover()
    try:
        return _jobs[kind]
    except KeyError:
        raise UnknownJob(f"no installed app registers the job {kind!r}") from None


def get_undo(name: str) -> Function:
    """The undo of that name; UnknownJob when no installed app registers it."""
    autodiscover()
    try:
        return _undos[name]
    except KeyError:
        raise UnknownJob(f"no installed app registers the undo {name!r}") from None


def all_jobs() -> tuple[Job, ...]:
    """Every registered job, by kind."""
    autodiscover()
    return tuple(_jobs[kind] for kind in sorted(_jobs))


def autodiscover() -> None:
    """Import the `jobs` package, with all its modules, of each installed app; once a process."""
    global _discovered
    if _discovered:
        return
    with _discovering:
        if _discovered:
            return
        for config in apps.get_app_configs():
            name = f"{config.name}.jobs"
            if find_spec(name) is None:
                continue
            package = import_module(name)
            for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
                import_module(f"{name}.{module.name}")
        _discovered = True


def _keys(locks: Locks, params: Params) -> list[str]:
    if locks is None:
        return []
    keys = locks(params) if callable(locks) else [locks] if isinstance(locks, str) else locks
    return sorted({key.format(**params) for key in keys})


def _refuse_second(known: Job | None, function: Function, what: str) -> None:
    if known is not None and known.function.__qualname__ != function.__qualname__:
        raise ValueError(f"{what} is registered twice")
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise BadRequest(f"{what} must take {parameter.name} by keyword only")
