"""A container whose init libvirt does not know: not yet, or not any more, since it missed it."""

import os
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import libvirt
import pytest

from infrastructure.drivers.base import Conflict, Outcome, ShutdownMode
from infrastructure.drivers.facts import VEKind
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_power import _SIGNAL, LibvirtPower, _reboot, _shutdown
from tests.infrastructure.test_driver_errors import libvirt_error
from tests.waiting import eventually

NOT_YET = libvirt_error(libvirt.VIR_ERR_OPERATION_INVALID, "Init process ID is not yet known", libvirt.VIR_FROM_LXC)


class Container:
    """Runs, and refuses so many requests."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.controller = 159
        self.asked = 0
        self.now = libvirt.VIR_DOMAIN_RUNNING
        self.shutdownFlags = self.reboot = self._ask
        self.changes: list[str] = []

    def name(self) -> str:
        return "ct3"

    def ID(self) -> int:
        return self.controller

    def state(self) -> tuple[int, int]:
        return self.now, 0

    def destroy(self) -> None:
        self.changes.append("destroy")
        self.now = libvirt.VIR_DOMAIN_SHUTOFF

    def create(self) -> None:
        self.changes.append("create")
        self.now = libvirt.VIR_DOMAIN_RUNNING

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

    def __init__(self, container: Container, run: Callable[[Collection[str]], str] | None) -> None:
        connection = SimpleNamespace(lookupByUUIDString=lambda uuid: container)
        link = SimpleNamespace(kind=VEKind.CT, call=lambda fn, **_: fn(connection))
        links = SimpleNamespace(holding=lambda uuid: link)
        super().__init__(cast("Links", links), run)
        self._container = container

    def _change(self, uuid: str, fn: Callable[[libvirt.virDomain], Outcome], doing: str, seconds: float) -> Outcome:
        return fn(cast("libvirt.virDomain", self._container))


@pytest.mark.parametrize(("call", "signal"), [("shutdown", "TERM"), ("reboot", "HUP")])
def test_one_that_libvirt_missed_is_signalled_past_it(missed: Container, call: str, signal: str) -> None:
    ran: list[Collection[str]] = []
    assert getattr(Power(missed, lambda argv: ran.append(argv) or ""), call)("uuid") is Outcome.SIGNALLED
    assert [(*argv,)[-3:] for argv in ran] == [(signal, "159", "ct3")]
    assert not any("\n" in word for argv in ran for word in argv), "no command takes a line break"


@pytest.mark.parametrize(
    ("call", "then", "now"),
    [
        ("shutdown", ["destroy"], libvirt.VIR_DOMAIN_SHUTOFF),
        ("reboot", ["destroy", "create"], libvirt.VIR_DOMAIN_RUNNING),
    ],
)
def test_libvirt_is_told_of_an_end_that_it_missed(missed: Container, call: str, then: list[str], now: int) -> None:
    assert getattr(Power(missed, lambda argv: "ended\n"), call)("uuid") is Outcome.FOUND_ENDED
    assert (missed.changes, missed.now) == (then, now)


@pytest.mark.parametrize("now", [libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_RUNNING])
def test_what_libvirt_notices_by_itself_is_left_to_it(missed: Container, now: int) -> None:
    """It may have started the container anew: that one must not be forced off."""

    def run(argv: Collection[str]) -> str:
        missed.now, missed.controller = now, 160
        return "ended\n"

    assert Power(missed, run).reboot("uuid") is Outcome.SIGNALLED
    assert missed.changes == []


def signal_script(*words: str) -> str:
    """What the script that runs on the node prints."""
    return subprocess.run(["sh", "-c", _SIGNAL, "sh", *words], capture_output=True, text=True, check=True).stdout


def test_only_the_init_of_the_containers_own_controller_is_signalled(tmp_path: Path) -> None:
    program = tmp_path / "libvirt_lxc"
    program.write_text("#!/bin/sh\nsleep 60 &\nwait\n")
    program.chmod(0o755)
    with subprocess.Popen([program, "--name", "ct3", "--console", "43"]) as controller:
        children = Path(f"/proc/{controller.pid}/task/{controller.pid}/children")
        eventually(lambda: children.read_text())
        init = int(children.read_text())
        for other in (
            ("TERM", str(controller.pid), "ct4"),
            ("TERM", str(os.getpid()), "ct3"),
            ("TERM", "4194305", "ct3"),
        ):
            assert signal_script(*other) == "ended\n"
        assert Path(f"/proc/{init}").exists()
        assert signal_script("URG", str(controller.pid), "ct3") == "", "it runs on"
        assert signal_script("TERM", str(controller.pid), "ct3") == "ended\n"
        controller.wait(10)
    assert not Path(f"/proc/{init}").exists()


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
