"""Starting a task: the right, the lock, the row, then the message."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.test import RequestFactory

from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks import messages
from tasks.errors import BadRequest, TaskConflict, UnknownJob
from tasks.models import Task, TaskLock
from tasks.services import Target, enqueue
from tasks.text import Secret
from tests.tasks.helpers import in_threads, move

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_task_is_a_row_with_all_that_the_pages_show(operator: User) -> None:
    request = RequestFactory().post("/", REMOTE_ADDR="10.1.2.3")
    request.user = operator
    task = enqueue(
        "test.move",
        request=request,
        params={"ve_id": 7},
        title_args={"ve": "vmtest"},
        targets=[Target("ve", 7, "vmtest"), Target("node", 1, "primary"), Target("node", 2, "secondnode1")],
        place="primary → secondnode1",
    )
    task.refresh_from_db()
    assert (task.title, task.queue, task.state) == ("Moving vmtest", "migrate", "queued")
    assert task.params == {"ve_id": 7, "live": True}, "defaults belong to the request"
    assert (task.object_type, task.object_id, task.object_name) == ("ve", 7, "vmtest")
    assert (task.initiator, task.initiator_name, task.source) == (operator, "operator", "10.1.2.3")
    assert task.place == "primary → secondnode1"
    assert task.scopes() == {("ve", 7), ("node", 1), ("node", 2)}
    assert not task.already_running


@pytest.mark.parametrize("name", ["{ve_id}", "{0}", "{ve.pk}", "%(ve)s", "{"])
def test_a_name_with_braces_stands_in_the_title_as_it_is(name: str, operator: User) -> None:
    task = enqueue("test.move", user=operator, params={"ve_id": 7}, title_args={"ve": name})
    assert task.title == f"Moving {name}"


def test_the_message_is_sent_after_the_commit(sent: list[tuple[int, str]]) -> None:
    with transaction.atomic():
        task = move()
        assert sent == []
    assert sent == [(task.pk, "migrate")]


def test_no_message_is_sent_for_a_row_that_was_rolled_back(sent: list[tuple[int, str]]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        move()
        raise RuntimeError
    assert sent == []
    assert not Task.objects.exists()


def test_a_message_that_cannot_be_sent_fails_nobody_and_is_left_to_the_keeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "send", lambda task_id, queue: False)
    task = move()
    task.refresh_from_db()
    assert (task.state, task.sends, task.sent_at) == ("queued", 0, None)


def test_an_identical_request_finds_the_running_task(sent: list[tuple[int, str]]) -> None:
    first, second = move(), move(params={"live": True})
    assert second.pk == first.pk
    assert second.already_running
    assert len(sent) == 1


def test_fifty_identical_requests_at_once_are_one_task(sent: list[tuple[int, str]]) -> None:
    results = in_threads([move] * 50)
    assert {task.pk for task in results} == {Task.objects.get().pk}
    assert sum(not task.already_running for task in results) == 1
    assert len(sent) == 1
    assert AuditRecord.objects.filter(action="test.move").count() == 1


def test_a_conflicting_request_is_refused_with_the_number_of_the_task() -> None:
    first = move()
    with pytest.raises(TaskConflict) as refusal:
        enqueue("test.start", params={"ve_id": 7}, title_args={"ve": "vmtest"})
    assert refusal.value.task == first
    assert str(refusal.value) == f"vmtest is being moved (task {first.pk})."
    assert AuditRecord.objects.get(result="refused").task_id == first.pk


def test_the_same_kind_with_other_parameters_conflicts() -> None:
    move()
    with pytest.raises(TaskConflict):
        move(params={"live": False})


def test_other_objects_are_not_in_the_way() -> None:
    assert move(7).pk != move(8, "other").pk
    assert set(TaskLock.objects.values_list("key", flat=True)) == {"ve:7", "ve:8"}


def test_without_the_right_nothing_starts_and_the_attempt_is_written_down(viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        move(user=viewer)
    assert not Task.objects.exists()
    refused = AuditRecord.objects.get()
    assert (refused.action, refused.result, refused.actor) == ("test.move", "refused", viewer)


def test_an_anonymous_request_is_not_taken_for_mooring_itself() -> None:
    from django.contrib.auth.models import AnonymousUser

    request = RequestFactory().post("/")
    request.user = AnonymousUser()
    with pytest.raises(PermissionDenied):
        move(request=request)


def test_the_right_is_asked_about_the_object(make_user: Callable[..., User]) -> None:
    class Thing:
        pk, _meta = 7, User._meta

        def scopes(self) -> set[tuple[str, int]]:
            return {("node", 1)}

    there, elsewhere = make_user("ana", "operator", ("node", 1)), make_user("bo", "operator", ("node", 2))
    assert move(user=there, permission_object=Thing()).initiator == there
    with pytest.raises(PermissionDenied):
        move(9, "other", user=elsewhere, permission_object=Thing())


def test_an_accepted_request_is_written_down_once(operator: User) -> None:
    task = move(user=operator)
    move(user=operator)
    accepted = AuditRecord.objects.get()
    assert (accepted.actor, accepted.result, accepted.task_id) == (operator, "ok", task.pk)


@pytest.mark.parametrize(
    "params",
    [{}, {"ve_id": "7"}, {"ve_id": True}, {"ve_id": 7, "more": 1}, {"ve_id": 7, "live": 1}, {"ve_id": None}],
)
def test_parameters_that_do_not_fit_the_job_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        enqueue("test.move", params=params, title_args={"ve": "vmtest"})


def test_a_secret_never_becomes_a_parameter() -> None:
    with pytest.raises(BadRequest):
        enqueue("test.all", params={"ve_ids": [Secret("hunter22")]})


def test_a_title_needs_its_arguments() -> None:
    with pytest.raises(BadRequest):
        enqueue("test.move", params={"ve_id": 7})


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownJob):
        enqueue("test.nothing")
