"""What is done to a node as a whole and what is done to VEs on it keep out of each other's way, whoever is first."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers.base import MigrationProgress
from infrastructure.models import Node
from infrastructure.services import inventory, migration, node_work, nodes, power
from infrastructure.services.errors import NotPossible
from panel.accounts.models import User
from tasks.errors import TaskConflict
from tasks.models import Task, TaskLock
from tasks.services import cancel, retry
from tests.infrastructure.fake_nodes import VMTEST, Cluster, run
from tests.infrastructure.inventory_facts import ve_facts
from tests.tasks.helpers import in_threads

Ask = Callable[[Cluster], Task]


def node(name: str) -> Node:
    return Node.objects.get(name=name)


def move(cluster: Cluster) -> Task:
    return migration.start(user=None, ve=cluster.vmtest, target=node("secondnode1"))


WHOLE: dict[str, Ask] = {
    "onboard": lambda cluster: nodes.onboard(user=None, node=node("primary")),
    "remove": lambda cluster: nodes.remove(user=User.objects.get(), node=node("primary")),
    "services": lambda cluster: node_work.restart_services(user=None, node=node("primary")),
    "certificates": lambda cluster: node_work.reissue_certificates(user=None, node=node("primary")),
    "target": lambda cluster: node_work.restart_services(user=None, node=node("secondnode1")),
}
ON_VE: dict[str, Ask] = {
    "migrate": move,
    "stop": lambda cluster: power.stop(user=None, ve=cluster.vmtest),
    "restart": lambda cluster: power.restart(user=None, ve=cluster.vmtest),
}
PAIRS = [(whole, each) for whole in WHOLE for each in ON_VE if whole != "target" or each == "migrate"]


@pytest.fixture(autouse=True)
def _set_up(cluster: Cluster, administrator: User) -> None:
    Node.objects.update(onboarded_at=timezone.now())


@pytest.mark.parametrize(("whole", "each"), PAIRS)
def test_nothing_begins_on_a_ve_while_its_node_is_worked_on(whole: str, each: str, cluster: Cluster) -> None:
    first = WHOLE[whole](cluster)

    with pytest.raises(TaskConflict) as refusal:
        ON_VE[each](cluster)

    assert refusal.value.task == first
    assert f"(task {first.pk})" in str(refusal.value)


@pytest.mark.parametrize(("whole", "each"), PAIRS)
def test_no_work_on_a_node_begins_while_something_is_done_to_a_ve_on_it(
    whole: str, each: str, cluster: Cluster
) -> None:
    first = ON_VE[each](cluster)

    with pytest.raises((TaskConflict, NotPossible), match=f"task {first.pk}"):
        WHOLE[whole](cluster)

    cancel(first)
    assert WHOLE[whole](cluster).state == "queued"


def test_two_migrations_may_use_the_same_nodes(cluster: Cluster) -> None:
    other = ve_facts("other")
    cluster.primary.ves_by_uuid[other.uuid] = other
    inventory.refresh(node("primary"))
    first = move(cluster)
    ve = node("primary").ves.get(name="other")

    second = migration.start(user=None, ve=ve, target=node("secondnode1"))

    assert first != second
    assert TaskLock.objects.filter(key=f"node:{node('primary').pk}", shared=True).count() == 2


def test_a_node_of_its_own_is_not_in_the_way(cluster: Cluster) -> None:
    node_work.restart_services(user=None, node=node("secondnode1"))
    assert power.stop(user=None, ve=cluster.vmtest).state == "queued"


def test_the_same_work_asked_for_twice_is_one_task(cluster: Cluster) -> None:
    first = node_work.restart_services(user=None, node=node("primary"))
    again = node_work.restart_services(user=None, node=node("primary"))
    assert again == first and again.already_running


def test_a_retry_is_kept_out_as_well(cluster: Cluster) -> None:
    moving = move(cluster)
    cancel(moving)
    restart = node_work.restart_services(user=None, node=node("primary"))
    with pytest.raises(TaskConflict, match=f"task {restart.pk}"):
        retry(moving)


def test_the_locks_go_with_the_task(cluster: Cluster) -> None:
    run(move(cluster))
    assert not TaskLock.objects.exists()


def test_of_a_migration_and_a_restart_asked_for_at_once_one_begins(cluster: Cluster) -> None:
    for _ in range(8):
        results: list[Any] = in_threads([lambda: move(cluster), lambda: WHOLE["services"](cluster)] * 2)
        begun = {task.pk for task in results if isinstance(task, Task)}
        refused = [error for error in results if isinstance(error, TaskConflict)]
        assert len(begun) == 1, results
        assert len(refused) == 2, results
        for task in Task.objects.filter(pk__in=begun):
            cancel(task)


@pytest.mark.parametrize("reason", ["progress", "arriving"])
def test_a_migration_that_was_begun_by_hand_is_not_aborted(reason: str, cluster: Cluster, debian: Any) -> None:
    if reason == "progress":
        cluster.primary.jobs[VMTEST] = MigrationProgress(percent=40)
    else:
        cluster.show(cluster.primary, state="paused", reason="migration")

    task = run(node_work.restart_services(user=None, node=node("primary")))

    assert task.state == "failed"
    assert "libvirt is moving vmtest" in task.reason
    assert "virsh domjobinfo vmtest" in task.advice
    assert not [command for command in debian.ran if "restart" in command]
