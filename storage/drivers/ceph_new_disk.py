"""New disks on Ceph. Each function is one round's work."""

import json

from infrastructure.drivers.errors import DriverError
from storage.drivers.ceph_disks import find
from storage.drivers.ceph_json import whole
from storage.drivers.ceph_round import Round


def make(ask: Round, uuid: str, key: str) -> int:
    # The key goes in the command's data: Ceph writes commands themselves to its logs.
    answer = ask.give("osd new", json.dumps({"cephx_secret": key}).encode(), uuid=uuid)
    number = whole(answer, "osdid", default=-1)
    if number < 0:
        raise DriverError(f"{ask.where}: osd new told no number", code="bad-answer", component="ceph")
    return number


def place(ask: Round, number: int, *, host: str, weight: float) -> bool:
    disk = find(ask, number)
    if disk is not None and disk.host == host:
        return False
    ask.do("osd crush add", id=number, weight=weight, args=["root=default", f"host={host}"])
    return True
