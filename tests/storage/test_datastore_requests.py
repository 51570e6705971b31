"""What is refused before a task is started, and what two requests at once get."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from infrastructure.services.errors import InvalidInput, NotPossible, ServiceError
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from storage.models import Cluster, Datastore
from storage.services import datastores, observed
from tasks.errors import TaskConflict
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.storage.fake_clusters import Driven, driven

Asked = tuple[Datastore, Task]
Ask = Callable[..., Asked]


@pytest.fixture
def storage(db: None, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as found:
        yield found


@pytest.fixture
def ask(storage: Driven, administrator: User) -> Ask:
    """ask(name="x", mode="r3") asks for a datastore; the rest is usual."""
    usual = {"user": administrator, "cluster": storage.row, "name": "fast", "use": "vm", "tier": 2}
    return lambda **changes: datastores.create(**usual | {"mode": "r2", "domain": "host"} | changes)


def nothing_begun() -> bool:
    return not Datastore.objects.exists() and not Task.objects.exists()


@pytest.mark.parametrize(
    "name",
    ["", "-x", "Fast", "a b", "a/b", "a.b", "a@snap", "../x", "-h", "$(id)", ";id", "x" * 40, "a\nb", "ä", "<b>"],
)
def test_names_that_are_not_safe_are_refused(ask: Ask, name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ask(name=name)
    assert refusal.value.field == "name"
    assert nothing_begun()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tier": 4}, "tier"),
        ({"tier": -1}, "tier"),
        ({"mode": "ec2-2"}, "mode"),
        ({"domain": "chassis"}, "domain"),
        ({"use": "tapes"}, "use"),
        ({"mode": "ec3-2"}, "mode"),
        ({"tier": 1}, "mode"),
        ({"domain": "rack"}, "mode"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused(ask: Ask, changes: dict[str, object], field: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        ask(**changes)
    assert refusal.value.field == field
    assert nothing_begun()


def test_only_who_manages_the_storage_may(ask: Ask, operator: User, viewer: User) -> None:
    for user in (operator, viewer, None):
        with pytest.raises(PermissionDenied):
            ask(user=user)
    assert nothing_begun()
    assert AuditRecord.objects.filter(action=datastores.CREATE, result="refused").count() == 3


def test_a_near_full_tier_is_refused_with_the_figure(storage: Driven, ask: Ask) -> None:
    storage.fake.fill(0.86)
    storage.observe()
    with pytest.raises(NotPossible, match="Tier 2 is 86% full, and the near-full mark is 85%"):
        ask()
    assert nothing_begun()


def test_a_silent_cluster_is_refused_with_how_long(storage: Driven, ask: Ask) -> None:
    observed.mark_unreachable(storage.row, "No monitor can be reached")
    Cluster.objects.update(observed_at=timezone.now() - timedelta(seconds=34))
    with pytest.raises(NotPossible, match="storage1 has not answered for 34 s"):
        ask()
    assert nothing_begun()


def test_facts_that_are_old_are_refused_even_before_the_collector_says_so(ask: Ask) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(seconds=31))
    with pytest.raises(NotPossible, match="has not answered for 31 s"):
        ask()


def test_an_equal_request_gets_the_running_task(ask: Ask, make_user: Callable[..., User]) -> None:
    datastore, task = ask()
    again, same = ask(user=make_user("other", "administrator"))
    assert (again.pk, same.pk, same.already_running) == (datastore.pk, task.pk, True)
    assert Task.objects.count() == 1


def test_another_policy_under_a_name_that_is_being_created_is_refused(
    ask: Ask,
) -> None:
    _, task = ask()
    with pytest.raises(InvalidInput, match=rf"fast is being created by task {task.pk}") as refusal:
        ask(mode="r3")
    assert refusal.value.field == "name"
    assert Datastore.objects.get().mode == "r2"


def test_the_name_of_one_that_exists_is_refused(ask: Ask) -> None:
    run(ask()[1])
    with pytest.raises(InvalidInput, match="There is a datastore named fast already"):
        ask()


def test_one_that_failed_is_begun_again_only_with_its_policy(storage: Driven, ask: Ask) -> None:
    datastore, _ = ask()
    Task.objects.all().delete()
    Datastore.objects.update(state="failed")
    with pytest.raises(InvalidInput, match="was begun with another policy"):
        ask(mode="r3")
    assert ask()[0].pk == datastore.pk


def test_it_is_written_down_who_asked(ask: Ask, administrator: User) -> None:
    _, task = ask()
    entry = AuditRecord.objects.get(action=datastores.CREATE)
    assert (entry.actor, entry.task_id, entry.target_name) == (administrator, task.pk, "fast")


def test_removing_needs_its_name_typed(ask: Ask, administrator: User) -> None:
    datastore, task = ask()
    run(task)
    with pytest.raises(InvalidInput, match="Type fast to confirm"):
        datastores.remove(user=administrator, datastore=datastore, confirmation="Fast")
    assert datastores.remove(user=administrator, datastore=datastore, confirmation="fast").kind == datastores.REMOVE


def test_one_that_is_being_created_is_not_removed(ask: Ask, administrator: User) -> None:
    datastore, task = ask()
    with pytest.raises(TaskConflict, match=rf"fast is being created \(task {task.pk}\)"):
        datastores.remove(user=administrator, datastore=datastore, confirmation="fast")


def test_only_who_manages_the_storage_may_remove(ask: Ask, operator: User) -> None:
    datastore, task = ask()
    run(task)
    with pytest.raises(PermissionDenied):
        datastores.remove(user=operator, datastore=datastore, confirmation="fast")
    assert Task.objects.count() == 1
