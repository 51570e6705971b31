"""What every StorageCluster does with images of LUNs, on the fake and on the lab's Ceph."""

from collections.abc import Iterator

import pytest

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from storage.drivers.base import StorageCluster
from storage.drivers.facts import Profile
from storage.drivers.imaging import ImageLimits
from tests.contract.storage_subjects import MARKS, PREFIX

POOL, CODED, RULE = f"{PREFIX}images", f"{PREFIX}images.data", f"{PREFIX}rule"
CODE = Profile(f"{PREFIX}code", 2, 1, "host", "tier1")
MIB = 1 << 20
NAMES = ("lun-a", "lun-b")


@pytest.fixture
def images(storage: StorageCluster) -> Iterator[StorageCluster]:
    storage.make_rule(RULE, device_class="tier1", domain="host")
    storage.make_replicated_pool(POOL, size=2, rule=RULE, application="rbd", marks=MARKS)
    yield storage
    for name in NAMES:
        try:
            for each in storage.snapshots(POOL, name):
                storage.remove_snapshot(POOL, name, each.name)
        except NotFound:
            continue
        storage.remove_image(POOL, name)


def test_an_image_is_made_once_and_removed_once(images: StorageCluster) -> None:
    assert images.make_image(POOL, "lun-a", size=8 * MIB, data_pool=POOL) is True
    assert images.make_image(POOL, "lun-a", size=8 * MIB) is False
    assert (images.images(POOL), images.image_size(POOL, "lun-a")) == (("lun-a",), 8 * MIB)
    with pytest.raises(Conflict):
        images.make_image(POOL, "lun-a", size=16 * MIB)
    assert (images.remove_image(POOL, "lun-a"), images.remove_image(POOL, "lun-a")) == (True, False)


def test_an_image_can_keep_its_data_in_a_code(images: StorageCluster) -> None:
    images.make_profile(CODE)
    images.make_coded_pool(CODED, profile=CODE, application="rbd", marks=MARKS)
    assert images.make_image(POOL, "lun-b", size=8 * MIB, data_pool=CODED) is True
    assert images.make_image(POOL, "lun-b", size=8 * MIB, data_pool=CODED) is False


def test_what_is_not_there_is_not_found(images: StorageCluster) -> None:
    calls = (
        lambda: images.image_size(POOL, "lun-a"),
        lambda: images.resize_image(POOL, "lun-a", 8 * MIB),
        lambda: images.take_snapshot(POOL, "lun-a", "s"),
        lambda: images.snapshots(POOL, "lun-a"),
        lambda: images.limit_image(POOL, "lun-a", ImageLimits(100)),
        lambda: images.free_image(POOL, "lun-a"),
        lambda: images.shut_out(POOL, "lun-a", {"192.0.2.11"}),
        lambda: images.make_image(f"{PREFIX}none", "lun-a", size=MIB),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
    images.make_image(POOL, "lun-a", size=8 * MIB)
    with pytest.raises(NotFound):
        images.roll_back(POOL, "lun-a", "s")
    assert images.remove_snapshot(POOL, "lun-a", "s") is False


def test_it_grows_and_never_shrinks(images: StorageCluster) -> None:
    images.make_image(POOL, "lun-a", size=8 * MIB)
    assert images.resize_image(POOL, "lun-a", 16 * MIB) is True
    assert images.resize_image(POOL, "lun-a", 16 * MIB) is False
    with pytest.raises(Refused):
        images.resize_image(POOL, "lun-a", 8 * MIB)
    assert images.image_size(POOL, "lun-a") == 16 * MIB


def test_snapshots_are_told_from_the_oldest_on_and_rolling_back_brings_the_size_along(images: StorageCluster) -> None:
    images.make_image(POOL, "lun-a", size=8 * MIB)
    assert (images.take_snapshot(POOL, "lun-a", "b"), images.take_snapshot(POOL, "lun-a", "b")) == (True, False)
    images.resize_image(POOL, "lun-a", 16 * MIB)
    images.take_snapshot(POOL, "lun-a", "a")
    found = images.snapshots(POOL, "lun-a")
    assert [(each.name, each.size) for each in found] == [("b", 8 * MIB), ("a", 16 * MIB)]
    assert all(each.taken_at and each.taken_at.tzinfo for each in found)
    images.roll_back(POOL, "lun-a", "b")
    assert images.image_size(POOL, "lun-a") == 8 * MIB
    with pytest.raises(Conflict):
        images.remove_image(POOL, "lun-a")
    assert (images.remove_snapshot(POOL, "lun-a", "b"), images.remove_snapshot(POOL, "lun-a", "b")) == (True, False)


def test_limits_are_set_changed_and_lifted(images: StorageCluster) -> None:
    images.make_image(POOL, "lun-a", size=8 * MIB)
    steps = [
        ImageLimits(),
        ImageLimits(100, 10 * MIB),
        ImageLimits(100, 10 * MIB),
        ImageLimits(0, 10 * MIB),
        ImageLimits(),
    ]
    assert [images.limit_image(POOL, "lun-a", each) for each in steps] == [False, True, False, True, True]


def test_an_image_that_nobody_holds_need_not_be_freed(images: StorageCluster) -> None:
    images.make_image(POOL, "lun-a", size=8 * MIB)
    assert images.free_image(POOL, "lun-a") is False


def test_an_image_that_nobody_has_open_shuts_nobody_out(images: StorageCluster) -> None:
    images.make_image(POOL, "lun-a", size=8 * MIB)
    assert images.shut_out(POOL, "lun-a", {"192.0.2.11"}) == ()


def test_images_outside_the_panels_pools_are_refused(images: StorageCluster) -> None:
    with pytest.raises(DriverError):
        images.make_image("rbd", "lun-a", size=8 * MIB)
