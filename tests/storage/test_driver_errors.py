"""Ceph's refusals say the cause and what to do."""

import errno

import pytest
import rados
import rbd

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, NotSupported, Refused, TimedOut, Unreachable
from storage.drivers.ceph_errors import connecting, failure, translating


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, NotFound),
        (errno.EBUSY, Conflict),
        (errno.EEXIST, Conflict),
        (errno.EACCES, Refused),
        (errno.EINVAL, Refused),
        (errno.EOPNOTSUPP, NotSupported),
        (errno.ETIMEDOUT, TimedOut),
        (errno.ENOTCONN, Unreachable),
        (4242, DriverError),
    ],
)
def test_a_number_becomes_an_error_of_the_family(number: int, kind: type[DriverError]) -> None:
    error = failure(number, "", "ceph", "osd in")
    assert type(error) is kind
    assert error.component == "ceph"
    assert error.code == errno.errorcode.get(number, "ceph-4242")
    assert str(error).startswith("ceph: osd in: ")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "pool deletion is disabled; you must first set the mon_allow_pool_delete config option",
            "mon_allow_pool_delete true",
        ),
        ("configuring pool size as 1 is disabled by default.", "mon_allow_pool_size_one true"),
        ("pg_num 8 size 3 would mean 999 total pgs, which exceeds max (mon_max_pg_per_osd 250)", "Remove pools"),
        ("device class tier3 does not exist", "Add a disk"),
        ("access denied", "capabilities again"),
    ],
)
def test_what_ceph_forbids_comes_with_the_way_to_allow_it(said: str, advice: str) -> None:
    error = failure(errno.EPERM, f"Error: {said}", "ceph", "osd pool delete")
    assert advice in error.advice
    assert said in error.message


def test_busy_may_be_tried_again_and_a_refusal_may_not() -> None:
    assert failure(errno.EAGAIN, "", "ceph", "x").retryable
    assert not failure(errno.EPERM, "", "ceph", "x").retryable


def test_errors_of_both_libraries_are_translated() -> None:
    with pytest.raises(NotFound), translating("ceph", "list images"):
        raise rbd.ImageNotFound("no image", errno=errno.ENOENT)
    with pytest.raises(Refused), translating("ceph", "open"):
        raise rados.PermissionError("no", errno=errno.EPERM)
    with pytest.raises(DriverError), translating("ceph", "open"):
        raise rados.RadosStateError("handle is not connected")


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EACCES, Refused, "key of client.mooring"),
        (errno.EPERM, Refused, "key of client.mooring"),
        (errno.EINVAL, Refused, "addresses"),
        (errno.ETIMEDOUT, Unreachable, "No monitor of ceph answers"),
        (errno.ENOENT, Unreachable, "No monitor of ceph answers"),
    ],
)
def test_a_connection_that_is_not_made_says_why(number: int, kind: type[DriverError], words: str) -> None:
    error = connecting(rados.OSError("error connecting", errno=number), "ceph", "mooring")
    assert type(error) is kind
    assert words in error.message
    assert error.advice
