"""How a host comes to another place of the CRUSH map: which commands, and what is refused."""

import pytest

from infrastructure.drivers.errors import Conflict, NotFound, Refused
from storage.drivers import fake, placing
from storage.drivers.fake import FakeCluster
from storage.drivers.placing import Location, Tree, applied, plan

RACK_A: Location = (("rack", "rack-a"),)
ROOM_A: Location = (("room", "a"), ("rack", "rack-a"))


def commands(made: FakeCluster, host: str, location: Location, along: dict[str, Location] | None = None) -> list[str]:
    changes = plan(made.buckets.values(), host, location, along)
    return [" ".join(change.argv).removeprefix("ceph osd crush ") for change in changes]


def where(made: FakeCluster, host: str) -> Location | None:
    return Tree(made.buckets.values()).location(host)


def test_what_is_missing_is_made_from_large_to_small() -> None:
    made = fake.cluster()
    assert commands(made, "primary", (("room", "a"), ("row", "r"), ("rack", "x"))) == [
        "add-bucket a room root=default",
        "add-bucket r row room=a",
        "add-bucket x rack row=r",
        "move primary rack=x",
    ]


def test_what_is_there_is_used_and_a_host_that_lies_there_stays() -> None:
    made = fake.cluster()
    made.locate_host("primary", RACK_A)
    assert commands(made, "primary", RACK_A) == []
    assert commands(made, "secondnode1", RACK_A) == ["move secondnode1 rack=rack-a"]
    assert commands(made, "primary", ()) == ["move primary root=default"]


def test_a_rack_goes_as_a_whole_when_all_in_it_go_there() -> None:
    made = fake.cluster()
    for host in ("primary", "secondnode1"):
        made.locate_host(host, RACK_A)
    both = dict.fromkeys(("primary", "secondnode1"), ROOM_A)

    assert commands(made, "primary", ROOM_A, both) == ["add-bucket a room root=default", "move rack-a room=a"]
    made.locate_host("primary", ROOM_A, along=both)
    assert where(made, "secondnode1") == ROOM_A


@pytest.mark.parametrize("other", [None, {"secondnode1": (("room", "b"), ("rack", "rack-a"))}])
def test_a_rack_does_not_take_along_who_stays_or_goes_elsewhere(other: dict[str, Location] | None) -> None:
    made = fake.cluster()
    for host in ("primary", "secondnode1"):
        made.locate_host(host, RACK_A)
    with pytest.raises(Conflict, match="has secondnode1 in it") as caught:
        commands(made, "primary", ROOM_A, other)
    assert "another name" in caught.value.advice


def test_a_disk_without_a_host_holds_its_rack() -> None:
    made = fake.cluster()
    made.add_bucket("rack-a", "rack")
    made._put(0, "rack-a")
    with pytest.raises(Conflict, match=r"has osd\.0 in it"):
        commands(made, "primary", ROOM_A)


@pytest.mark.parametrize(
    "location", [(("rack", "secondnode1"),), (("room", "default"),), (("room", "a"), ("rack", "a"))]
)
def test_a_name_is_in_the_map_once(location: Location) -> None:
    with pytest.raises(Conflict, match="each name is there once"):
        commands(fake.cluster(), "primary", location)


@pytest.mark.parametrize("name", ["", "-h", "a b", "osd.3", "a;id", "a=b", "a~tier1", "x" * 64])
def test_a_name_that_the_map_cannot_have_reaches_no_engine(name: str) -> None:
    with pytest.raises(Refused, match="is no name"):
        commands(fake.cluster(), "primary", (("rack", name),))


def test_a_host_that_is_not_there_is_missed_and_a_rack_is_no_host() -> None:
    made = fake.cluster(racks=2)
    for name in ("nobody", "rack1"):
        with pytest.raises(NotFound, match=f"no host {name}"):
            commands(made, name, RACK_A)


def test_what_is_none_of_the_panels_levels_is_used_and_never_made() -> None:
    made = fake.cluster()
    inside: Location = (("chassis", "c1"),)
    with pytest.raises(NotFound, match="chassis c1"):
        commands(made, "primary", inside)
    made.add_bucket("c1", "chassis")
    made.locate_host("primary", inside)
    assert where(made, "primary") == inside


def test_only_empty_rooms_rows_and_racks_count_as_empty() -> None:
    made = fake.cluster(racks=2)
    names = ("room1", "row1", "rack1", "rack2", "default", "primary", "nothing")
    assert placing.empty(made.buckets.values(), names) == ()
    for host in fake.HOSTS:
        made.locate_host(host, ())
    made.add_bucket("bare", "host")
    assert placing.empty(made.buckets.values(), (*names, "bare")) == ("rack1", "rack2", "row1", "room1")
    assert placing.empty(made.buckets.values(), ("room1", "row1", "rack1")) == ("rack1",)


def test_another_root_is_no_place() -> None:
    made = fake.cluster()
    made.buckets[-99] = fake.Bucket(-99, "other", "root")
    made.add_bucket("elsewhere", "host", under="other")
    assert where(made, "elsewhere") is None
    assert where(made, "primary") == ()


def test_changes_keep_every_disk_and_host() -> None:
    made = fake.cluster()
    before = {child for bucket in made.buckets.values() for child in bucket.children}
    after = applied(made.buckets.values(), plan(made.buckets.values(), "primary", ROOM_A))
    children = [child for bucket in after for child in bucket.children]
    assert before <= set(children)
    assert len(children) == len(set(children))
