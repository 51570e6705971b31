"""What the bench of LUNs reads from `qemu-img bench`, and what it demands."""

from itertools import pairwise

import pytest

from tests.bench import iscsi
from tests.bench.gates import Result, passed

SAID = """Sending 3000 write requests, 4096 bytes each, 16 in parallel (starting at offset 0, step size 4198400)
Run completed in 2.500 seconds.
"""


def test_requests_per_second_are_those_of_the_whole_run() -> None:
    assert iscsi.rate(SAID, 3000) == 1200


def test_a_run_that_did_not_end_is_no_figure() -> None:
    with pytest.raises(ValueError, match="Sending 3000"):
        iscsi.rate(SAID.partition("Run")[0], 3000)


def test_neighbouring_requests_lie_in_different_objects_and_at_no_offset_twice_in_a_run() -> None:
    offsets = [number * iscsi.STRIDE % (1 << 30) for number in range(max(iscsi.REQUESTS.values()))]

    assert all(one >> 22 != other >> 22 for one, other in pairwise(offsets))
    assert len(set(offsets)) == len(offsets)


def test_the_gates_are_kept_at_their_limits_and_not_beyond() -> None:
    for gate, kept, short in (
        (iscsi.CREATE, 1500.0, 1501.0),
        (iscsi.WRITES, 900.0, 899.0),
        (iscsi.READS, 900.0, 899.0),
        (iscsi.WRITES_RBD, 500.0, 499.0),
        (iscsi.READS_RBD, 500.0, 499.0),
    ):
        assert passed(Result(gate, [kept] * 12, [1000.0] * 12))
        assert not passed(Result(gate, [short] * 12, [1000.0] * 12))
