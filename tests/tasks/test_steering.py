"""Cancelling and retrying touch all that a task is about, so they take the right over all of it."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from panel.accounts.models import RoleBinding
from panel.audit.models import AuditRecord
from tasks.models import Task
from tasks.page import keep_bindings
from tasks.rights import may_steer, steerable
from tasks.services import cancel, retry
from tests.tasks.pages import make_task

pytestmark = pytest.mark.django_db


def bound(make_user: Any, *scopes: tuple[str, int]) -> Any:
    user = make_user("ana")
    for scope_type, scope_id in scopes:
        RoleBinding.objects.create(user=user, role="operator", scope_type=scope_type, scope_id=scope_id)
    return user


def between(state: str = "running", **columns: Any) -> Task:
    """About ve 7, node 1 and node 2."""
    return make_task(state=state, nodes=["primary", "secondnode1"], **columns)


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        ([("node", 1)], False),
        ([("node", 2), ("ve", 7)], False),
        ([("ve", 7)], False),
        ([("node", 1), ("node", 2), ("ve", 7)], True),
        ([], False),
    ],
)
def test_the_right_over_a_part_of_it_is_not_enough(scopes: list[tuple[str, int]], may: bool, make_user: Any) -> None:
    user = bound(make_user, *scopes)

    assert may_steer(user, "task.cancel", between()) is may
    assert may_steer(user, "ve.migrate", between("failed")) is may


def test_a_refused_request_is_recorded_and_changes_nothing(make_user: Any) -> None:
    user, task, failed = bound(make_user, ("node", 1)), between(), between("failed")

    with pytest.raises(PermissionDenied):
        cancel(task, user)
    with pytest.raises(PermissionDenied):
        retry(failed, user)

    assert Task.objects.get(pk=task.pk).cancel_requested_at is None
    assert Task.objects.get(pk=failed.pk).state == "failed"
    assert set(AuditRecord.objects.values_list("action", "result")) == {
        ("task.cancel", "refused"), ("test.move (retry)", "refused"),
    }  # fmt: skip


def test_who_started_it_needs_the_right_over_its_object_as_for_starting(make_user: Any) -> None:
    user = bound(make_user, ("ve", 7))

    assert may_steer(user, "task.cancel", between(initiator=user))
    assert not may_steer(user, "task.cancel", between(initiator=user, object_id=8))


def test_a_task_about_nothing_is_steered_by_who_may_do_everything(make_user: Any, operator: Any) -> None:
    task = make_task(object_type="", object_id=None)

    assert may_steer(operator, "task.cancel", task)
    assert not may_steer(bound(make_user, ("node", 1)), "task.cancel", task)


def test_a_viewer_of_all_of_it_steers_nothing(viewer: Any) -> None:
    assert not may_steer(viewer, "task.cancel", between())


def test_a_whole_table_is_asked_with_one_query(make_user: Any, django_assert_max_num_queries: Any) -> None:
    user = bound(make_user, ("node", 1), ("ve", 7))
    mine = [make_task(nodes=["primary"]) for _ in range(20)]
    others = [between() for _ in range(20)]

    keep_bindings(user)
    with django_assert_max_num_queries(1):
        assert steerable(user, "task.cancel", [*mine, *others]) == {task.pk for task in mine}


def test_the_page_offers_no_button_that_would_be_refused(make_user: Any, client_of: Any) -> None:
    client = client_of(bound(make_user, ("node", 1)))
    task = between()

    assert "Cancel move" not in client.get(f"/tasks/{task.pk}/").content.decode()
    assert client.post(f"/tasks/{task.pk}/cancel/").status_code == 403
