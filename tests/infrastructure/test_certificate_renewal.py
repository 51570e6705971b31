"""A node's certificate is renewed before it ends, without anybody asking."""

from datetime import timedelta

import pytest
from django.utils import timezone

from infrastructure.models import Node
from infrastructure.observe import renewal
from infrastructure.observe.renewal import RenewalSource
from infrastructure.observe.source import Shard
from infrastructure.services import node_work, power
from tasks.models import Task
from tasks.services import cancel
from tests.infrastructure.fake_nodes import Cluster


def expire(name: str, days: int) -> None:
    Node.objects.filter(name=name).update(certificate_expires_at=timezone.now() + timedelta(days=days))


def test_only_nodes_whose_certificate_ends_soon_get_a_new_one(cluster: Cluster) -> None:
    expire("primary", 59)
    expire("secondnode1", 61)
    (task,) = node_work.renew_due()
    assert (task.kind, task.object_name, task.initiator) == ("node.reissue_certificates", "primary", None)


def test_a_failed_renewal_is_tried_again_the_next_day(cluster: Cluster) -> None:
    expire("primary", 5)
    node_work.renew_due()
    Task.objects.update(state="failed")
    Task.objects.get().locks.all().delete()
    assert node_work.renew_due() == []
    Task.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert len(node_work.renew_due()) == 1


def test_a_node_that_does_not_answer_is_left_alone(cluster: Cluster) -> None:
    expire("primary", 5)
    Node.objects.update(state="unreachable")
    assert node_work.renew_due() == []


def test_a_task_on_a_guest_is_let_finish_first(cluster: Cluster) -> None:
    expire("primary", 5)
    stopping = power.stop(user=None, ve=cluster.vmtest)
    assert node_work.renew_due() == []
    cancel(stopping)
    assert len(node_work.renew_due()) == 1


def test_the_collector_looks_once_an_hour_at_its_own_nodes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    looks: list[bool] = []
    monkeypatch.setattr(node_work, "renew_due", lambda among: looks.append(among(3)))
    source = RenewalSource(Shard(1, 2), clock=lambda: clock[0])
    for now in (0.0, renewal.FIRST_LOOK_SECONDS, renewal.FIRST_LOOK_SECONDS + 1, 3700.0):
        clock[0] = now
        source.tick()
    assert looks == [Shard(1, 2).holds(3)] * 2
