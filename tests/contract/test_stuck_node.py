"""A node that hangs or is cut off costs its callers no more than their deadline."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infrastructure.drivers import deadlines, registry
from infrastructure.drivers.base import Endpoint, HostDriver, TimedOut, Unreachable, VEState, within
from tests import instances
from tests.contract.lab_nodes import ROOT
from tests.e2e.lab import Lab
from tests.waiting import eventually

pytestmark = pytest.mark.lab
NODE = "secondnode2"
LAB = Lab(ROOT, instances.LAB)


@pytest.fixture
def node(onboarded_lab: dict[str, Endpoint]) -> Iterator[HostDriver]:
    driver = registry.driver_for(onboarded_lab[NODE])
    driver.ves()
    yield driver
    driver.close()


@contextmanager
def daemon_stopped() -> Iterator[None]:
    LAB.exec(NODE, "pkill", "-STOP", "-x", "libvirtd")
    try:
        yield
    finally:
        LAB.exec(NODE, "pkill", "-CONT", "-x", "libvirtd")


@contextmanager
def cut_off() -> Iterator[None]:
    LAB.run("cut", NODE)
    try:
        yield
    finally:
        LAB.run("heal", NODE)


def test_a_stopped_daemon_is_left_at_the_deadline_and_used_again_when_it_goes_on(node: HostDriver) -> None:
    with daemon_stopped():
        for _ in range(2):  # on the open connection, then while connecting
            began = time.monotonic()
            with within(2), pytest.raises(TimedOut):
                node.ves()
            assert time.monotonic() - began < 6
    assert node.ves()


def test_callers_that_wait_on_a_stopped_daemon_do_not_wait_for_each_other(node: HostDriver) -> None:
    late: list[float] = []

    def ask() -> None:
        began = time.monotonic()
        try:
            with within(2):
                node.stats()
        except Unreachable:
            late.append(time.monotonic() - began)

    with daemon_stopped():
        callers = [threading.Thread(target=ask) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert len(late) == 8
    assert max(late) < 8


def test_no_thread_is_left_on_a_stopped_daemon(node: HostDriver) -> None:
    with daemon_stopped():
        with within(1), pytest.raises(TimedOut):
            node.ves()
        # Every worker is free again while the daemon still hangs: a new call is done by one that waited.
        before = threading.active_count()
        eventually(lambda: deadlines.workers._free)
        with within(1), pytest.raises(TimedOut):
            node.ves()
        assert threading.active_count() <= before


def test_subscribers_hear_of_a_node_that_was_cut_off_without_being_asked(node: HostDriver) -> None:
    reasons: list[str] = []
    node.subscribe(lambda _event: None, reasons.append)
    with cut_off():
        eventually(lambda: bool(reasons), seconds=60)
    assert len(reasons) == 1
    assert reasons[0] in ("error", "eof")
    eventually(lambda: _answers(node))


def test_subscribers_hear_of_a_restarted_daemon(node: HostDriver) -> None:
    reasons: list[str] = []
    node.subscribe(lambda _event: None, reasons.append)
    LAB.exec(NODE, "service", "libvirtd", "restart")
    eventually(lambda: len(reasons) == 1)
    LAB.exec(NODE, "service", "libvirtd", "start")
    eventually(lambda: _answers(node), seconds=60)
    assert VEState.RUNNING in {ve.state for ve in node.ves()}


def _answers(node: HostDriver) -> bool:
    try:
        with within(3):
            node.facts()
    except Unreachable:
        return False
    return True
