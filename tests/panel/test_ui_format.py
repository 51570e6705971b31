"""Quantities, durations and times in the words of the UI guide."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panel.ui import format as fmt

NOW = datetime(2025, 12, 1, 22, 32, 27, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "No data"),
        (0, "0 bytes"),
        (512 * 1024**2, "512 MiB"),
        (1536 * 1024**2, "1.5 GiB"),
        (128 * 1024**3, "128 GiB"),
        (9.8 * 1024**4, "9.8 TiB"),
    ],
)
def test_space_is_in_binary_units(value: float | None, words: str) -> None:
    assert fmt.space(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(None, "No data"), (0, "0 KiB/s"), (2048, "2 KiB/s"), (3.5 * 1024**2, "3.5 MiB/s")]
)
def test_rates_are_per_second(value: float | None, words: str) -> None:
    assert fmt.rate(value) == words


@pytest.mark.parametrize(("value", "words"), [(None, "No data"), (0, "0%"), (0.2, "<1%"), (37.6, "38%")])
def test_a_little_is_not_nothing(value: float | None, words: str) -> None:
    assert fmt.percent(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4, "4 s"),
        (63, "1 min 3 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
        (6 * 86400 + 3 * 3600, "6 d 3 h"),
        (41 * 86400 + 7200, "41 d"),
    ],
)
def test_durations_name_two_units_at_most(seconds: int, words: str) -> None:
    assert fmt.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(12, "12 s"), (240, "4 min"), (11000, "3 h"), (1500 * 86400, "1,500 d")]
)
def test_ages_name_one_unit(seconds: int, words: str) -> None:
    assert fmt.coarse(seconds) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW - timedelta(hours=1), "21:32:27"),
        (NOW - timedelta(days=1), "Nov 30, 22:32"),
        (NOW - timedelta(days=400), "2024-10-27 22:32"),
    ],
)
def test_a_moment_is_as_long_as_it_needs_to_be(moment: datetime, words: str) -> None:
    assert fmt.clock(moment, NOW) == words


@given(st.floats(min_value=-10, max_value=1e18, allow_nan=False))
def test_no_number_breaks_a_formatter(value: float) -> None:
    formatters: list[Any] = [fmt.space, fmt.gib, fmt.rate, fmt.percent, fmt.duration, fmt.coarse]
    assert all(isinstance(formatter(value), str) for formatter in formatters)
