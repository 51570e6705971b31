"""Rates and percentages from counters."""

import pytest

from infrastructure.drivers.facts import NodeSample, VEKind, VESample, VEState
from infrastructure.observe.usage import memory_free, node_figures, ve_figures


def ve(state: VEState = VEState.RUNNING, **counters: int) -> VESample:
    return VESample("u", "vmtest", VEKind.VM, state, **counters)


def node(busy: int | None, idle: int | None) -> NodeSample:
    return NodeSample(0.0, busy, idle, 2, 8000, 1000, 200, 300)


def test_cpu_is_of_all_vcpus() -> None:
    figures = ve_figures(ve(cpu_ns=0), ve(cpu_ns=5_000_000_000), 10.0, 2)
    assert figures["cpu"] == 25.0


def test_rates_are_per_second() -> None:
    before, now = ve(disk_read_bytes=100, net_tx_bytes=0), ve(disk_read_bytes=1100, net_tx_bytes=50)
    figures = ve_figures(before, now, 10.0, 1)
    assert (figures["disk_read"], figures["net_out"], figures["net_in"]) == (100.0, 5.0, None)


@pytest.mark.parametrize("before", [None, ve(cpu_ns=9_000)])
def test_without_an_earlier_or_with_a_higher_counter_nothing_is_known(before: VESample | None) -> None:
    assert ve_figures(before, ve(cpu_ns=10), 10.0, 1)["cpu"] is None


def test_a_ve_that_does_not_execute_has_no_figures() -> None:
    stopped = ve(VEState.STOPPED, cpu_ns=10, memory_used=5)
    assert set(ve_figures(stopped, stopped, 10.0, 1).values()) == {None}


def test_no_percentage_leaves_its_range() -> None:
    assert ve_figures(ve(cpu_ns=0), ve(cpu_ns=10**12), 1.0, 1)["cpu"] == 100.0


def test_the_node_sums_its_ves() -> None:
    ves = [{"disk_read": 5.0, "net_in": None}, {"disk_read": 7.0, "net_in": None}]
    names = ("disk_write", "read_ops", "write_ops", "net_out")
    figures = node_figures(node(0, 0), node(1, 3), [dict.fromkeys(names) | item for item in ves])
    assert (figures["cpu"], figures["disk_read"], figures["net_in"]) == (25.0, 12.0, None)
    assert figures["memory"] == 6500
    assert memory_free(node(0, 0)) == 1500


def test_a_node_without_cpu_counters_has_no_percentage() -> None:
    assert node_figures(node(None, None), node(None, None), [])["cpu"] is None
    assert node_figures(node(5, 5), node(5, 5), [])["cpu"] is None
