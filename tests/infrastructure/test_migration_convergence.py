"""What is done about a guest that changes memory as fast as it is copied, by the figures of its iterations."""

from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.drivers.base import MigrationProgress
from infrastructure.services.migration.convergence import Convergence, Decision

PAGES = 256  # of 4 KiB in a MiB
Follow = Callable[..., list[Decision]]


@pytest.fixture
def follow() -> Follow:
    """follow(iterations, changing=…, copying=…, **policy) → the decisions, three seconds an iteration."""

    def run(looks: int, *, changing: float, copying: float = 8.0, throttle: int = 0, **policy: Any) -> list[Decision]:
        now = [0.0]
        values: dict[str, Any] = {"pause_ms": 300, "limit_ms": 1200, "auto_converge": False}
        judge = Convergence("vmtest", clock=lambda: now[0], **values | policy)
        found = []
        for iteration in range(1, looks + 1):
            now[0] += 3
            seen = MigrationProgress(
                iteration=iteration, dirty_pages_s=int(changing * PAGES), memory_rate_mib_s=copying,
                memory_remaining_bytes=20 << 20, throttle_percent=min(99, throttle * (iteration // 2)),
            )  # fmt: skip
            for _ in range(3):  # the driver looks several times an iteration
                found.append(judge.judge(seen))
        return [decision for decision in found if decision is not None]

    return run


def test_a_guest_that_converges_is_left_alone(follow: Follow) -> None:
    assert follow(10, changing=4.0) == []


def test_the_pause_is_doubled_step_by_step_up_to_its_limit_and_then_it_is_given_up(follow: Follow) -> None:
    decisions = follow(20, changing=9.0)
    assert [(decision.act, decision.pause_ms) for decision in decisions][:3] == [
        ("raise", 600),
        ("raise", 1200),
        ("give-up", 0),
    ]


def test_each_step_is_told_with_the_figures_that_led_to_it(follow: Follow) -> None:
    first = follow(20, changing=9.0)[0].text
    assert "vmtest changes 9 MiB of memory a second, and 8 MiB/s are copied" in first
    assert "may now be 600 ms instead of 300 ms" in first


def test_the_last_step_ends_at_the_limit_exactly(follow: Follow) -> None:
    raised = [decision.pause_ms for decision in follow(20, changing=9.0, limit_ms=1000) if decision.act == "raise"]
    assert raised == [600, 1000]


def test_without_a_higher_limit_the_pause_is_never_raised(follow: Follow) -> None:
    assert [decision.act for decision in follow(8, changing=9.0, limit_ms=0)][:1] == ["give-up"]


def test_giving_up_says_what_would_help(follow: Follow) -> None:
    last = next(d for d in follow(20, changing=9.0, bandwidth_mib=8) if d.act == "give-up")
    assert "Raise the bandwidth limit of 8 MiB/s" in last.advice
    assert "2,600 ms" in last.advice  # 20 MiB at 8 MiB/s
    assert "have the guest slowed down" in last.advice
    assert last.advice.endswith("or move it offline.")


def test_auto_converge_comes_first_and_is_told_once(follow: Follow) -> None:
    decisions = follow(12, changing=9.0, auto_converge=True, throttle=10)
    assert decisions[0].act == "note"
    assert "slowed down by 10%" in decisions[0].text
    assert [decision.act for decision in decisions].count("note") == 1
    assert "raise" not in [decision.act for decision in decisions]


def test_a_guest_slowed_down_that_still_keeps_up_gets_a_longer_pause(follow: Follow) -> None:
    decisions = follow(30, changing=9.0, auto_converge=True, throttle=20)
    acts = [decision.act for decision in decisions]
    assert acts[:2] == ["note", "raise"]
    assert "slowed down by" in decisions[1].text


def test_where_the_engine_does_not_throttle_the_pause_is_raised_all_the_same(follow: Follow) -> None:
    assert "raise" in [decision.act for decision in follow(12, changing=9.0, auto_converge=True, throttle=0)]


def test_a_migration_that_never_ends_is_given_up_even_if_no_iteration_shows_why(follow: Follow) -> None:
    assert follow(60, changing=6.0, limit_ms=0)[-1].act == "give-up"
