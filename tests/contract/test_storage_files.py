"""What every StorageCluster does with its file system and directories, on the fake and on the lab's Ceph."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from infrastructure.drivers.errors import Conflict, DriverError, NotFound
from storage.drivers.base import StorageCluster
from storage.drivers.facts import FilesystemFacts, Profile
from storage.drivers.matching import FILES_METADATA, FILES_ROOT, FILESYSTEM
from tests.contract.storage_subjects import MARKS, PREFIX
from tests.waiting import eventually

DATA, CODED, RULE = f"{PREFIX}files", f"{PREFIX}coded", f"{PREFIX}rule"
CODE = Profile(f"{PREFIX}code", 2, 1, "host", "tier1")
NAME = "contract"


@pytest.fixture
def pools(storage: StorageCluster) -> Iterator[StorageCluster]:
    """A cluster with the pools of the file system and one for data; without any of it afterwards."""
    storage.make_rule(RULE, device_class="tier1", domain="host")
    for name in (FILES_METADATA, FILES_ROOT, DATA):
        storage.make_replicated_pool(name, size=2, rule=RULE, application="cephfs", marks=MARKS)
    yield storage
    with suppress(DriverError):
        storage.remove_directory(NAME)
    for name in (DATA, CODED):
        storage.remove_data_pool(name)
    storage.remove_filesystem()
    for name in (FILES_METADATA, FILES_ROOT):
        storage.remove_pool(name, marks=MARKS)


@pytest.fixture
def files(pools: StorageCluster) -> StorageCluster:
    """With the file system, served."""
    pools.make_filesystem()
    eventually(lambda: (found := pools.filesystem()) and found.serving, seconds=60)
    return pools


def test_it_is_made_once_and_taken_up_by_a_server(files: StorageCluster) -> None:
    assert files.make_filesystem() is False
    assert files.filesystem() == FilesystemFacts(FILESYSTEM, FILES_METADATA, (FILES_ROOT,), serving=True)


def test_without_it_nothing_is_there(pools: StorageCluster) -> None:
    assert (pools.filesystem(), pools.entries(NAME)) == (None, None)
    assert (pools.remove_filesystem(), pools.remove_directory(NAME), pools.remove_data_pool(DATA)) == (False,) * 3
    with pytest.raises(NotFound):
        pools.add_data_pool(DATA)


def test_pools_come_and_go(files: StorageCluster) -> None:
    assert (files.add_data_pool(DATA), files.add_data_pool(DATA)) == (True, False)
    with pytest.raises(Conflict):
        files.remove_pool(DATA, marks=MARKS)
    with pytest.raises(Conflict):
        files.remove_filesystem()
    assert (files.remove_data_pool(DATA), files.remove_data_pool(DATA)) == (True, False)
    assert files.remove_pool(DATA, marks=MARKS) is True


def test_a_directory_lies_in_its_pool_and_goes_when_empty(files: StorageCluster) -> None:
    files.make_profile(CODE)
    files.make_coded_pool(CODED, profile=CODE, application="cephfs", marks=MARKS)
    files.add_data_pool(DATA)
    files.add_data_pool(CODED)
    assert (files.make_directory(NAME, pool=DATA), files.make_directory(NAME, pool=DATA)) == (True, False)
    assert files.make_directory(NAME, pool=CODED) is True, "an empty one is given another pool"
    assert files.entries(NAME) == ()
    assert (files.remove_directory(NAME), files.remove_directory(NAME)) == (True, False)
    assert files.entries(NAME) is None


def test_it_is_removed_while_it_is_served_and_made_again(files: StorageCluster) -> None:
    assert (files.remove_filesystem(), files.remove_filesystem()) == (True, False)
    for name in (FILES_METADATA, FILES_ROOT):
        assert files.remove_pool(name, marks=MARKS) is True
        files.make_replicated_pool(name, size=2, rule=RULE, application="cephfs", marks=MARKS)
    assert files.make_filesystem() is True
