"""The latest output of a text console, from any place in it."""

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.consumers import line
from infrastructure.consumers.line import Ring


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=60), st.integers(1, 64), st.data())
def test_it_gives_what_was_added_after_a_place(chunks: list[bytes], most: int, data: st.DataObject) -> None:
    kept, line.RING = line.RING, 256
    try:
        ring = Ring()
        for chunk in chunks:
            ring.add(chunk)
    finally:
        line.RING = kept
    everything = b"".join(chunks)
    assert ring.end == len(everything)
    assert min(256, ring.end) <= ring.end - ring.start < 256 + 40
    place = data.draw(st.integers(ring.start, ring.end))

    assert ring.read(place, most) == everything[place : place + most]
