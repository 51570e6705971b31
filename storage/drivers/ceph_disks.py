"""Disks on Ceph: their class, in and out, and their removal. Each function is one round's work."""

from infrastructure.drivers.errors import Conflict, NotFound
from storage.drivers import ceph_parse
from storage.drivers.ceph_crush import crush
from storage.drivers.ceph_json import numbers, table
from storage.drivers.ceph_round import Round
from storage.drivers.facts import DiskFacts


def find(ask: Round, number: int) -> DiskFacts | None:
    """The disk as the maps tell it, without figures."""
    found = ceph_parse.disks(ask.ask_one("osd dump"), crush(ask.ask_one("osd crush dump")), df={}, perf={}, metadata=())
    return next((disk for disk in found if disk.id == number), None)


def _require(ask: Round, number: int) -> DiskFacts:
    if (disk := find(ask, number)) is None:
        raise NotFound(f"There is no disk {number}", code="no-disk", component="ceph")
    return disk


def set_device_class(ask: Round, number: int, device_class: str) -> bool:
    disk = _require(ask, number)
    if disk.device_class == device_class:
        return False
    if disk.device_class:  # Ceph refuses to change a class in one go
        ask.do("osd crush rm-device-class", ids=[str(number)])
    ask.do("osd crush set-device-class", **{"class": device_class, "ids": [str(number)]})
    return True


def set_taken(ask: Round, number: int, *, taken: bool) -> bool:
    if _require(ask, number).taken is taken:
        return False
    ask.do("osd in" if taken else "osd out", ids=[str(number)])
    return True


def may_destroy(ask: Round, number: int) -> bool:
    """False also while the manager cannot tell: right after a change it does not know all placement groups."""
    _require(ask, number)
    try:
        answer = ask.ask_manager("osd safe-to-destroy", ids=[str(number)])
    except Conflict:
        return False
    return number in numbers(table(answer), "safe_to_destroy")


def purge(ask: Round, number: int) -> bool:
    disk = find(ask, number)
    if disk is None:
        return False
    if disk.up:
        raise Conflict(
            f"Disk {number} is still up", code="disk-up", component="ceph", advice="Stop its service on the node."
        )
    ask.do_by_manager("osd purge", id=number, yes_i_really_mean_it=True)
    return True
