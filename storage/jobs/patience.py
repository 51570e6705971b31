"""Waiting for a cluster that does not answer: silence delays a task; it neither fails it nor cuts its undo short."""

import time
from collections.abc import Callable
from typing import cast
from weakref import WeakKeyDictionary

from infrastructure.drivers.errors import Unreachable
from panel.ui.format import duration
from storage.drivers.base import StorageCluster
from tasks.errors import JobFailed
from tasks.runner import TaskRun

SILENT_SECONDS = 1800.0  # a worker is not held for ever; what the undo could not do then, a retry or a removal does
PAUSE_SECONDS = 1.0

_silent_since: WeakKeyDictionary[TaskRun, float] = WeakKeyDictionary()


def patient(run: TaskRun, cluster: StorageCluster) -> StorageCluster:
    """The cluster, each of whose calls is made again while there is no answer; all of them may be repeated.

    The innermost step says what is waited for. Raises JobCancelled when somebody cancels meanwhile, JobFailed after
    half an hour of silence; other errors pass.
    """
    return cast("StorageCluster", _Patient(run, cluster))


class _Patient:
    def __init__(self, run: TaskRun, cluster: StorageCluster) -> None:
        self._run = run
        self._cluster = cluster

    def __getattr__(self, name: str) -> Callable[..., object]:
        method: Callable[..., object] = getattr(self._cluster, name)
        return lambda *args, **words: _answered(self._run, lambda: method(*args, **words))


def _answered(run: TaskRun, ask: Callable[[], object]) -> object:
    while True:
        begun = time.monotonic()
        try:
            answer = ask()
        except Unreachable as error:
            _wait(run, error, begun)
        else:
            _silent_since.pop(run, None)
            return answer


def _wait(run: TaskRun, error: Unreachable, begun: float) -> None:
    since = _silent_since.setdefault(run, begun)
    if time.monotonic() - since > SILENT_SECONDS:
        raise JobFailed(
            f"{error.message.rstrip('.')}, and did not answer for {duration(SILENT_SECONDS)}.",
            "Retry the task when the cluster answers again.",
        ) from error
    if run.stack:
        run.stack[-1].progress(None, f"{error.message.rstrip('.')}; the task goes on when it answers")
    time.sleep(PAUSE_SECONDS)
