"""Charts: what is not known is a gap, and nothing leaves the box."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panel.ui.charts import chart, nice_maximum, sparkline


def test_a_gap_interrupts_the_line_and_the_area() -> None:
    line = sparkline([[1.0, 2.0, None, 4.0, 5.0]], "use").lines[0]

    assert line.path.count("M") == 2
    assert line.area.count("z") == 2


def test_a_lone_sample_is_still_drawn() -> None:
    assert sparkline([[None, 3.0, None]], "use").lines[0].path.count("L") == 1


@pytest.mark.parametrize("values", [[], [None, None]])
def test_without_samples_it_says_so(values: list[float | None]) -> None:
    assert sparkline([values], "use").empty
    assert chart([values], "use", seconds=3600).empty


@pytest.mark.parametrize(("highest", "maximum"), [(0, 1), (0.7, 1), (3, 4), (55, 60), (61, 100), (1001, 2000)])
def test_the_axis_ends_at_a_round_figure(highest: float, maximum: float) -> None:
    assert nice_maximum(highest) == maximum


def test_the_axis_is_labelled_without_a_time_zone() -> None:
    drawn = chart([[1.0, 2.0]], "use", seconds=7 * 86400, unit="GiB", maximum=8)

    assert [tick.label for tick in drawn.ticks] == ["-7 d", "-3.5 d", "now"]
    assert [line.label for line in drawn.grid] == ["0", "4", "8 GiB"]


@given(
    st.lists(st.one_of(st.none(), st.floats(min_value=-1e12, max_value=1e12)), max_size=40),
    st.sampled_from([None, 1.0, 100.0]),
)
def test_every_point_lies_inside_the_box(values: list[float | None], maximum: float | None) -> None:
    drawn = chart([values], "use", seconds=3600, maximum=maximum)

    for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", drawn.lines[0].path):
        assert drawn.left - 0.1 <= float(x) <= drawn.right + 0.1
        assert 7.9 <= float(y) <= 74.1
