"""When a gate counts as kept, and what the line says that a run prints for it."""

import json
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.gates import Gate, NotRun, Result, Rule, figure, passed, percentile

TEN = [float(n) for n in range(1, 11)]
HUNDRED = [float(n) for n in range(1, 101)]


def gate(rule: Rule, limit: float, fewest: int = 10) -> Gate:
    return Gate("log line → DOM", rule, limit, "ms", fewest)


def test_percentiles_are_samples_and_the_median_is_the_middle() -> None:
    assert percentile(HUNDRED, 95) == 95
    assert percentile(HUNDRED, 99) == 99
    assert percentile(TEN, 95) == 10
    assert percentile(TEN, 50) == 5.5
    assert percentile([7.0], 99) == 7
    assert percentile([3.0, 1.0, 2.0], 50) == 2


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("rule", "a", "b", "found"),
    [
        (Rule.RATIO_AT_MOST, [3.0] * 10, [2.0] * 10, 1.5),
        (Rule.RATIO_AT_LEAST, [1.0] * 10, [2.0] * 10, 0.5),
        (Rule.MORE_AT_MOST, [3.0] * 10, [2.5] * 10, 0.5),
        (Rule.P99_MORE_AT_MOST, HUNDRED, [9.0] * 10, 90.0),
        (Rule.P50_AT_MOST, TEN, [], 5.5),
        (Rule.P50_AT_LEAST, TEN, [], 5.5),
        (Rule.P95_AT_MOST, HUNDRED, [], 95.0),
        (Rule.EACH_AT_MOST, [*TEN, 99.0], [], 99.0),
    ],
)
def test_each_rule_has_its_figure_and_its_limit_is_still_kept(
    rule: Rule, a: list[float], b: list[float], found: float
) -> None:
    assert figure(Result(gate(rule, 0), a, b)) == found
    assert passed(Result(gate(rule, found), a, b))
    too_strict = found + 0.01 if rule.at_least else found - 0.01
    assert not passed(Result(gate(rule, too_strict), a, b))


def test_every_rule_is_judged() -> None:
    for rule in Rule:
        assert figure(Result(gate(rule, 1), TEN, TEN)) >= 0


def test_too_few_samples_are_short_whatever_they_say() -> None:
    result = Result(gate(Rule.P50_AT_MOST, 100), [1.0] * 9)

    assert not passed(result)
    assert "n(a) is 9, 10 are needed" in report.line(result)
    assert passed(Result(gate(Rule.P50_AT_MOST, 100, fewest=3), [1.0] * 3))


def test_a_comparison_without_the_other_side_is_short() -> None:
    result = Result(gate(Rule.RATIO_AT_MOST, 100), TEN)

    assert not passed(result)
    assert report.line(result).endswith("short")
    with pytest.raises(ValueError, match=r"n\(b\) is 0"):
        figure(result)


def test_a_ratio_to_nothing_is_short() -> None:
    result = Result(gate(Rule.RATIO_AT_MOST, 100), TEN, [0.0] * 10)

    assert not passed(result)
    assert "the median of b is 0" in report.line(result)


def test_what_was_not_run_says_so_with_its_reason_and_is_short() -> None:
    outcome = NotRun(gate(Rule.P50_AT_MOST, 100), "the panel under test did not start")

    assert not passed(outcome)
    line = report.line(outcome)
    assert "NOT RUN: the panel under test did not start" in line
    assert line.endswith("short")


def test_a_line_names_everything_and_ends_in_the_verdict() -> None:
    result = Result(gate(Rule.P95_AT_MOST, 120), [10.0] * 20, [2.0] * 12, cpu_a=1.25, note="two were left out")

    line = report.line(result, "var/samples/now/log-line.json")

    assert line.split() == [
        *("log", "line", "→", "DOM", "5.00", "20/12", "10,", "10", "2,", "2", "ms", "cpu", "1.2/–", "s"),
        *("p95(a)", "≤", "120", "ms", "(two", "were", "left", "out)", "var/samples/now/log-line.json", "ok"),
    ]
    assert "\n" not in line


def test_a_ratio_is_promised_without_a_unit() -> None:
    assert gate(Rule.RATIO_AT_LEAST, 0.8).promise == "p50(a) / p50(b) ≥ 0.8"
    assert gate(Rule.MORE_AT_MOST, 0.4).promise == "p50(a) − p50(b) ≤ 0.4 ms"


def test_the_raw_samples_are_kept_with_the_machine(tmp_path: Path) -> None:
    path = report.keep(tmp_path, Result(gate(Rule.P50_AT_MOST, 100), TEN, [1.0], cpu_b=0.5), {"cores": 2})

    found = json.loads(path.read_text())
    assert path.name == "log-line-dom.json"
    assert (found["a"], found["b"], found["cpu_a"], found["cpu_b"]) == (TEN, [1.0], None, 0.5)
    assert (found["gate"]["rule"], found["gate"]["limit"]) == ("p50(a) ≤", 100)
    assert (found["cores"], found["figure"], found["passed"]) == (2, 5.5, True)
