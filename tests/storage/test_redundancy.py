"""The modes: the table of the documents, Ceph's two figures, and how much fits."""

from hypothesis import given
from hypothesis import strategies as st

from storage.redundancy import MODES, Policy, counted, largest_stripe

GIB = 1 << 30
modes = st.sampled_from(list(MODES.values()))
spaces = st.lists(st.integers(0, 1 << 50), min_size=1, max_size=40)

# key: (domains needed, may fail without loss, overhead in percent, raw for 100, keeps serving after)
TABLE = {
    "r1": (1, 0, 0, 100, 0),
    "r2": (2, 1, 100, 200, 1),
    "r3": (3, 2, 200, 300, 1),
    "ec1-0": (1, 0, 0, 100, 0),
    "ec1-2": (3, 2, 200, 300, 1),
    "ec3-2": (5, 2, 67, 167, 1),
    "ec5-2": (7, 2, 40, 140, 1),
    "ec7-2": (9, 2, 29, 129, 1),
    "ec17-3": (20, 3, 18, 118, 2),
}


def test_the_modes_are_those_of_the_documents() -> None:
    told = {
        key: (mode.needs, mode.loses_nothing_after, mode.overhead, mode.raw(100), mode.keeps_serving_after)
        for key, mode in MODES.items()
    }
    assert {key: (*row[:3], row[4]) for key, row in told.items()} == {
        key: (*row[:3], row[4]) for key, row in TABLE.items()
    }
    # A part of a byte takes a whole one, so the raw space is at most one above the rounded figure.
    assert all(0 <= row[3] - TABLE[key][3] <= 1 for key, row in told.items())


def test_a_code_with_one_data_chunk_is_kept_as_copies() -> None:
    assert {key for key, mode in MODES.items() if mode.coded and mode.copies} == {"ec1-0", "ec1-2"}
    assert (MODES["ec1-2"].needs, MODES["ec1-2"].min_size) == (3, 2)
    assert (MODES["ec5-2"].data, MODES["ec5-2"].coding, MODES["ec5-2"].min_size) == (5, 2, 6)


def test_a_policy_says_itself_in_words() -> None:
    assert str(Policy(2, MODES["r2"], "host")) == "Tier 2, 2 replicas over hosts"
    assert str(Policy(2, MODES["ec5-2"], "osd")) == "Tier 2, encoding 5+2 over disks"
    assert [counted(number, "host") for number in (0, 1, 5)] == ["0 hosts", "1 host", "5 hosts"]


@given(modes)
def test_it_never_promises_to_serve_beyond_what_loses_nothing(mode: object) -> None:
    assert mode.keeps_serving_after <= mode.loses_nothing_after < mode.needs  # type: ignore[attr-defined]


@given(spaces, st.integers(1, 20))
def test_what_fits_is_the_largest_that_fits(free: list[int], width: int) -> None:
    most = largest_stripe(free, width)

    def fits(each: int) -> bool:
        return len(free) >= width and width * each <= sum(min(space, each) for space in free)

    assert most == 0 or fits(most)
    assert not fits(most + 1)


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=20))
def test_with_no_spare_domain_the_smallest_one_limits(free: list[int]) -> None:
    assert largest_stripe(free, len(free)) == min(free)


@given(spaces, st.integers(1, 20), st.integers(0, 1 << 50))
def test_another_domain_never_takes_space_away(free: list[int], width: int, more: int) -> None:
    assert largest_stripe([*free, more], width) >= largest_stripe(free, width)


@given(spaces, st.integers(1, 19))
def test_wider_pieces_never_leave_more_for_a_chunk(free: list[int], width: int) -> None:
    assert largest_stripe(free, width + 1) <= largest_stripe(free, width)


@given(modes, st.integers(1, 1 << 50))
def test_raw_space_is_never_below_what_the_chunks_take(mode: object, size: int) -> None:
    assert mode.raw(size) * mode.data >= size * mode.needs  # type: ignore[attr-defined]
    assert (mode.raw(size) - 1) * mode.data < size * mode.needs  # type: ignore[attr-defined]


def test_a_large_host_does_not_help_two_small_ones() -> None:
    assert largest_stripe([10 * GIB, GIB, GIB], 2) == 2 * GIB
    assert largest_stripe([10 * GIB, GIB, GIB], 3) == GIB
    assert largest_stripe([10 * GIB, GIB], 3) == 0
