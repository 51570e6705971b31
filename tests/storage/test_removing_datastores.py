"""Removing datastores against a cluster in memory: only empty ones, and only what nobody else uses."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from infrastructure.drivers.errors import Refused
from infrastructure.models import VE
from panel.accounts.models import User
from storage.models import Datastore
from storage.services.datastores import layout_of
from tasks.services import retry
from tests.infrastructure.fake_nodes import commands_of, run
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import create, created, nothing_left, remove

COPIES = "mooring-vm.t2.r2.host.fast"
META, DATA = "mooring-vm.t2.meta.osd.big", "mooring-vm.t2.ec5-2.osd.big"


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as found:
        yield found


def test_removing_takes_everything_that_only_it_used(storage: Driven) -> None:
    datastore = created(storage.row, "big", "ec5-2", "osd")
    task = remove(datastore)
    assert task.state == "completed"
    assert nothing_left(storage.fake)
    assert not Datastore.objects.exists()
    assert commands_of(task) == [
        f"rbd ls {META}",
        f"rbd trash ls {META}",
        f"ceph osd pool rm {META} {META} --yes-i-really-really-mean-it",
        f"ceph osd pool rm {DATA} {DATA} --yes-i-really-really-mean-it",
        "ceph osd erasure-code-profile rm mooring-t2.ec5-2.osd",
        "ceph osd crush rule rm mooring-t2.osd",
    ]


def test_removing_leaves_what_others_use(storage: Driven) -> None:
    first, second = created(storage.row, "one"), created(storage.row, "two", "r3")
    remove(first)
    assert set(storage.fake.pools_by_name) == {second.pool}
    assert "mooring-t2.host" in storage.fake.rules_by_name
    remove(second)
    assert nothing_left(storage.fake)


def test_a_profile_stays_while_a_datastore_that_is_only_begun_counts_on_it(storage: Driven) -> None:
    first = created(storage.row, "one", "ec5-2", "osd")
    begun, _ = create(storage.row, "two", "ec5-2", "osd")
    remove(first)
    assert layout_of(begun).profile in storage.fake.profiles_by_name.values()
    assert "mooring-t2.osd" in storage.fake.rules_by_name


def test_a_rule_that_a_foreign_pool_uses_stays(storage: Driven) -> None:
    datastore = created(storage.row)
    storage.fake.add_pool("by-hand", rule="mooring-t2.host")
    assert remove(datastore).state == "completed"
    assert set(storage.fake.pools_by_name) == {"by-hand"}
    assert "mooring-t2.host" in storage.fake.rules_by_name


def test_one_that_holds_images_is_not_removed_and_says_which(storage: Driven) -> None:
    datastore = created(storage.row, "big", "ec5-2", "osd")
    storage.fake.images_by_pool[META] = ["vm-7", "trash/old"]
    task = remove(datastore)
    assert task.state == "failed"
    assert "big is not empty: it holds 1 image: vm-7 and 1 image in its trash" in task.reason
    datastore.refresh_from_db()
    assert (datastore.state, set(storage.fake.pools_by_name)) == ("ready", {META, DATA})


def test_it_says_which_ve_has_an_image(storage: Driven) -> None:
    datastore = created(storage.row)
    storage.fake.images_by_pool[COPIES] = ["disk-1", "disk-2"]
    disks = [{"target": "vda", "source": f"{COPIES}/disk-2", "type": "network", "protocol": "rbd"}]
    VE.objects.create(uuid=uuid4(), name="vmtest", kind="vm", disks=disks)
    assert "it holds 2 images: disk-1, disk-2 of vmtest" in remove(datastore).reason


def test_images_that_appear_at_the_last_moment_keep_both_pools(storage: Driven) -> None:
    datastore = created(storage.row, "big", "ec5-2", "osd")
    real, looked = storage.fake.images, []

    def images(pool: str) -> tuple[str, ...]:
        looked.append(pool)
        return real(pool) if len(looked) < 3 else ("vm-9",)

    storage.fake.images = images  # type: ignore[method-assign]
    assert remove(datastore).state == "failed"
    datastore.refresh_from_db()
    assert (datastore.state, set(storage.fake.pools_by_name)) == ("ready", {META, DATA})


def test_a_removal_that_breaks_half_way_can_be_tried_again(storage: Driven) -> None:
    datastore = created(storage.row, "big", "ec5-2", "osd")
    real = storage.fake.remove_pool

    def remove_pool(name: str, *, marks: dict[str, str]) -> bool:
        if name == DATA:
            raise Refused("no", component="ceph")
        return real(name, marks=marks)

    storage.fake.remove_pool = remove_pool  # type: ignore[method-assign]
    task = remove(datastore)
    datastore.refresh_from_db()
    assert (task.state, datastore.state, set(storage.fake.pools_by_name)) == ("failed", "partly", {DATA})
    storage.fake.remove_pool = real  # type: ignore[method-assign]
    assert run(retry(task)).state == "completed"
    assert nothing_left(storage.fake)
    assert not Datastore.objects.exists()
