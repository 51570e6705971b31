"""One driver per cluster and process."""

import os
from dataclasses import replace

from storage.drivers import fake, registry
from storage.drivers.base import Access

ACCESS = Access("ceph", fake.FSID, ("192.0.2.1:3300",), "mooring", "AQC8dQJrDpa5BhAAV8td7dFb1BXaNojdG8XuHw==")


def test_the_same_access_has_the_same_driver_until_it_is_dropped() -> None:
    first = registry.cluster_for(ACCESS)
    assert registry.cluster_for(replace(ACCESS)) is first
    registry.drop(ACCESS)
    assert registry.cluster_for(ACCESS) is not first
    registry.drop_all()


def test_another_key_makes_another_driver() -> None:
    assert registry.cluster_for(ACCESS) is not registry.cluster_for(replace(ACCESS, key="other"))
    registry.drop_all()


def test_a_cluster_can_be_replaced_by_a_fake() -> None:
    stand_in = fake.cluster()
    with registry.replaced("ceph", stand_in):
        assert registry.cluster_for(ACCESS) is stand_in
    assert registry.cluster_for(ACCESS) is not stand_in
    registry.drop_all()


def test_a_forked_process_begins_with_no_driver_and_cannot_use_its_parents() -> None:
    before = registry.cluster_for(ACCESS)
    child = os.fork()
    if child == 0:
        try:
            before.look()
        except RuntimeError as error:
            os._exit(0 if registry.cluster_for(ACCESS) is not before and "fork" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    registry.drop_all()


def test_the_key_is_in_no_repr() -> None:
    assert ACCESS.key not in repr(ACCESS)
    assert ACCESS.key not in f"{ACCESS!s} {registry.cluster_for(ACCESS)!r}"
    registry.drop_all()
