"""A datastore for files that fails after any of its steps leaves a real Ceph as it was, and can be tried again."""

from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.drivers.errors import Refused
from storage.choices import Use
from storage.drivers.ceph import CephCluster
from storage.models import Cluster, Datastore
from storage.services import datastores
from tasks.models import Task
from tasks.services import retry
from tests.lab.ceph import told
from tests.lab.known_cluster import look
from tests.lab.onboarded import OnboardedLab, completed

pytestmark = pytest.mark.lab
# The call after which it fails, of those that one creation makes. The look is the one that records it.
FAILURES = (
    ("make_rule", 1),
    ("make_replicated_pool", 1),
    ("make_replicated_pool", 2),
    ("make_replicated_pool", 3),
    ("make_filesystem", 1),
    ("add_data_pool", 1),
    ("make_directory", 1),
    ("look", 3),
)


def all_of(panel: OnboardedLab) -> dict[str, Any]:
    """Everything in the cluster that a datastore could leave behind."""
    lab = panel.lab
    return {
        "pools": sorted(told(lab, "osd", "pool", "ls")),
        "rules": sorted(told(lab, "osd", "crush", "rule", "ls")),
        "profiles": sorted(told(lab, "osd", "erasure-code-profile", "ls")),
        "file systems": told(lab, "fs", "ls"),
        "users": sorted(row["entity"] for row in told(lab, "auth", "ls")["auth_dump"]),
    }


def create(panel: OnboardedLab, cluster: Cluster, name: str = "iso", **policy: Any) -> tuple[Datastore, Task]:
    look(cluster)
    asked: dict[str, Any] = {"use": Use.FILES, "tier": 2, "mode": "r2", "domain": "host"} | policy
    return datastores.create(user=panel.admin, cluster=cluster, name=name, **asked)


def fail_after(patch: pytest.MonkeyPatch, method: str, number: int) -> None:
    """This call of the driver does what it should, and then says that it was refused."""
    real: Callable[..., Any] = getattr(CephCluster, method)
    calls = 0

    def refused(self: CephCluster, *args: Any, **words: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = real(self, *args, **words)
        if calls == number:
            raise Refused(f"the monitors say no after {method}", component="ceph")
        return answer

    patch.setattr(CephCluster, method, refused)


def test_a_failure_after_each_step_leaves_nothing_and_a_retry_makes_it_whole(
    panel_lab: OnboardedLab, cluster: Cluster
) -> None:
    before, task = all_of(panel_lab), None
    for method, number in FAILURES:
        _, task = create(panel_lab, cluster)
        with pytest.MonkeyPatch.context() as patch:
            fail_after(patch, method, number)
            panel_lab.run(task)
        words = f"after call {number} of {method}"
        assert (task.state, task.reason) == ("failed", f"the monitors say no after {method}."), words
        assert all_of(panel_lab) == before, words
        assert Datastore.objects.get().state == "failed"

    assert task is not None
    completed(panel_lab.run(retry(task)))
    shared = all_of(panel_lab)
    other, task = create(panel_lab, cluster, "other", tier=1, mode="ec3-2", domain="osd")
    with pytest.MonkeyPatch.context() as patch:
        fail_after(patch, "make_directory", 1)
        assert panel_lab.run(task).state == "failed"
    assert all_of(panel_lab) == shared, "what the first one needs is there, and nothing of the second"

    for datastore in (other, Datastore.objects.get(name="iso")):
        removal = datastores.remove(user=panel_lab.admin, datastore=datastore, confirmation=datastore.name)
        completed(panel_lab.run(removal))
    assert all_of(panel_lab) == before
