"""Storage pools in libvirt's own test driver: ours is known by its UUID, what else has its name is left alone."""

from collections.abc import Iterator

import libvirt
import pytest

from infrastructure.drivers import registry
from infrastructure.drivers.base import Endpoint, HostDriver

URI = "test:///default"
OURS, THEIRS = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"


@pytest.fixture
def engine() -> Iterator[libvirt.virConnect]:
    """The same libvirt as the driver's, for libvirt keeps one test host a process."""
    connection = libvirt.open(URI)
    yield connection
    for pool in connection.listAllStoragePools():
        if pool.name() == "mooring-fast":
            if pool.isActive():
                pool.destroy()
            pool.undefine()
    connection.close()


@pytest.fixture
def driver() -> Iterator[HostDriver]:
    yield registry.driver_for(Endpoint("test", "127.0.0.1", uri=URI))
    registry.drop_all()


def define(engine: libvirt.virConnect, uuid: str) -> libvirt.virStoragePool:
    pool = f"<pool type='dir'><name>mooring-fast</name><uuid>{uuid}</uuid><target><path>/tmp</path></target></pool>"
    return engine.storagePoolDefineXML(pool)


def test_the_pool_with_our_uuid_is_stopped_and_forgotten(engine: libvirt.virConnect, driver: HostDriver) -> None:
    define(engine, OURS).create()
    assert driver.drop_pool(OURS) is True
    assert "mooring-fast" not in [pool.name() for pool in engine.listAllStoragePools()]
    assert driver.drop_pool(OURS) is False


def test_a_pool_of_that_name_with_another_uuid_is_left(engine: libvirt.virConnect, driver: HostDriver) -> None:
    define(engine, THEIRS).create()
    assert driver.drop_pool(OURS) is False
    assert engine.storagePoolLookupByName("mooring-fast").isActive()
