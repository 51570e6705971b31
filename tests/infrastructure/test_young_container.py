"""A container whose init libvirt does not know: not yet, or not any more, since it missed it."""

from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import cast

import libvirt
import pytest

from infrastructure.drivers.base import Conflict, Outcome, ShutdownMode
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_power import LibvirtPower, _reboot, _shutdown
from tests.infrastructure.test_driver_errors import libvirt_error

NOT_YET = libvirt_error(libvirt.VIR_ERR_OPERATION_INVALID, "Init process ID is not yet known", libvirt.VIR_FROM_LXC)


class Container:
    """Runs, and refuses so many requests."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.asked = 0
        self.now = libvirt.VIR_DOMAIN_RUNNING
        self.shutdownFlags = self.reboot = self._ask

    def name(self) -> str:
        return "ct3"

    def ID(self) -> int:
        return 159

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


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> Container:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(
        "infrastructure.drivers.libvirt_power.time", SimpleNamespace(monotonic=lambda: next(clock), sleep=int)
    )
    return Container(refusals=99)


class Power(LibvirtPower):
    """Of one container."""

    def __init__(self, container: Container, run: Callable[[Collection[str]], object] | None) -> None:
        links = SimpleNamespace(holding=lambda uuid: SimpleNamespace(kind=VEKind.CT))
        super().__init__(cast("Links", links), run)
        self._container = container

    def _change(self, uuid: str, fn: Callable[[libvirt.virDomain], Outcome], doing: str, seconds: float) -> Outcome:
        return fn(cast("libvirt.virDomain", self._container))


@pytest.mark.parametrize(("call", "signal"), [("shutdown", "TERM"), ("reboot", "HUP")])
def test_one_that_libvirt_missed_is_signalled_past_it(missed: Container, call: str, signal: str) -> None:
    ran: list[Collection[str]] = []
    assert getattr(Power(missed, ran.append), call)("uuid") is Outcome.SIGNALLED
    assert [(*argv,)[-2:] for argv in ran] == [(signal, "159")]


def test_without_ssh_the_next_step_is_told(missed: Container) -> None:
    with pytest.raises(Conflict) as refused:
        Power(missed, None).shutdown("uuid")
    assert "does not know the init of ct3" in refused.value.message and "force it off" in refused.value.advice


def test_one_that_stopped_meanwhile_is_not_asked_again() -> None:
    container = Container(refusals=99)

    def refuse(flag: int) -> None:
        container.now = libvirt.VIR_DOMAIN_SHUTOFF
        raise NOT_YET

    container.shutdownFlags = refuse
    with pytest.raises(libvirt.libvirtError):
        _shutdown(cast("libvirt.virDomain", container), VEKind.CT, ShutdownMode.AUTO)
