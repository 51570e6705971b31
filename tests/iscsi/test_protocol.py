"""tgt's requests and answers as bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from iscsi.drivers import protocol
from iscsi.drivers.facts import Account
from iscsi.drivers.protocol import ALL, Do, Mode, Request

TEXT = st.text(st.characters(exclude_characters="\0\n", codec="utf-8"), max_size=300)
REQUESTS = st.builds(
    Request,
    st.sampled_from(Mode),
    st.sampled_from(Do),
    st.integers(-1, 2**31 - 1),
    TEXT,
    session=st.integers(0, 2**64 - 1),
    lun=st.integers(0, 255),
    connection=st.integers(0, 2**32 - 1),
    outgoing=st.booleans(),
    force=st.booleans(),
)


@given(REQUESTS)
def test_a_request_is_read_as_it_was_written(request: Request) -> None:
    assert protocol.decode(protocol.encode(request)) == request


@given(REQUESTS, st.integers(1, 40))
def test_a_request_that_was_cut_is_no_request(request: Request, cut: int) -> None:
    with pytest.raises(ValueError):
        protocol.decode(protocol.encode(request)[:-cut])


def test_the_header_lies_as_the_compiler_of_tgt_lays_it() -> None:
    """struct tgtadm_req on a 64-bit machine: 120 bytes, the session at 80."""
    data = protocol.encode(Request(Mode.DEVICE, Do.NEW, 7, "bstype=rbd", session=5, lun=3, outgoing=True))
    assert len(data) == 120 + len("bstype=rbd\0")
    assert data[:8] == struct.pack("<ii", 2, 0)
    assert data[8:72] == b"iscsi".ljust(64, b"\0")
    assert struct.unpack_from("<Ii", data, 72) == (len(data), 7)
    assert struct.unpack_from("<QQ", data, 80) == (5, 3)
    assert struct.unpack_from("<I", data, 108) == (1,)
    assert data[120:] == b"bstype=rbd\0"


def test_what_would_be_cut_or_split_is_refused() -> None:
    for text in ("a\0b", "a\nb", "x" * (8 << 10)):
        with pytest.raises(Refused):
            protocol.encode(Request(Mode.TARGET, Do.NEW, 1, text))


def test_a_secret_is_in_no_repr() -> None:
    account = Account("ana", "correct horse!")
    assert "correct horse" not in repr(protocol.new_account(account)) + repr(account)
    assert b"user=ana,password=correct horse!\0" in protocol.encode(protocol.new_account(account))


def test_accounts_for_discovery_go_to_no_target() -> None:
    """GLOBAL_TID is all bits set."""
    data = protocol.encode(protocol.bind_account(ALL, "ana"))
    assert struct.unpack_from("<I", data, 76) == (0xFFFFFFFF,)


def test_an_answer_tells_its_error_and_how_much_follows() -> None:
    data = protocol.answer("Target 1: x\n")
    assert protocol.head_of(data[: protocol.ANSWER_HEAD]) == (0, len("Target 1: x\n\0"))
    assert protocol.head_of(protocol.answer(error=4)) == (4, 0)


@pytest.mark.parametrize("length", [0, 7, 9 << 20])
def test_an_answer_of_an_impossible_length_is_not_waited_for(length: int) -> None:
    with pytest.raises(DriverError):
        protocol.head_of(struct.pack("<II", 0, length))


def test_error_numbers_become_errors_that_can_be_told() -> None:
    assert isinstance(protocol.failure(4, "server 1", "x"), NotFound)
    assert isinstance(protocol.failure(20, "server 1", "x"), Conflict)
    assert str(protocol.failure(77, "server 1", "make it")) == "server 1 did not make it: error 77"
    assert protocol.failure(20, "server 1", "x").code == "tgt-20"


def test_portals_of_ipv6_are_in_brackets() -> None:
    assert protocol.portal_words("10.0.0.5") == "portal=10.0.0.5:3260"
    assert protocol.portal_words("fd00::5") == "portal=[fd00::5]:3260"
