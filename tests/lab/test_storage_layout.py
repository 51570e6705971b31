"""Which OSD is which disk, in which tier, and what cannot be wished for."""

import uuid

import pytest

from lab import ceph_client, ceph_cluster, ceph_conf, ceph_layout, ceph_status
from lab.errors import LabError
from lab.instance import Instance, StorageChoice

NODES = ["primary", "secondnode1", "secondnode2"]


def test_the_first_three_osds_are_the_first_disk_of_each_node() -> None:
    osds = ceph_layout.osds(StorageChoice(3))
    assert [osd.number for osd in osds] == list(range(9))
    assert [(osd.node, osd.disk) for osd in osds[:4]] == [*((node, 0) for node in NODES), ("primary", 1)]


def test_more_disks_leave_the_numbers_of_the_others_as_they_are() -> None:
    few, many = ceph_layout.osds(StorageChoice(3)), ceph_layout.osds(StorageChoice(7))
    assert [(osd.number, osd.node, osd.disk) for osd in few] == [(osd.number, osd.node, osd.disk) for osd in many[:9]]


@pytest.mark.parametrize(("disks", "first"), [(3, 2), (4, 2), (5, 3), (6, 3), (7, 4)])
def test_the_first_half_of_a_nodes_disks_is_tier_1(disks: int, first: int) -> None:
    tiers = [osd.tier for osd in ceph_layout.osds(StorageChoice(disks)) if osd.node == "secondnode1"]
    assert tiers == ["tier1"] * first + ["tier2"] * (disks - first)


def test_one_tier_takes_all_disks() -> None:
    assert {osd.tier for osd in ceph_layout.osds(StorageChoice(4, 0))} == {"tier0"}


def test_the_first_up_has_three_disks_unless_told() -> None:
    assert ceph_layout.choose(None, disks=None, one_tier=None) == StorageChoice(3)
    assert ceph_layout.choose(None, disks=7, one_tier=2) == StorageChoice(7, 2)


def test_a_later_up_keeps_the_choice_or_adds_disks() -> None:
    kept = StorageChoice(4, 0)
    assert ceph_layout.choose(kept, disks=None, one_tier=None) == kept
    assert ceph_layout.choose(kept, disks=4, one_tier=0) == kept
    assert ceph_layout.choose(kept, disks=6, one_tier=None) == StorageChoice(6, 0)


@pytest.mark.parametrize(
    ("kept", "disks", "one_tier", "says"),
    [
        (None, 2, None, "3 to 7 disks"),
        (None, 8, None, "3 to 7 disks"),
        (None, None, 4, "tiers are 0 to 3"),
        (None, None, -1, "tiers are 0 to 3"),
        (StorageChoice(4), 3, None, "would take some away"),
        (StorageChoice(3), None, 1, "has two tiers"),
        (StorageChoice(3, 0), None, 1, "all disks in tier 0"),
    ],
)
def test_a_wish_that_cannot_be_followed_is_refused(
    kept: StorageChoice | None, disks: int | None, one_tier: int | None, says: str
) -> None:
    with pytest.raises(LabError, match=says):
        ceph_layout.choose(kept, disks=disks, one_tier=one_tier)


@pytest.mark.parametrize(("number", "choice"), [(9, StorageChoice(3)), (-1, StorageChoice(3)), (0, None)])
def test_a_disk_that_is_not_there_is_refused(number: int, choice: StorageChoice | None) -> None:
    with pytest.raises(LabError, match=f"no disk {number}"):
        ceph_layout.osd(number, choice)


def test_ceph_conf_names_the_three_monitors_at_the_labs_own_addresses() -> None:
    instance = Instance("x", identity=uuid.UUID(int=1), subnet=7)
    text = ceph_conf.conf(instance)
    for host in (11, 12, 13):
        assert f"[v2:10.78.7.{host}:3300,v1:10.78.7.{host}:6789]" in text
    assert f"fsid = {ceph_conf.fsid(Instance('y', identity=uuid.UUID(int=1)))}\n" in text
    assert "{" not in text


def test_a_status_without_an_answer_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_instance: Instance, *, timeout: float) -> None:
        raise LabError("python3-rados is not installed")

    monkeypatch.setattr(ceph_cluster, "quorum_possible", lambda _: True)
    monkeypatch.setattr(ceph_client, "connected", refuse)
    data = ceph_status.report(Instance("x", subnet=7, storage=StorageChoice(3)))
    assert data is not None and data["health"] is None
    assert ceph_status.table(data)[0].endswith(": python3-rados is not installed")


def test_no_two_keys_are_equal() -> None:
    assert len({ceph_conf.new_key() for _ in range(10)}) == 10
