"""Where nodes stand and where Ceph's map has them: what differs, what is refused, and the move with its way back."""

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.errors import Refused
from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from storage.drivers import fake
from storage.drivers.placing import Location, Tree
from storage.placement import Topology
from storage.services import locations
from storage.services.locations import safe
from tasks.models import Task
from tasks.services import cancel
from tests.infrastructure.fake_nodes import commands_of, die_in, lines_of, run, steps_of
from tests.storage.disk_host import Storage, moving


def stand(host: str, **place: str) -> None:
    Node.objects.filter(name=host).update(**place)


def found(storage: Storage) -> dict[str, locations.Difference]:
    storage.look()
    storage.row.refresh_from_db()
    return {each.host: each for each in locations.differences(storage.row)}


def move(storage: Storage, *hosts: str, user: User | None = None) -> Task:
    storage.look()
    storage.row.refresh_from_db()
    return locations.locate(user=user or storage.admin, cluster=storage.row, hosts=hosts)


def where(storage: Storage, host: str) -> Location | None:
    return Tree(storage.engine.buckets.values()).location(host)


def names(storage: Storage) -> set[str]:
    return {bucket.name for bucket in storage.engine.buckets.values()}


def test_a_host_differs_when_its_node_stands_elsewhere(storage: Storage) -> None:
    stand("primary", rack="rack-a")
    difference = found(storage)["primary"]
    assert (difference.stands, difference.lies) == ("rack-a", "in no rack")
    assert (difference.now, difference.wanted) == ((), (("rack", "rack-a"),))
    assert (difference.disks, difference.used) == (3, 3 << 30)

    storage.engine.locate_host("primary", (("rack", "old"),))
    assert found(storage)["primary"].lies == "in rack old"
    storage.engine.locate_host("primary", (("rack", "rack-a"),))
    assert found(storage) == {}


def test_a_node_without_a_location_says_nothing(storage: Storage) -> None:
    storage.engine.locate_host("primary", (("rack", "by-hand"),))
    assert found(storage) == {}


def test_hosts_of_another_root_are_left_alone(storage: Storage) -> None:
    stand("primary", rack="rack-a")
    host = next(bucket for bucket in storage.engine.buckets.values() if bucket.name == "primary")
    root = storage.engine.buckets[-1]
    storage.engine.buckets[-1] = fake.Bucket(-1, "default", "root", tuple(set(root.children) - {host.id}))
    storage.engine.buckets[-99] = fake.Bucket(-99, "other", "root", (host.id,))
    assert found(storage) == {}


def test_a_node_is_found_by_its_hostname_too(storage: Storage) -> None:
    Node.objects.filter(name="primary").update(name="first", hostname="primary", rack="a")
    assert found(storage)["primary"].node.name == "first"


@pytest.mark.parametrize(
    ("told", "name"),
    [("Rack A", "Rack-A"), ("2.14 / b", "2-14-b"), (" Büro ", "Buro"), ("-h", "h"), ("$(id)", "id"), ("ряд", "")],
)
def test_names_are_made_safe(told: str, name: str) -> None:
    assert safe(told) == name


def test_a_name_of_nothing_that_the_map_can_have_is_told_with_what_to_do(storage: Storage) -> None:
    stand("primary", rack="стойка")
    difference = found(storage)["primary"]
    assert "“стойка” has no letter or digit" in difference.problem
    with pytest.raises(NotPossible, match="стойка"):
        move(storage, "primary")


def test_a_name_that_is_a_hosts_is_told_with_what_to_do(storage: Storage) -> None:
    stand("primary", rack="secondnode1")
    assert "secondnode1 is a host in Ceph's map" in found(storage)["primary"].problem
    with pytest.raises(NotPossible, match="each name is there once"):
        move(storage, "primary")
    assert not Task.objects.exists()


def test_the_task_makes_the_racks_and_moves_the_hosts(storage: Storage) -> None:
    stand("primary", room="a", rack="a1")
    stand("secondnode1", room="a", rack="a2")
    task = run(move(storage, "primary", "secondnode1"))

    assert (task.state, task.reason) == ("completed", "")
    assert task.title == "Moving primary, secondnode1 in the cluster map"
    assert commands_of(task) == [
        "ceph osd crush add-bucket a room root=default",
        "ceph osd crush add-bucket a1 rack room=a",
        "ceph osd crush move primary rack=a1",
        "ceph osd crush add-bucket a2 rack room=a",
        "ceph osd crush move secondnode1 rack=a2",
    ]
    assert where(storage, "primary") == (("room", "a"), ("rack", "a1"))
    assert [title for title, _ in steps_of(task)] == [
        "Checking the cluster map",
        "Move primary to room a, rack a1",
        "Move secondnode1 to room a, rack a2",
        "Remove what is empty now",
        "Move the data",
    ]
    assert found(storage) == {}, "the pages know at once"


def test_racks_count_as_failure_domains_then(storage: Storage) -> None:
    for host, rack in (("primary", "a"), ("secondnode1", "a"), ("secondnode2", "b")):
        stand(host, rack=rack)
    assert Topology(storage.engine.look()).places(1, "rack") == ()
    run(move(storage, "primary", "secondnode1", "secondnode2"))
    places = Topology(storage.engine.look()).places(1, "rack")
    assert [(place.name, len(place.disks)) for place in places] == [("a", 4), ("b", 2)]


def test_what_is_empty_after_it_is_removed_and_nothing_else(storage: Storage) -> None:
    storage.engine.add_bucket("spare", "rack")
    storage.engine.locate_host("primary", (("room", "r"), ("rack", "old")))
    storage.engine.locate_host("secondnode1", (("room", "r"), ("rack", "kept")))
    stand("primary", rack="new")
    task = run(move(storage, "primary"))

    assert "old" not in names(storage)
    assert {"spare", "kept", "r", "new"} <= names(storage)
    assert commands_of(task)[-1] == "ceph osd crush rm old"


def test_a_failure_puts_every_host_back_and_leaves_no_rack(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.engine.locate_host("primary", (("rack", "old"),))
    stand("primary", rack="new")
    stand("secondnode1", rack="newer")
    before = {host: where(storage, host) for host in fake.HOSTS}
    task = move(storage, "primary", "secondnode1")
    calls, locate = 0, storage.engine.locate_host

    def second_fails(*words: object, **more: object) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Refused("no", component="ceph")
        return locate(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(storage.engine, "locate_host", second_fails)
    assert run(task).state == "failed"
    assert {host: where(storage, host) for host in fake.HOSTS} == before
    assert {"new", "newer"} & names(storage) == set()


def test_a_rack_that_went_as_a_whole_comes_back_as_a_whole(storage: Storage) -> None:
    for host in ("primary", "secondnode1"):
        storage.engine.locate_host(host, (("rack", "a"),))
        stand(host, room="r", rack="a")
    task = move(storage, "primary", "secondnode1")
    storage.engine.fail_next("remove_places", Refused("no", component="ceph"))
    assert run(task).state == "failed"
    assert where(storage, "primary") == where(storage, "secondnode1") == (("rack", "a"),)
    assert "r" not in names(storage)


def test_cancelling_while_data_moves_brings_the_host_back(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    stand("primary", rack="new")
    task = move(storage, "primary")
    look, looks = storage.engine.look, 0

    def next_look() -> object:
        nonlocal looks
        if "locate_host" in storage.engine.calls:
            storage.engine.groups = moving(90)
            looks += 1
            if looks == 4:
                cancel(task, storage.admin)
        return look()

    monkeypatch.setattr(storage.engine, "look", next_look)
    task = run(task)
    assert task.state == "cancelled"
    assert where(storage, "primary") == ()
    assert "new" not in names(storage)
    assert "primary lies in no rack again; what has moved moves back by itself" in lines_of(task)


def test_a_worker_that_was_killed_is_followed_by_one_that_goes_on(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.engine.locate_host("primary", (("rack", "old"),))
    stand("primary", rack="new")
    task = move(storage, "primary")
    die_in(storage.engine, "remove_places", task, monkeypatch)
    assert where(storage, "primary") == (("rack", "new"),)
    storage.engine.calls.clear()
    assert run(task).state == "completed"
    assert "locate_host" not in storage.engine.calls
    assert "old" not in names(storage), "what the dead worker left empty is removed all the same"


def test_a_pool_that_needs_its_racks_holds_them(storage: Storage) -> None:
    for host in fake.HOSTS:
        storage.engine.locate_host(host, (("rack", f"rack-of-{host}"),))
        stand(host, rack=f"rack-of-{host}")
    storage.engine.make_rule("mooring-racks", device_class="tier1", domain="rack")
    storage.engine.add_pool("vms", size=3, rule="mooring-racks")
    stand("primary", rack="rack-of-secondnode1")
    with pytest.raises(NotPossible, match="vms needs 3 racks, and then there would be 2"):
        move(storage, "primary")


def test_the_worker_checks_again_before_it_moves_a_host(storage: Storage) -> None:
    for host in fake.HOSTS:
        storage.engine.locate_host(host, (("rack", f"rack-of-{host}"),))
        stand(host, rack=f"rack-of-{host}")
    stand("primary", rack="rack-of-secondnode1")
    task = move(storage, "primary")
    storage.engine.make_rule("mooring-racks", device_class="tier1", domain="rack")
    storage.engine.add_pool("vms", size=3, rule="mooring-racks")
    task = run(task)
    assert (task.state, task.reason) == ("failed", "vms needs 3 racks, and then there would be 2.")
    assert where(storage, "primary") == (("rack", "rack-of-primary"),)


def test_two_racks_of_one_name_in_two_rooms_cannot_be(storage: Storage) -> None:
    stand("primary", room="a", rack="1")
    stand("secondnode1", room="b", rack="1")
    with pytest.raises(NotPossible, match="each name is there once"):
        move(storage, "primary", "secondnode1")


def test_what_is_not_chosen_or_does_not_differ_is_refused(storage: Storage) -> None:
    with pytest.raises(InvalidInput, match="No host is chosen"):
        move(storage)
    with pytest.raises(NotPossible, match="primary lies where its node stands"):
        move(storage, "primary")


def test_an_operator_may_not(storage: Storage, operator: User) -> None:
    stand("primary", rack="a")
    with pytest.raises(PermissionDenied):
        move(storage, "primary", user=operator)


def test_a_map_that_changed_meanwhile_fails_the_task_with_the_cause(storage: Storage) -> None:
    stand("primary", rack="new")
    task = move(storage, "primary")
    storage.engine.add_bucket("new", "room")
    task = run(task)
    assert task.state == "failed"
    assert "new is a room in Ceph's map" in task.reason
    assert where(storage, "primary") == ()
