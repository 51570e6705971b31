"""A container that libvirt cannot signal yet, which no engine can be held at."""

from types import SimpleNamespace
from typing import cast

import libvirt
import pytest

from infrastructure.drivers.base import Outcome, ShutdownMode
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_power import _reboot, _shutdown
from tests.infrastructure.test_driver_errors import libvirt_error

NOT_YET = libvirt_error(libvirt.VIR_ERR_OPERATION_INVALID, "Init process ID is not yet known", libvirt.VIR_FROM_LXC)


class Container:
    """Runs, and refuses so many requests."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.asked = 0
        self.now = libvirt.VIR_DOMAIN_RUNNING
        self.shutdownFlags = self.reboot = self._ask

    def state(self) -> tuple[int, int]:
        return self.now, 0

    def _ask(self, flag: int) -> None:
        self.asked += 1
        if self.asked <= self.refusals:
            raise NOT_YET


@pytest.mark.parametrize("request_", [_shutdown, _reboot])
def test_its_init_is_waited_for(request_: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.drivers.libvirt_power.time", SimpleNamespace(monotonic=lambda: 0.0, sleep=int))
    container = Container(refusals=3)
    assert request_(cast("libvirt.virDomain", container), VEKind.CT, ShutdownMode.AUTO) is Outcome.REQUESTED
    assert container.asked == 4


def test_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(
        "infrastructure.drivers.libvirt_power.time", SimpleNamespace(monotonic=lambda: next(clock), sleep=int)
    )
    with pytest.raises(libvirt.libvirtError):
        _shutdown(cast("libvirt.virDomain", Container(refusals=99)), VEKind.CT, ShutdownMode.AUTO)


def test_one_that_stopped_meanwhile_is_not_asked_again() -> None:
    container = Container(refusals=99)

    def refuse(flag: int) -> None:
        container.now = libvirt.VIR_DOMAIN_SHUTOFF
        raise NOT_YET

    container.shutdownFlags = refuse
    with pytest.raises(libvirt.libvirtError):
        _shutdown(cast("libvirt.virDomain", container), VEKind.CT, ShutdownMode.AUTO)
