"""A round that its caller gave up changes nothing more, whatever it had begun."""

import time
from typing import Any

import pytest

from infrastructure.drivers.errors import TimedOut
from storage.drivers import ceph_disks
from storage.drivers.ceph_round import Round
from tests.storage.test_driver_look import Ceph


def test_what_is_left_of_a_round_is_not_done_when_the_cluster_answers_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the disk would change its class while somebody else gives it back."""
    ceph = Ceph()
    ceph.answers |= {"osd crush rm-device-class": None, "osd crush set-device-class": None}
    answer, begun = ceph.mon_command, time.monotonic()

    def late(command: str, given: bytes) -> tuple[int, bytes, str]:
        if "rm-device-class" in command:
            monkeypatch.setattr(time, "monotonic", lambda: begun + 60)
        return answer(command, given)

    monkeypatch.setattr(ceph, "mon_command", late)
    disk: Any = ceph.answers["osd dump"]["osds"][0]["osd"]
    with pytest.raises(TimedOut, match="answered too late"):
        ceph_disks.set_device_class(Round(ceph, "ceph", until=begun + 20), disk, "tier3")
    assert ceph.asked[-1] == "osd crush rm-device-class"
