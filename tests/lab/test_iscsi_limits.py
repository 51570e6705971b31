"""A target's limits hold for its initiators, within a tenth, and change while they work."""

import time

import pytest

from iscsi.choices import Sharing
from iscsi.models import Target
from iscsi.services import targets
from iscsi.services.portals import Wish
from iscsi.services.target_input import Limits
from tests.lab.iscsi_panel import IscsiPanel, url
from tests.lab.onboarded import completed

pytestmark = pytest.mark.lab

INITIATOR = "secondnode2"
MB = 1_000_000
SECONDS = 8  # that are measured; the first second's worth is free, so that much is done before


def rate(panel: IscsiPanel, target: Target, *, limit: int, block: int) -> float:
    """Writes per second of an initiator with 16 under way, between the end of the first burst and the end."""

    def seconds(count: int) -> float:
        words = ("-f", "raw", "-t", "none", "-w", "-d", "16", "-s", str(block), "-c", str(count), url(target))
        began = time.monotonic()
        panel.lab.exec(INITIATOR, "qemu-img", "bench", *words)
        return time.monotonic() - began

    few, many = 2 * limit, (2 + SECONDS) * limit
    return (many - few) / (seconds(many) - seconds(few))


def give(panel: IscsiPanel, target: Target, limits: Limits) -> None:
    """Edit nothing but the limits."""
    wishes = [Wish(each.address) for each in target.portals.all()]
    task = targets.edit(user=panel.nodes.admin, target=target, wishes=wishes, chap_user=None, limits=limits)
    completed(panel.nodes.run(task))


def test_limits_hold_and_change_online(iscsi_panel: IscsiPanel) -> None:
    target = iscsi_panel.target("limits", limits=Limits(iops=100))
    iscsi_panel.lun(target)
    assert rate(iscsi_panel, target, limit=100, block=4096) == pytest.approx(100, rel=0.1)

    give(iscsi_panel, target, Limits(mbps=2))
    writes = 2 * MB // 65536
    assert rate(iscsi_panel, target, limit=writes, block=65536) * 65536 == pytest.approx(2 * MB, rel=0.1)

    iscsi_panel.lun(target, 2)
    give(iscsi_panel, target, Limits(iops=120, sharing=Sharing.DIVIDED))
    assert rate(iscsi_panel, target, limit=60, block=4096) == pytest.approx(60, rel=0.1)
