"""One driver per cluster and process."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.drivers import fake, registry
from storage.drivers.base import Access
from storage.drivers.ceph import CephCluster

ACCESS = Access("ceph", fake.FSID, ("192.0.2.1:3300",), "mooring", "AQC8dQJrDpa5BhAAV8td7dFb1BXaNojdG8XuHw==")
YESTERDAY = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_same_access_has_the_same_driver_until_it_is_dropped() -> None:
    first = registry.cluster_for(ACCESS)
    assert registry.cluster_for(replace(ACCESS)) is first
    registry.drop(ACCESS)
    assert registry.cluster_for(ACCESS) is not first
    registry.drop_all()


def test_another_key_makes_another_driver() -> None:
    assert registry.cluster_for(ACCESS) is not registry.cluster_for(replace(ACCESS, key="other"))
    registry.drop_all()


def test_once_connected_again_the_first_to_ask_closes_what_was_open_before(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    monkeypatch.setattr(CephCluster, "close", lambda self: closed.append(self))
    elsewhere = registry.cluster_for(replace(ACCESS, fsid="another", connected_at=YESTERDAY))
    unsaved = registry.cluster_for(ACCESS)
    before = registry.cluster_for(replace(ACCESS, connected_at=YESTERDAY))
    assert closed == [unsaved]
    now = registry.cluster_for(replace(ACCESS, connected_at=YESTERDAY + timedelta(hours=1)))
    assert now is not before and closed == [unsaved, before]
    assert registry.cluster_for(replace(ACCESS, connected_at=YESTERDAY)) is not before, "it was forgotten too"
    assert now not in closed, "who still has the old access takes nothing from the others"
    assert elsewhere not in closed
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
