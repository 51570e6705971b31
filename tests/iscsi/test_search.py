"""Search whole system: targets and LUNs, by what one knows of them, for who may see iSCSI."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from iscsi.models import Lun, Target
from iscsi.search import find_luns, find_targets
from panel.accounts.models import User
from panel.search.registry import Query
from tests.iscsi.world import World


@pytest.fixture
def target(world: World) -> Target:
    return world.target("backup")


@pytest.fixture
def lun(world: World, target: Target) -> Lun:
    return world.lun(target, 3)


def test_a_target_is_found_by_its_name_its_iqn_and_its_portal(world: World, target: Target, viewer: User) -> None:
    address = target.portals.get().address
    for text in ("backup", "CKUP", target.iqn, address, address[:9]):
        [hit] = find_targets(viewer, Query(text)).hits
        assert (hit.name, hit.url, hit.where) == ("backup", f"/iscsi/targets/{target.pk}/", "primary"), text
    assert hit.matched == address
    assert find_targets(viewer, Query("nothing")).hits == []


def test_the_very_name_comes_first(world: World, target: Target, viewer: User) -> None:
    world.target("a-backup")
    assert [hit.name for hit in find_targets(viewer, Query("backup")).hits] == ["backup", "a-backup"]


def test_a_lun_is_found_by_its_serial_and_its_target(world: World, lun: Lun, viewer: User) -> None:
    for text in (lun.image, lun.serial[:8], "backup", "BACKUP"):
        found = find_luns(viewer, Query(text))
        assert found.total == 1
        [hit] = found.hits
        assert (hit.name, hit.url, hit.where) == ("LUN 3 of backup", f"/iscsi/luns/{lun.pk}/", "backup"), text


def test_many_are_found_with_few_queries(world: World, target: Target, viewer: User) -> None:
    world.target("backup2", "secondnode1")
    with CaptureQueriesContext(connection) as asked:
        assert find_targets(viewer, Query("backup", most=2)).total == 2
    assert len(asked) <= 3, [query["sql"] for query in asked]


def test_the_list_below_the_field_shows_both(world: World, lun: Lun, administrator: User, client_of: Any) -> None:
    text = client_of(administrator).get("/search/?q=backup").content.decode()
    assert f"/iscsi/targets/{lun.target_id}/" in text
    assert f"/iscsi/luns/{lun.pk}/" in text
