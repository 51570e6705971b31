"""What every StorageCluster does about the places of its hosts, on the fake and on the lab's Ceph."""

from collections.abc import Iterator

import pytest

from infrastructure.drivers.errors import Conflict, NotFound, Refused
from storage.drivers.base import StorageCluster
from storage.drivers.placing import Location, Tree

HOST, OTHER = "secondnode1", "secondnode2"
RACK: Location = (("rack", "contract-rack"),)
ROOM: Location = (("room", "contract-room"), *RACK)


@pytest.fixture
def placed(storage: StorageCluster) -> Iterator[StorageCluster]:
    yield storage
    for host in (HOST, OTHER):
        storage.locate_host(host, ())
    storage.remove_places(name for _, name in ROOM)
    assert "contract-room" not in {bucket.name for bucket in storage.look().buckets}


def where(storage: StorageCluster, host: str) -> Location | None:
    return Tree(storage.look().buckets).location(host)


def test_a_host_goes_to_a_place_that_is_made_and_back(placed: StorageCluster) -> None:
    assert placed.locate_host(HOST, ROOM) is True
    assert placed.locate_host(HOST, ROOM) is False
    assert where(placed, HOST) == ROOM
    assert {disk.host for disk in placed.look().disks} >= {HOST}
    assert placed.locate_host(HOST, ()) is True
    assert where(placed, HOST) == ()


def test_only_what_is_empty_is_removed(placed: StorageCluster) -> None:
    placed.locate_host(HOST, ROOM)
    assert placed.remove_places(["contract-rack", "contract-room", HOST, "default"]) == ()
    placed.locate_host(HOST, ())
    assert placed.remove_places(["contract-room", "contract-rack"]) == ("contract-rack", "contract-room")
    assert placed.remove_places(["contract-rack"]) == ()


def test_a_rack_goes_along_with_all_its_hosts_or_not_at_all(placed: StorageCluster) -> None:
    placed.locate_host(HOST, RACK)
    placed.locate_host(OTHER, RACK)
    with pytest.raises(Conflict, match=f"has {OTHER} in it"):
        placed.locate_host(HOST, ROOM)
    assert placed.locate_host(HOST, ROOM, along={OTHER: ROOM}) is True
    assert where(placed, OTHER) == ROOM
    assert placed.locate_host(OTHER, ROOM) is False


def test_what_cannot_be_is_refused_and_leaves_nothing(placed: StorageCluster) -> None:
    before = placed.look().buckets
    with pytest.raises(Conflict, match="is a host in Ceph's map"):
        placed.locate_host(HOST, (("rack", OTHER),))
    with pytest.raises(Refused, match="is no name"):
        placed.locate_host(HOST, (("rack", "a b"),))
    with pytest.raises(NotFound, match="no host nobody"):
        placed.locate_host("nobody", RACK)
    assert placed.look().buckets == before
