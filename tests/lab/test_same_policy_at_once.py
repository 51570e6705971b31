"""Two admins ask for the same policy, or the same datastore, at once: nothing is made twice, nothing stays behind."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import pytest
from django.db import connection

from storage.models import Cluster, Datastore
from storage.services import datastores
from tasks.models import Task
from tests.lab.ceph import told
from tests.lab.onboarded import OnboardedLab, completed

pytestmark = pytest.mark.lab
WORKER_SECONDS = 120


def asked_at_once(panel: OnboardedLab, cluster: Cluster, *names: str) -> list[Task]:
    """Each from a thread of its own, let go together."""
    gate = Barrier(len(names))

    def ask(name: str) -> Task:
        try:
            gate.wait(30)
            wanted = {"use": "vm", "tier": 1, "mode": "ec3-2", "domain": "osd"}
            return datastores.create(user=panel.admin, cluster=cluster, name=name, **wanted)[1]  # type: ignore[arg-type]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(ask, names))


def run_at_once(panel: OnboardedLab, *tasks: Task) -> None:
    """Each in a worker's process of its own."""
    with ExitStack() as stack:
        for worker in [stack.enter_context(panel.worker(task)) for task in tasks]:
            assert worker.wait(WORKER_SECONDS) == 0
    for task in tasks:
        task.refresh_from_db()
        completed(task)


def ours(panel: OnboardedLab) -> dict[str, list[str]]:
    lists = {"rules": ("osd", "crush", "rule", "ls"), "profiles": ("osd", "erasure-code-profile", "ls")}
    lists["pools"] = ("osd", "pool", "ls")
    told_ = {kind: told(panel.lab, *words) for kind, words in lists.items()}
    return {kind: sorted(name for name in names if name.startswith("mooring-")) for kind, names in told_.items()}


def test_one_policy_under_two_names_has_one_rule_and_profile_and_goes_with_the_last(
    panel_lab: OnboardedLab, cluster: Cluster
) -> None:
    run_at_once(panel_lab, *asked_at_once(panel_lab, cluster, "first", "second"))
    pools = [f"mooring-vm.t1.{kind}.osd.{name}" for kind in ("ec3-2", "meta") for name in ("first", "second")]
    assert ours(panel_lab) == {
        # A pool of a code has a rule of its name.
        "rules": ["mooring-t1.osd", *pools[:2]],
        "profiles": ["mooring-t1.ec3-2.osd"],
        "pools": pools,
    }
    removals = [
        datastores.remove(user=panel_lab.admin, datastore=each, confirmation=each.name)
        for each in Datastore.objects.order_by("name")
    ]
    run_at_once(panel_lab, *removals)
    assert ours(panel_lab) == {"rules": [], "profiles": [], "pools": []}


def test_one_name_asked_for_by_two_is_one_task(panel_lab: OnboardedLab, cluster: Cluster) -> None:
    first, second = asked_at_once(panel_lab, cluster, "same", "same")
    assert first.pk == second.pk
    assert sorted([bool(first.already_running), bool(second.already_running)]) == [False, True]
    run_at_once(panel_lab, first)
    assert ours(panel_lab)["profiles"] == ["mooring-t1.ec3-2.osd"]
    datastore = Datastore.objects.get()
    completed(panel_lab.run(datastores.remove(user=panel_lab.admin, datastore=datastore, confirmation="same")))
    assert ours(panel_lab) == {"rules": [], "profiles": [], "pools": []}
