"""The handle of a cluster: shared, given up when a call overruns it, closed by the last call that leaves it."""

import base64
import struct
import threading
from collections.abc import Iterator

import pytest
import rados

from infrastructure.drivers.base import within
from infrastructure.drivers.errors import IdentityChanged, Refused, TimedOut, Unreachable
from storage.drivers import ceph_quorum
from storage.drivers.base import Access
from storage.drivers.ceph_connection import Connection
from storage.drivers.ceph_errors import failure
from tests.waiting import eventually

KEY = base64.b64encode(struct.pack("<HIIH", 1, 1, 0, 16) + bytes(16)).decode()
ACCESS = Access("ceph", "the-fsid", ("192.0.2.1:3300",), "mooring", KEY)


class Handle:
    """Stands in for rados.Rados."""

    made: list["Handle"] = []
    refusal: Exception | None = None
    fsid = "the-fsid"

    def __init__(self, **told: object) -> None:
        self.told = told
        self.closed = threading.Event()
        Handle.made.append(self)

    def connect(self) -> None:
        if Handle.refusal is not None:
            raise Handle.refusal

    def get_fsid(self) -> str:
        return Handle.fsid

    def shutdown(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def handles(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Handle]]:
    monkeypatch.setattr(rados, "Rados", Handle)
    monkeypatch.setattr(Handle, "made", [])
    monkeypatch.setattr(Handle, "refusal", None)
    monkeypatch.setattr(Handle, "fsid", "the-fsid")
    monkeypatch.setattr(ceph_quorum, "answering", len)
    yield Handle.made


def test_calls_share_one_handle_that_reads_no_file(handles: list[Handle]) -> None:
    connection = Connection(ACCESS)
    assert handles == []
    first = connection.run(lambda handle: handle, seconds=5, doing="x")
    assert connection.run(lambda handle: handle, seconds=5, doing="x") is first
    assert handles[0].told["conffile"] is None
    assert handles[0].told["rados_id"] == "mooring"


def test_a_call_that_overruns_leaves_its_handle_behind_and_the_next_makes_another(handles: list[Handle]) -> None:
    connection, gate = Connection(ACCESS), threading.Event()
    with pytest.raises(TimedOut, match=r"did not tell its state within 0\.05 s"):
        connection.run(lambda _handle: gate.wait(20), seconds=0.05, doing="tell its state")
    assert connection.run(lambda handle: handle, seconds=5, doing="x") is handles[1]
    assert not handles[0].closed.is_set()  # the stuck call is still in it
    gate.set()
    eventually(handles[0].closed.is_set)
    assert not handles[1].closed.is_set()


def test_too_few_monitors_are_told_whatever_it_was_that_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceph_quorum, "answering", lambda monitors: 0)
    gate = threading.Event()
    with pytest.raises(TimedOut, match="ceph has no quorum: 0 of 1 monitors answer, and 1 is needed") as caught:
        Connection(ACCESS).run(lambda _handle: gate.wait(20), seconds=0.05, doing="x")
    gate.set()
    assert caught.value.retryable
    assert "Start its monitors again" in str(caught.value)
    monkeypatch.setattr(Handle, "refusal", rados.TimedOut("timed out", errno=110))
    with pytest.raises(Unreachable, match="no quorum"):
        Connection(ACCESS).run(lambda handle: handle, seconds=5, doing="x")


def test_a_call_gets_no_more_time_than_its_caller_has() -> None:
    gate = threading.Event()
    with within(0.05), pytest.raises(TimedOut, match=r"within 0\.05 s"):
        Connection(ACCESS).run(lambda _handle: gate.wait(20), seconds=20, doing="x")
    gate.set()


def test_a_handle_that_lost_the_cluster_is_not_used_again(handles: list[Handle]) -> None:
    connection = Connection(ACCESS)

    def lose(_handle: object) -> None:
        raise failure(110, "", "ceph", "status")

    with pytest.raises(Unreachable):
        connection.run(lose, seconds=5, doing="x")
    eventually(handles[0].closed.is_set)
    assert connection.run(lambda handle: handle, seconds=5, doing="x") is handles[1]


def test_a_refused_command_keeps_the_handle(handles: list[Handle]) -> None:
    connection = Connection(ACCESS)

    def refuse(_handle: object) -> None:
        raise failure(13, "", "ceph", "auth get")

    with pytest.raises(Refused):
        connection.run(refuse, seconds=5, doing="x")
    connection.run(lambda handle: handle, seconds=5, doing="x")
    assert len(handles) == 1


def test_a_refused_key_is_told_at_every_call_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handle, "refusal", rados.PermissionDeniedError("denied", errno=13))
    connection = Connection(ACCESS)
    for _ in range(2):
        with pytest.raises(Refused, match="key of client"):
            connection.run(lambda handle: handle, seconds=5, doing="x")
    monkeypatch.setattr(Handle, "refusal", None)
    assert connection.run(lambda _handle: "in", seconds=5, doing="x") == "in"


def test_another_cluster_behind_the_same_addresses_is_refused(
    handles: list[Handle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handle, "fsid", "made-anew")
    with pytest.raises(IdentityChanged, match="made-anew"):
        Connection(ACCESS).run(lambda handle: handle, seconds=5, doing="x")
    assert handles[0].closed.is_set()


def test_closing_lets_go_without_waiting_for_a_call_under_way(handles: list[Handle]) -> None:
    connection, gate, began = Connection(ACCESS), threading.Event(), threading.Event()

    def stay(_handle: object) -> str:
        began.set()
        gate.wait(20)
        return "done"

    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(connection.run(stay, seconds=20, doing="x")))
    caller.start()
    began.wait(20)
    connection.close()
    assert not handles[0].closed.is_set()
    gate.set()
    caller.join()
    assert answers == ["done"]
    eventually(handles[0].closed.is_set)
