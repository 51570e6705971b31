"""The note about hosts that stand elsewhere than Ceph has them, and the dialog that moves them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.models import Node
from panel.accounts.models import User
from storage.drivers import fake
from storage.models import Cluster
from storage.views import locations
from tasks.models import Task
from tests.storage.disk_host import Storage

HTMX = {"HTTP_HX_REQUEST": "true"}
DISKS, DIALOG = "/storage/disks/", "/storage/disks/locations/"


@pytest.fixture
def client(storage: Storage, client_of: Any) -> Any:
    return client_of(storage.admin)


def stand(host: str, **place: str) -> None:
    Node.objects.filter(name=host).update(**place)


def html_of(client: Any, path: str, **headers: str) -> str:
    return str(client.get(path, **headers).content.decode())


def test_the_list_says_what_stands_elsewhere_and_offers_the_move(storage: Storage, client: Any) -> None:
    assert "Move in the cluster map" not in html_of(client, DISKS)
    stand("primary", rack="rack-a")
    html = html_of(client, DISKS)
    assert "primary stands in rack-a, Ceph has it in no rack." in html
    assert f'hx-get="{DIALOG}"' in html and "Move in the cluster map…" in html


def test_the_note_is_a_region_of_its_own(storage: Storage, client: Any) -> None:
    stand("primary", rack="rack-a")
    html = html_of(client, DISKS, HTTP_HX_TARGET="host-locations", **HTMX)
    assert html.lstrip().startswith('<div id="host-locations"') and "row-disk-0" not in html


def test_many_hosts_are_counted(storage: Storage, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "MOST_NAMED", 1)
    for host in fake.HOSTS:
        stand(host, rack=f"rack-{host}")
    html = html_of(client, DISKS)
    assert "primary stands in" in html and "secondnode1 stands in" not in html
    assert "2 more hosts stand elsewhere" in html


def test_the_dialog_says_how_much_data_lies_there_and_that_it_moves(storage: Storage, client: Any) -> None:
    stand("primary", rack="rack-a")
    html = html_of(client, DIALOG, **HTMX)
    assert "Data moves" in html
    assert "3 GiB lie on its 3 disks" in html
    assert 'value="primary" checked' in html
    assert 'data-check="redundancy" data-state="passed"' in html


def test_submit_starts_the_task_for_what_is_chosen(storage: Storage, client: Any) -> None:
    stand("primary", rack="rack-a")
    stand("secondnode1", rack="rack-b")
    answer = client.post(DIALOG, {"hosts": ["secondnode1"]}, **HTMX)
    assert answer.status_code == 204
    task = Task.objects.get()
    assert (task.kind, task.title) == ("storage.locate", "Moving secondnode1 in the cluster map")
    assert [move["host"] for move in task.params["moves"]] == ["secondnode1"]


def test_nothing_chosen_is_said_in_the_dialog(storage: Storage, client: Any) -> None:
    stand("primary", rack="rack-a")
    answer = client.post(DIALOG, {}, **HTMX)
    assert answer.status_code == 422
    assert "No host is chosen" in answer.content.decode()


def test_a_name_that_is_taken_is_told_at_its_host_and_cannot_be_chosen(storage: Storage, client: Any) -> None:
    stand("primary", rack="secondnode1")
    html = html_of(client, DIALOG, **HTMX)
    assert 'value="primary" disabled' in html and "Give the rack another name" in html
    assert client.post(DIALOG, {"hosts": ["primary"]}, **HTMX).status_code == 409


def test_names_are_escaped(storage: Storage, client: Any) -> None:
    stand("primary", rack="<script>alert(1)</script>")
    for path in (DISKS, DIALOG):
        assert "<script>alert" not in html_of(client, path)


def test_a_silent_cluster_lets_nothing_start(storage: Storage, client: Any) -> None:
    stand("primary", rack="rack-a")
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=5))
    assert "does not answer, so nothing can be checked" in html_of(client, DIALOG, **HTMX)
    assert client.post(DIALOG, {"hosts": ["primary"]}, **HTMX).status_code == 409


def test_when_nothing_differs_the_dialog_says_so(storage: Storage, client: Any) -> None:
    assert "Every host lies in Ceph" in html_of(client, DIALOG, **HTMX)


def test_an_operator_reads_the_note_and_may_not_move(storage: Storage, client_of: Any, operator: User) -> None:
    stand("primary", rack="rack-a")
    client = client_of(operator)
    assert "Your role does not allow this" in html_of(client, DISKS)
    assert client.get(DIALOG).status_code == 403
    assert client.post(DIALOG, {"hosts": ["primary"]}).status_code == 403
