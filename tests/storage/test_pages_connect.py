"""Connecting a cluster, connecting it again and letting it go: the form, the dialogs, and who may."""

import re
from typing import Any

import pytest

from infrastructure.models import Node
from panel.accounts.models import User
from storage.choices import ClusterState
from storage.models import Cluster, Datastore
from tasks.models import Task
from tests.infrastructure.page_rows import make_node, silence

pytestmark = pytest.mark.django_db

CONNECT, AGAIN, DISCONNECT = "/storage/connect/", "/storage/connect/again/", "/storage/disconnect/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def node(db: None) -> Node:
    return make_node("primary")


def test_the_form_says_what_is_done_and_what_the_panels_user_may_do(
    administrator: User, node: Node, client_of: Any
) -> None:
    html = client_of(administrator).get(CONNECT).content.decode()

    assert "client.mooring" in html
    assert "What is done" in html
    assert f'<option value="{node.pk}">primary</option>' in html


def test_a_node_that_does_not_answer_is_not_offered(administrator: User, node: Node, client_of: Any) -> None:
    silence(node)

    html = client_of(administrator).get(CONNECT).content.decode()

    assert f'value="{node.pk}"' not in html.split('id="storage-connect"')[1]
    assert "No node answers." in html


def test_connecting_starts_a_task_and_leads_to_it(administrator: User, node: Node, client_of: Any) -> None:
    answer = client_of(administrator).post(CONNECT, {"name": "storage1", "through": node.pk})

    cluster, task = Cluster.objects.get(), Task.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/tasks/{task.pk}/")
    assert (cluster.name, cluster.through, cluster.state) == ("storage1", node, ClusterState.NEW)
    assert (task.kind, task.params["node_id"]) == ("storage.connect", node.pk)


def test_a_script_is_sent_to_the_task(administrator: User, node: Node, client_of: Any) -> None:
    answer = client_of(administrator).post(CONNECT, {"name": "storage1", "through": node.pk}, headers=HTMX)

    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/tasks/{Task.objects.get().pk}/")


@pytest.mark.parametrize(
    ("entered", "field"), [({"name": "Two Words"}, "name"), ({"name": ""}, "name"), ({"through": "99"}, "through")]
)
def test_what_cannot_be_accepted_is_said_under_its_field(
    entered: dict[str, str], field: str, administrator: User, node: Node, client_of: Any
) -> None:
    values = {"name": "storage1", "through": str(node.pk), **entered}

    answer = client_of(administrator).post(CONNECT, values, headers={**HTMX, "HX-Target": "storage-connect"})

    assert answer.status_code == 422
    assert f'id="id_{field}-error" role="alert"' in answer.content.decode()
    assert not Cluster.objects.exists()
    assert not Task.objects.exists()


def test_a_second_cluster_is_refused(administrator: User, cluster: Cluster, node: Node, client_of: Any) -> None:
    client = client_of(administrator)

    assert "Connect the cluster</button>" not in client.get(CONNECT).content.decode()
    assert client.post(CONNECT, {"name": "another", "through": node.pk}).status_code == 422
    assert not Task.objects.exists()


def test_the_dialogs_name_what_they_do(administrator: User, cluster: Cluster, node: Node, client_of: Any) -> None:
    client = client_of(administrator)

    again = client.get(AGAIN, headers=HTMX).content.decode()
    assert "Connect storage1 again" in again
    assert "primary</option>" in again
    assert "Mooring forgets storage1" in client.get(DISCONNECT, headers=HTMX).content.decode()


def test_connecting_again_takes_the_node_that_was_chosen(
    administrator: User, cluster: Cluster, node: Node, client_of: Any
) -> None:
    answer = client_of(administrator).post(AGAIN, {"through": node.pk}, headers=HTMX)

    assert answer.status_code == 204
    assert Task.objects.get().params["node_id"] == node.pk


def test_connecting_again_through_no_node_is_refused(administrator: User, cluster: Cluster, client_of: Any) -> None:
    answer = client_of(administrator).post(AGAIN, {}, headers=HTMX)

    assert answer.status_code == 422
    assert "Choose a node." in answer.content.decode()


def test_disconnecting_starts_a_task(administrator: User, cluster: Cluster, client_of: Any) -> None:
    assert client_of(administrator).post(DISCONNECT, headers=HTMX).status_code == 204
    assert Task.objects.get().kind == "storage.disconnect"


def test_a_cluster_with_datastores_is_not_let_go_and_the_dialog_names_them(
    administrator: User, cluster: Cluster, client_of: Any
) -> None:
    client = client_of(administrator)
    assert 'class="btn btn-d">Disconnect' in client.get(DISCONNECT, headers=HTMX).content.decode()
    Datastore.objects.create(cluster=cluster, name="fast", tier=1, mode="r2", domain="host", pool="p", data_pool="p")

    html = client.get(DISCONNECT, headers=HTMX).content.decode()
    assert "holds datastores: fast. Delete or move them first." in html
    assert re.search(r'<button type="submit" class="btn btn-d" disabled title="[^"]*fast', html)
    assert client.post(DISCONNECT, headers=HTMX).status_code == 409
    assert not Task.objects.exists()


@pytest.mark.parametrize("path", [AGAIN, DISCONNECT])
def test_without_a_cluster_there_is_nothing_to_ask(path: str, administrator: User, client_of: Any) -> None:
    assert client_of(administrator).get(path).status_code == 302


@pytest.mark.parametrize("path", [CONNECT, AGAIN, DISCONNECT])
def test_who_may_not_manage_the_storage_is_refused(path: str, operator: User, cluster: Cluster, client_of: Any) -> None:
    client = client_of(operator)

    assert client.get(path).status_code == 403
    assert client.post(path).status_code == 403
