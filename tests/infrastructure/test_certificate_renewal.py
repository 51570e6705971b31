"""A node's certificate is renewed before it ends, without anybody asking."""

from datetime import timedelta

import pytest
from django.utils import timezone

from infrastructure.models import Node
from infrastructure.observe import renewal
from infrastructure.observe.renewal import RenewalSource
from infrastructure.observe.source import Shard
from infrastructure.services import nodes, power
from tasks.models import Task
from tests.infrastructure.fake_nodes import Cluster


def expire(name: str, days: int) -> None:
    Node.objects.filter(name=name).update(certificate_expires_at=timezone.now() + timedelta(days=days))


def test_only_nodes_whose_certificate_ends_soon_are_set_up_again(cluster: Cluster) -> None:
    expire("primary", 59)
    expire("secondnode1", 61)
    (task,) = nodes.renew_due()
    assert (task.kind, task.object_name, task.initiator) == ("node.onboard", "primary", None)


def test_a_failed_renewal_is_tried_again_the_next_day(cluster: Cluster) -> None:
    expire("primary", 5)
    nodes.renew_due()
    Task.objects.update(state="failed")
    Task.objects.get().locks.all().delete()
    assert nodes.renew_due() == []
    Task.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert len(nodes.renew_due()) == 1


def test_a_node_that_does_not_answer_is_left_alone(cluster: Cluster) -> None:
    expire("primary", 5)
    Node.objects.update(state="unreachable")
    assert nodes.renew_due() == []


def test_a_task_on_a_guest_does_not_stand_in_the_way(cluster: Cluster) -> None:
    expire("primary", 5)
    power.stop(user=None, ve=cluster.vmtest)
    assert len(nodes.renew_due()) == 1


def test_the_collector_looks_once_an_hour_at_its_own_nodes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    looks: list[bool] = []
    monkeypatch.setattr(nodes, "renew_due", lambda among: looks.append(among(3)))
    source = RenewalSource(Shard(1, 2), clock=lambda: clock[0])
    for now in (0.0, renewal.FIRST_LOOK_SECONDS, renewal.FIRST_LOOK_SECONDS + 1, 3700.0):
        clock[0] = now
        source.tick()
    assert looks == [Shard(1, 2).holds(3)] * 2
