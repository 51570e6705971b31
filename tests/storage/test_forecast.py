"""When the cluster is full, from the space used so far."""

import pytest

from storage.forecast import DAY, chart, trend

TIB = 1 << 40


def growing(days: int, per_day: float, start: float = 0.0) -> list[tuple[float, float]]:
    return [(1e9 + hour * 3600, start + per_day * hour / 24) for hour in range(24 * days + 1)]


def test_it_is_full_when_the_line_reaches_the_limit() -> None:
    found = trend(growing(10, TIB), 40 * TIB)

    assert found is not None
    assert found.per_day == pytest.approx(TIB)
    assert found.days == pytest.approx(30)
    assert found.words == "Cluster full in 30 days"
    assert found.soon


def test_less_than_a_day_of_history_tells_nothing() -> None:
    assert trend(growing(1, TIB)[:20], 40 * TIB) is None
    assert trend([], 40 * TIB) is None


@pytest.mark.parametrize(("per_day", "words"), [(-TIB, "Use does not grow"), (1.0, "Not full within 5 years")])
def test_what_is_not_in_sight_is_not_given_a_date(per_day: float, words: str) -> None:
    found = trend(growing(10, per_day, start=20 * TIB), 40 * TIB)

    assert found is not None
    assert (found.days, found.words) == (None, words)


def test_a_full_cluster_is_said_to_be_full() -> None:
    found = trend(growing(10, TIB), 9 * TIB)

    assert found is not None
    assert found.words == "The cluster is full"


def test_the_chart_ends_where_the_line_meets_the_limit() -> None:
    samples = growing(10, TIB)
    found = trend(samples, 20 * TIB)
    assert found is not None

    drawn = chart(samples, found, 25 * TIB, 80)

    end = drawn.ahead.rpartition("L")[2].split(" ")
    assert float(end[0]) == pytest.approx(516.0)
    assert float(end[1]) == pytest.approx(drawn.limit_y, abs=0.2)
    assert samples[-1][0] - samples[0][0] == 10 * DAY
    assert drawn.now_x == pytest.approx((52 + 516) / 2, abs=0.1)
