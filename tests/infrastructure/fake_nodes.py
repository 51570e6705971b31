"""Two nodes in memory with rows in the inventory, for faults that no engine can be made to show."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db.models import F

from infrastructure.drivers import registry
from infrastructure.drivers.facts import VEFacts, VEStatus
from infrastructure.drivers.fake import FakeCluster, FakeNode
from infrastructure.models import VE, Node
from infrastructure.services import inventory
from infrastructure.services.endpoints import endpoint_for
from tasks.choices import Level
from tasks.models import Task, TaskLine, TaskStep
from tasks.runner import execute
from tests.infrastructure.inventory_facts import make_node, node_facts, uuid_of, ve_facts

VMTEST = uuid_of("vmtest")


@dataclass(frozen=True)
class Cluster:
    """primary has vmtest (running), secondnode1 nothing."""

    primary: FakeNode
    secondnode1: FakeNode
    rows: dict[str, Node]

    @property
    def vmtest(self) -> VE:
        return VE.objects.select_related("node").get(uuid=VMTEST)

    def show(self, node: FakeNode, **changes: Any) -> VEFacts:
        """Have the node show vmtest with these facts."""
        known = self.primary.ves_by_uuid.get(VMTEST) or ve_facts("vmtest")
        node.ves_by_uuid[VMTEST] = replace(known, **changes)
        return node.ves_by_uuid[VMTEST]

    def where(self) -> list[str]:
        """The nodes on which vmtest is up."""
        pairs = (("primary", self.primary), ("secondnode1", self.secondnode1))
        up = ("running", "paused")
        return [name for name, node in pairs if VMTEST in node.ves_by_uuid and node.ves_by_uuid[VMTEST].state in up]


@contextmanager
def fake_cluster() -> Iterator[Cluster]:
    fake = FakeCluster()
    rows, nodes = {}, {}
    with ExitStack() as stack:
        for name, ves in (("primary", [ve_facts("vmtest")]), ("secondnode1", [])):
            rows[name] = make_node(name)
            nodes[name] = fake.add(endpoint_for(rows[name]), node_facts(name), *ves)
            stack.enter_context(registry.replaced(name, nodes[name]))
            inventory.refresh(rows[name])
            rows[name].refresh_from_db()
        yield Cluster(nodes["primary"], nodes["secondnode1"], rows)


def run(task: Task) -> Task:
    """Run the task's next attempt here and now."""
    execute(task.pk, worker="test")
    task.refresh_from_db()
    return task


class _Killed(BaseException):
    """What no job can catch."""


def die_in(owner: object, method: str, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt whose worker dies when the job calls this; then the task is as the reaper leaves it."""

    def die(*_: Any, **__: Any) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, die)
        with pytest.raises(_Killed):
            run(task)
    lost_worker(task)


def lost_worker(task: Task) -> None:
    """As the reaper leaves it when the worker died."""
    lost = {"state": "queued", "recovering": True, "recoveries": F("recoveries") + 1}
    Task.objects.filter(pk=task.pk).update(**lost)


def steps_of(task: Task) -> list[tuple[str, str]]:
    """(title, state) of the task's steps at the top, in order."""
    return list(TaskStep.objects.filter(task=task, depth=0).order_by("seq").values_list("title", "state"))


def lines_of(task: Task, level: str | None = None) -> list[str]:
    lines = TaskLine.objects.filter(task=task).order_by("seq")
    return list((lines.filter(level=level) if level else lines).values_list("text", flat=True))


def commands_of(task: Task) -> list[str]:
    return lines_of(task, Level.COMMAND)


def status(node: FakeNode) -> VEStatus:
    ve = node.ves_by_uuid[VMTEST]
    return VEStatus(ve.state, ve.reason)
