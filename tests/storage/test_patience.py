"""A cluster that falls silent in the middle of a task: the task waits, goes on, and leaves nothing when it ends."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infrastructure.drivers.errors import Refused, TimedOut
from panel.accounts.models import User
from storage.drivers.fake import FakeCluster
from storage.jobs import patience
from tasks.models import Task, TaskStep
from tasks.services import cancel, retry
from tests.infrastructure.fake_nodes import run
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import create, nothing_left


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Driven]:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.0)
    with driven() as found:
        yield found


class Silence:
    """From a call of this method on the cluster answers nothing more, until `over` says so."""

    def __init__(self, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.asked = 0
        self.over: Callable[[], bool] = lambda: self.asked > 3
        self._method = method
        self._begun = False
        enter = cluster._enter

        def silent(called: str) -> Any:
            self._begun = self._begun or called == self._method
            if self._begun and not self.over():
                self.asked += 1
                raise TimedOut(f"storage1 did not {called} within 20 s", component="ceph")
            return enter(called)

        monkeypatch.setattr(cluster, "_enter", silent)


@pytest.mark.parametrize("method", ["look", "make_rule", "make_replicated_pool", "make_filesystem", "make_directory"])
def test_the_task_goes_on_when_the_cluster_answers_again(
    storage: Driven, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    datastore, task = create(storage.row, use="files")
    silence = Silence(storage.fake, monkeypatch, method)
    assert run(task).state == "completed", task.reason
    datastore.refresh_from_db()
    assert (datastore.state, silence.asked) == ("ready", 4)
    notes = list(TaskStep.objects.filter(task=task).exclude(note="").values_list("note", flat=True))
    assert any("did not" in note and "the task goes on when it answers" in note for note in notes), notes


def test_the_undo_waits_too(storage: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    _, task = create(storage.row, use="files")
    storage.fake.fail_next("make_directory", Refused("the monitor says no", component="ceph"))
    silence = Silence(storage.fake, monkeypatch, "remove_directory")
    assert run(task).state == "failed"
    assert (task.reason, silence.asked) == ("the monitor says no.", 4)
    assert nothing_left(storage.fake)


def test_it_can_be_cancelled_while_it_waits(storage: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    datastore, task = create(storage.row)
    silence = Silence(storage.fake, monkeypatch, "make_replicated_pool")

    def over() -> bool:
        if silence.asked == 2:
            silence.asked += 1
            cancel(Task.objects.get(pk=task.pk), User.objects.get())
        return silence.asked > 6

    silence.over = over
    assert run(task).state == "cancelled", task.reason
    assert nothing_left(storage.fake)
    datastore.refresh_from_db()
    assert datastore.state == "failed"


def test_a_silence_without_end_fails_with_what_to_do_and_a_retry_makes_it_whole(
    storage: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SILENT_SECONDS", 0.0)
    datastore, task = create(storage.row)
    with monkeypatch.context() as broken:
        Silence(storage.fake, broken, "make_replicated_pool").over = lambda: False
        assert run(task).state == "failed"
    assert "storage1 did not make_replicated_pool within 20 s, and did not answer for" in task.reason
    assert "Retry the task when the cluster answers again." in task.advice
    datastore.refresh_from_db()
    assert datastore.state == "failed"
    assert run(retry(task)).state == "completed"
