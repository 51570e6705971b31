"""The lab's nodes set up by the panel's own jobs, run in this process against real SSH, TLS, libvirt and QEMU."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core import serializers

from infrastructure.choices import NodeState
from infrastructure.drivers import registry
from infrastructure.drivers.errors import DriverError
from infrastructure.models import VE, Node
from infrastructure.services import inventory, migration, nodes
from infrastructure.services.migration import MigrationOptions
from panel.accounts.models import User
from panel.trust import ca, ssh_key
from tasks import messages
from tasks.models import Task, TaskLine, TaskStep
from tasks.runner import execute
from tests import database
from tests.lab.conftest import ROOT, RunningLab

_INSTALL_KEY = """umask 077
mkdir -p /root/.ssh
grep -qxF "$1" /root/.ssh/authorized_keys || echo "$1" >>/root/.ssh/authorized_keys"""
_set_up_before: dict[str, str] = {}  # the rows of a lab's nodes, as JSON


class OnboardedLab:
    """The lab with its nodes in the inventory. `admin` holds every right."""

    def __init__(self, lab: RunningLab, admin: User) -> None:
        self.lab = lab
        self.admin = admin

    def node(self, name: str) -> Node:
        return Node.objects.get(name=name)

    def ve(self, name: str) -> VE:
        return VE.objects.select_related("node").get(name=name)

    def install_key(self, name: str) -> None:
        """What the admin does on a node before adding it."""
        self.lab.exec(name, "sh", "-c", _INSTALL_KEY, "sh", nodes.panel_public_key())

    def add(self, name: str) -> Task:
        """Add a node as the form does and run its onboarding."""
        shown = self.lab.node(name)
        _node, task = nodes.add(
            user=self.admin, name=name, address=shown.address, ssh_port=shown.ssh_port, fingerprint=shown.fingerprint
        )
        return self.run(task)

    def run(self, task: Task) -> Task:
        """Run the task's next attempt here and now."""
        execute(task.pk, worker="test")
        task.refresh_from_db()
        return task

    def migrate(self, target: str, ve: str = "vmtest", **options: Any) -> Task:
        return migration.start(
            user=self.admin, ve=self.ve(ve), target=self.node(target), options=MigrationOptions(**options)
        )

    def refresh(self) -> None:
        """Ask all nodes and record what they show."""
        for node in Node.objects.all():
            inventory.refresh(node)

    @contextmanager
    def worker(self, task: Task) -> Iterator["subprocess.Popen[bytes]"]:
        """A process of its own that runs the task, to be killed or waited for."""
        code = f"import django; django.setup(); from tasks.runner import execute; execute({task.pk}, 'test')"
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": database.address(),
        }
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def until_copied(self, task: Task, percent: int) -> None:
        """Return when that much of the guest's memory was copied."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            task.refresh_from_db()
            if (task.progress or 0) >= percent or task.is_final:
                return
            time.sleep(0.05)
        raise AssertionError(f"{task} did not come to {percent} %: {steps_of(task)}")


def steps_of(task: Task) -> list[tuple[str, str]]:
    """(title, state) of the last attempt's steps, nested ones too."""
    return list(TaskStep.objects.filter(task=task, attempt=task.attempt).values_list("title", "state"))


def lines_of(task: Task) -> list[str]:
    return list(TaskLine.objects.filter(task=task).order_by("seq").values_list("text", flat=True))


def completed(task: Task) -> None:
    assert task.state == "completed", f"{task.state}: {task.reason} {task.advice} {steps_of(task)} {task.traceback}"


@contextmanager
def panel_of(lab: RunningLab, admin: User) -> Iterator[OnboardedLab]:
    """A panel with its keys, which are installed on the lab's nodes; no node is added yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "send", lambda task_id, queue: True)
        ca.ensure_panel_certificate()
        ssh_key.ensure_ssh_key()
        made = OnboardedLab(lab, admin)
        for node in lab.nodes:
            made.install_key(node.name)
        yield made
        registry.drop_all()


@pytest.fixture
def panel_lab(lab: RunningLab, transactional_db: None, make_user: Callable[..., User]) -> Iterator[OnboardedLab]:
    """The lab and its panel."""
    with panel_of(lab, make_user("admin", "administrator")) as made:
        yield made


@pytest.fixture
def onboarded_lab(panel_lab: OnboardedLab) -> OnboardedLab:
    """The lab with its three nodes added and set up; vmtest runs on primary."""
    _set_up(panel_lab)
    if panel_lab.ve("vmtest").node != panel_lab.node("primary"):
        completed(panel_lab.run(panel_lab.migrate("primary")))
    return panel_lab


def _set_up(panel: OnboardedLab) -> None:
    """By the panel's own jobs; once they have been through, from the rows that they left, as long as these are true."""
    if _as_before(panel):
        return
    Node.objects.all().delete()
    registry.drop_all()
    for shown in panel.lab.nodes:
        completed(panel.add(shown.name))
    _set_up_before[panel.lab.instance] = serializers.serialize("json", Node.objects.all())


def _as_before(panel: OnboardedLab) -> bool:
    """Whether the nodes were set up before and answer like it; then they are in the inventory, with their VEs."""
    for row in serializers.deserialize("json", _set_up_before.get(panel.lab.instance, "[]")):
        row.save()
    try:
        panel.refresh()
    except DriverError:
        return False
    states = set(Node.objects.values_list("state", flat=True))
    return states == {NodeState.ONLINE}
