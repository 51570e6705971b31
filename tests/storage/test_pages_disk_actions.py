"""The dialogs of a disk: their checks with figures, who may use them, and what Submit starts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from panel.accounts.models import User
from storage.models import Cluster
from storage.services import observed
from tasks.models import Task
from tests.storage.disk_host import Storage

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def client(storage: Storage, client_of: Any) -> Any:
    return client_of(storage.admin)


def test_the_menu_offers_what_fits(storage: Storage, client: Any) -> None:
    html = client.get("/storage/disks/0/menu/", **HTMX).content.decode()
    assert "Change tier…" in html and "Release…" in html

    storage.engine.stop(0)
    storage.look()
    html = client.get("/storage/disks/0/menu/", **HTMX).content.decode()
    assert "CS0 is not in use" in html and "Remove failed disk…" in html


def test_each_row_of_the_list_has_its_menu(storage: Storage, client: Any) -> None:
    html = client.get("/storage/disks/").content.decode()
    assert html.count('aria-label="Actions for CS') == 9 and 'aria-label="Actions for CS0"' in html


def test_the_dialog_shows_its_checks_with_figures_and_starts_the_task(storage: Storage, client: Any) -> None:
    html = client.get("/storage/disks/0/tier/", **HTMX).content.decode()
    assert 'data-check="space" data-state="passed"' in html
    assert "Every chunk stays active" in html
    assert 'value="1" disabled' in html and 'value="2" checked' in html

    answer = client.post("/storage/disks/0/tier/", {"tier": "2"}, **HTMX)
    assert answer.status_code == 204
    task = Task.objects.get()
    assert (task.kind, task.params["tier"], task.title) == ("storage.disk.tier", 2, "Moving CS0 to tier 2")


def test_a_check_that_does_not_pass_disables_submit_and_the_server_refuses_too(storage: Storage, client: Any) -> None:
    storage.engine.make_rule("mooring-tier2", device_class="tier2", domain="host")
    storage.engine.add_pool("vms", rule="mooring-tier2")
    storage.look()
    html = client.get("/storage/disks/1/tier/", **HTMX).content.decode()
    assert "vms needs 3 hosts of tier 2, and without CS1 there are 2" in html
    assert "disabled title=" in html

    answer = client.post("/storage/disks/1/tier/", {"tier": "1"}, **HTMX)
    assert answer.status_code == 409
    assert "vms needs 3 hosts" in answer["HX-Trigger"]
    assert not Task.objects.exists()


@pytest.mark.parametrize("tier", ["", "9", "1"])
def test_a_tier_that_cannot_be_is_refused_in_the_dialog(storage: Storage, client: Any, tier: str) -> None:
    answer = client.post("/storage/disks/0/tier/", {"tier": tier}, **HTMX)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_a_silent_cluster_lets_nothing_start(storage: Storage, client: Any) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=5))
    html = client.get("/storage/disks/0/release/", **HTMX).content.decode()
    assert "does not answer, so nothing can be checked" in html
    assert client.post("/storage/disks/0/release/", {}, **HTMX).status_code == 409


def test_release_says_what_is_lost_and_starts(storage: Storage, client: Any) -> None:
    html = client.get("/storage/disks/0/release/", **HTMX).content.decode()
    assert "The disk&#x27;s content is lost" in html or "The disk's content is lost" in html
    assert client.post("/storage/disks/0/release/", {}, **HTMX).status_code == 204
    assert Task.objects.get().title == "Releasing CS0"


def test_a_failed_disk_gets_its_own_words(storage: Storage, client: Any) -> None:
    facts = storage.engine.look()
    down = tuple(replace(disk, up=disk.id != 0) for disk in facts.disks)
    observed.record(storage.row, replace(facts, disks=down))
    assert "Remove failed disk CS0" in client.get("/storage/disks/0/release/", **HTMX).content.decode()


def test_an_unknown_disk_is_not_found(storage: Storage, client: Any) -> None:
    assert client.get("/storage/disks/99/tier/").status_code == 404


def test_an_operator_sees_the_menu_and_may_do_nothing_of_it(storage: Storage, client_of: Any, operator: User) -> None:
    client = client_of(operator)
    assert "Your role does not allow this" in client.get("/storage/disks/0/menu/", **HTMX).content.decode()
    assert client.post("/storage/disks/0/tier/", {"tier": "2"}).status_code == 403
    assert client.post("/storage/disks/0/release/").status_code == 403
