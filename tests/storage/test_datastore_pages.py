"""The pages of datastores: the list, one, adding with the picker, removing with the name typed."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import html

from panel.accounts.models import User
from storage.models import Attachment, Cluster, Datastore
from storage.services import datastores
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.infrastructure.page_rows import make_node, make_ve
from tests.storage.fake_clusters import Driven, driven

LIST, ADD = "/storage/datastores/", "/storage/datastores/add/"
CHOICE = {"name": "fast", "use": "vm", "tier": "2", "mode": "ec5-2", "domain": "osd", "noun": "datastore"}


@pytest.fixture
def storage(db: None, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as found:
        yield found


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def make(storage: Driven, user: User, name: str = "fast", mode: str = "r2", domain: str = "host") -> Datastore:
    datastore, task = datastores.create(
        user=user, cluster=storage.row, name=name, use="vm", tier=2, mode=mode, domain=domain
    )
    assert run(task).state == "completed"
    return datastore


def words(content: bytes, path: str = ".") -> str:
    found = html.fromstring(content.decode()).xpath(path)[0]
    return " ".join(" ".join(found.itertext()).split())


def test_the_list_says_policy_usage_state_and_pools(storage: Driven, administrator: User, client: Any) -> None:
    datastore = make(storage, administrator)
    make(storage, administrator, "big", "ec5-2", "osd")
    storage.fake.add_pool("by-hand", stored=5 << 30)
    storage.observe()
    page = client.get(LIST).content
    row = words(page, f'//*[@id="row-datastore-{datastore.pk}"]')
    assert row.startswith("Ready fast VM disks Tier 2, 2 replicas over hosts 0 bytes")
    assert "mooring-vm.t2.r2.host.fast" in row
    assert words(page, '//*[@id="other-pools"]//tbody') == (
        "by-hand 3 replicas replicated_rule Nothing declared 5 GiB Outside Mooring"
    )


def test_the_list_takes_few_queries(storage: Driven, administrator: User, client: Any) -> None:
    for number in range(5):
        make(storage, administrator, f"fast{number}")
    client.get(LIST)
    for headers, most in (({}, 14), ({"HX-Request": "true", "HX-Target": "datastores-table"}, 9)):
        with CaptureQueriesContext(connection) as found:
            client.get(LIST, headers=headers)
        assert len(found) <= most, [query["sql"] for query in found]


def test_a_pool_that_is_gone_is_told(storage: Driven, administrator: User, client: Any) -> None:
    datastore = make(storage, administrator)
    storage.fake.pools_by_name.clear()
    storage.observe()
    assert "Pool missing" in words(client.get(LIST).content, f'//*[@id="row-datastore-{datastore.pk}"]')
    page = words(client.get(f"{LIST}{datastore.pk}/").content)
    assert "The cluster has no pool mooring-vm.t2.r2.host.fast any more." in page


def test_figures_of_a_silent_cluster_are_not_shown_as_current(
    storage: Driven, administrator: User, client: Any
) -> None:
    datastore = make(storage, administrator)
    Cluster.objects.update(state="unreachable")
    row = words(client.get(LIST).content, f'//*[@id="row-datastore-{datastore.pk}"]')
    assert row.startswith("No contact fast VM disks Tier 2, 2 replicas over hosts No data No data")


def test_a_datastore_says_its_promise_and_its_pools(storage: Driven, administrator: User, client: Any) -> None:
    datastore = make(storage, administrator, "big", "ec5-2", "osd")
    page = words(client.get(f"{LIST}{datastore.pk}/").content)
    assert "Loses nothing after any 2 disks are lost" in page
    assert "Keeps serving after any 1 disk is lost" in page
    assert "mooring-vm.t2.ec5-2.osd.big Data of disks" in page
    assert "mooring-vm.t2.meta.osd.big Metadata of disks, 3 copies" in page
    assert "Creating datastore big" in page


def test_adding_starts_the_task_and_shows_it(storage: Driven, client: Any) -> None:
    answer = client.post(ADD, CHOICE, headers={"HX-Request": "true"})
    task = Task.objects.get()
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/tasks/{task.pk}/")
    assert Datastore.objects.get().mode == "ec5-2"
    assert client.post(ADD, CHOICE | {"name": "two"}).status_code == 302


def test_a_refusal_comes_back_with_everything_that_was_entered(storage: Driven, client: Any) -> None:
    answer = client.post(ADD, CHOICE | {"domain": "host"}, headers={"HX-Request": "true", "HX-Target": "datastore-add"})
    assert answer.status_code == 422
    page = words(answer.content)
    assert "Encoding 5+2 needs 7 hosts with disks of tier 2 online, and there are 3" in page
    assert not Task.objects.exists()
    tree = html.fromstring(answer.content.decode())
    assert tree.xpath('//input[@name="name"]/@value') == ["fast"]
    assert tree.xpath('//input[@name="domain"][@checked]/@value') == ["host"]


def test_a_name_at_fault_is_told_under_it(storage: Driven, client: Any) -> None:
    answer = client.post(ADD, CHOICE | {"name": "Fast One"})
    assert answer.status_code == 422
    assert "cannot be a datastore" in words(answer.content, '//*[@id="id_name-error"]')
    # A keyboard goes on where the fault is, not at the top of the page.
    [field] = html.fromstring(answer.content.decode()).xpath("//*[@autofocus]")
    assert field.get("name") == "name"


def test_without_script_the_choice_is_shown_by_a_get_without_the_token(storage: Driven, client: Any) -> None:
    answer = client.post(ADD, CHOICE | {"show": "1", "csrfmiddlewaretoken": "secret"})
    assert answer.status_code == 302
    assert answer["Location"] == f"{ADD}?name=fast&use=vm&tier=2&mode=ec5-2&domain=osd"
    tree = html.fromstring(client.get(answer["Location"]).content.decode())
    assert tree.xpath('//input[@type="radio"][@checked]/@value') == ["2", "osd", "ec5-2"]
    assert tree.xpath('//input[@name="name"]/@value') == ["fast"]
    assert not Datastore.objects.exists()


def test_what_cannot_be_made_cannot_be_sent(storage: Driven, client: Any) -> None:
    storage.fake.fill(0.9)
    storage.observe()
    button = html.fromstring(client.get(ADD).content.decode()).xpath("//button[@data-picker-submit]")[0]
    assert button.get("disabled") is not None
    assert "90% full" in button.get("title")


def test_without_a_cluster_there_is_nothing_to_add_to(db: None, client: Any) -> None:
    assert "No storage cluster is connected" in words(client.get(ADD).content)
    assert client.post(ADD, CHOICE).status_code == 422
    assert "No storage cluster is connected" in words(client.get(LIST).content)


def test_removing_asks_for_the_name(storage: Driven, administrator: User, client: Any) -> None:
    datastore = make(storage, administrator)
    url = f"{LIST}{datastore.pk}/remove/"
    assert "Type fast to confirm." in words(client.get(url).content)
    wrong = client.post(url, {"confirmation": "slow"})
    assert wrong.status_code == 422
    assert "Type fast to confirm" in words(wrong.content, '//*[@id="id_confirmation-error"]')
    assert Task.objects.count() == 1
    answer = client.post(url, {"confirmation": "fast"}, headers={"HX-Request": "true"})
    task = Task.objects.get(kind=datastores.REMOVE)
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/tasks/{task.pk}/")


def test_one_that_another_task_has_is_not_removed(storage: Driven, administrator: User, client: Any) -> None:
    datastore, task = datastores.create(
        user=administrator, cluster=storage.row, name="fast", use="vm", tier=2, mode="r2", domain="host"
    )
    url = f"{LIST}{datastore.pk}/remove/"
    answer = client.post(url, {"confirmation": "fast"}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert f"fast is being created (task {task.pk})." in answer["HX-Trigger"]


def test_who_may_only_look_gets_no_buttons(
    storage: Driven, administrator: User, viewer: User, client_of: Callable[[User], Any]
) -> None:
    datastore = make(storage, administrator)
    looks = client_of(viewer)
    for url in (LIST, f"{LIST}{datastore.pk}/"):
        page = html.fromstring(looks.get(url).content.decode())
        [button] = page.xpath('//*[@role="toolbar"]//button[@disabled]')
        assert button.get("title") == "Your role does not allow this"
    for url in (ADD, f"{LIST}{datastore.pk}/remove/"):
        assert looks.get(url).status_code == 403
        assert looks.post(url, CHOICE).status_code == 403


def test_one_that_is_not_there_is_not_found(storage: Driven, client: Any) -> None:
    assert client.get(f"{LIST}99/").status_code == 404
    assert client.get(f"{LIST}99/remove/").status_code == 404


def test_it_says_on_which_nodes_it_is_and_why_not_on_others(
    storage: Driven, administrator: User, viewer: User, client_of: Callable[[User], Any]
) -> None:
    datastore = make(storage, administrator)
    for name, state, reason in (
        ("primary", "attached", ""),
        ("secondnode1", "failed", "libvirt cannot open the pool"),
    ):
        node = make_node(name)
        Attachment.objects.update_or_create(
            node=node,
            name="mooring-fast",
            uuid=uuid4(),
            defaults={"datastore": datastore, "state": state, "reason": reason},
        )
    client = client_of(viewer)

    nodes = words(client.get(f"{LIST}{datastore.pk}/").content, '//section[@aria-label="Nodes"]//tbody')

    assert nodes == "Attached primary Not yet Not attached libvirt cannot open the pool secondnode1 Not yet"
    assert words(client.get(LIST).content, f'//*[@id="row-datastore-{datastore.pk}"]').startswith(
        "Ready, not on 1 node fast"
    )


def test_it_names_the_ves_that_have_disks_on_it(storage: Driven, administrator: User, client: Any) -> None:
    datastore, other = make(storage, administrator), make(storage, administrator, "fast2")
    node = make_node("primary")
    for name, pool in (("db", datastore.pool), ("web", datastore.pool), ("mail", other.pool)):
        make_ve(name, node, disks=[{"target": "vda", "protocol": "rbd", "source": f"{pool}/{name}"}])

    page = words(client.get(f"{LIST}{datastore.pk}/").content, '//section[@aria-label="Policy"]')
    dialog = words(client.get(f"{LIST}{datastore.pk}/remove/").content, "//dialog")

    assert "Used by db , web Created" in page
    assert "2 VEs have disks on it. Move or delete these first, those of db , web" in dialog
    assert "1 VE has disks on it. Move or delete these first, those of mail" in words(
        client.get(f"{LIST}{other.pk}/remove/").content, "//dialog"
    )
