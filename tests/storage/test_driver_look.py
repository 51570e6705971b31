"""One look: which part is asked when, and what stays known while the manager is away."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.drivers.errors import Refused, TimedOut
from storage.drivers import ceph_look
from storage.drivers.base import Access
from storage.drivers.ceph_look import Looker
from tests.storage import ceph_answers as told

ANSWERS: dict[str, Any] = {
    "status": told.STATUS,
    "health": told.HEALTH,
    "osd dump": told.OSD_DUMP,
    "osd crush dump": told.CRUSH,
    "config dump": [],
    "log last": told.LOG,
    "df": told.DF,
    "quorum_status": told.QUORUM,
    "mgr dump": told.MGR_DUMP,
    "fs dump": told.FS_DUMP,
    "mon metadata": told.MON_METADATA,
    "mgr metadata": [],
    "mds metadata": [],
    "osd metadata": told.OSD_METADATA,
    "osd df": told.OSD_DF,
    "osd perf": told.OSD_PERF,
    "pg dump": {"pg_stats": [{"pgid": "1.0", "acting": [0], "state": "active+undersized+degraded"}]},
}


class Ceph:
    """A connection and its handle, which answers from a table and notes what it was asked."""

    def __init__(self) -> None:
        self.access = Access("ceph", "", (), "mooring", "")
        self.answers = dict(ANSWERS)
        self.asked: list[str] = []
        self.manager: Callable[[], None] = lambda: None

    def run(self, fn: Callable[[Any], Any], *, seconds: float, doing: str) -> Any:
        return fn(self)

    def mon_command(self, command: str, _input: bytes) -> tuple[int, bytes, str]:
        prefix = json.loads(command)["prefix"]
        self.asked.append(prefix)
        return 0, json.dumps(self.answers[prefix]).encode(), ""

    def mgr_command(self, command: str, given: bytes) -> tuple[int, bytes, str]:
        self.manager()
        return self.mon_command(command, given)

    def stop_manager(self) -> None:
        def hang() -> None:
            self.asked.append("hung")
            raise TimedOut("no answer", component="ceph")

        self.manager = hang

    def change_status(self, **parts: Any) -> None:
        self.answers["status"] = {**told.STATUS, **parts}


@pytest.fixture
def ceph() -> Ceph:
    return Ceph()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(ceph_look.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def looker(ceph: Ceph) -> Looker:
    return Looker(ceph)  # type: ignore[arg-type]


def test_a_healthy_cluster_is_not_asked_for_details_nor_for_each_group(ceph: Ceph, looker: Looker) -> None:
    facts = looker.look()
    assert facts.manager_answers
    assert (facts.version, facts.health, facts.checks) == ("16.2.15", "HEALTH_OK", ())
    assert facts.space.total == 4 << 20
    assert not {"health", "pg dump"} & set(ceph.asked)


def test_a_raised_check_is_told_with_its_details(ceph: Ceph, looker: Looker) -> None:
    ceph.change_status(health={"status": "HEALTH_WARN", "checks": {"OSD_DOWN": {}}})
    assert looker.look().checks[0].details == ("osd.1 is down",)


def test_groups_that_are_not_clean_are_looked_at_one_by_one(ceph: Ceph, looker: Looker) -> None:
    states = [{"state_name": "active+undersized+degraded", "count": 1}]
    ceph.change_status(pgmap={"pgs_by_state": states, "num_pgs": 1})
    assert looker.look().groups.urgent == 1


def test_figures_stay_while_the_manager_is_away(ceph: Ceph, looker: Looker) -> None:
    looker.look()
    ceph.change_status(mgrmap={"available": False})
    facts = looker.look()
    assert not facts.manager_answers
    assert facts.space.total == 4 << 20
    assert facts.disks[0].groups == 6


def test_a_manager_that_hangs_is_asked_again_only_after_a_while(ceph: Ceph, looker: Looker, clock: list[float]) -> None:
    ceph.stop_manager()
    assert not looker.look().manager_answers
    clock[0] += 5
    assert not looker.look().manager_answers
    assert ceph.asked.count("hung") == 1
    ceph.manager = lambda: None
    clock[0] += 11
    assert looker.look().manager_answers


def test_a_refusal_of_the_manager_is_told(ceph: Ceph, looker: Looker) -> None:
    def refuse() -> None:
        raise Refused("access denied", component="ceph")

    ceph.manager = refuse
    with pytest.raises(Refused):
        looker.look()


def test_what_daemons_are_is_asked_once_a_minute_and_when_one_was_started(
    ceph: Ceph, looker: Looker, clock: list[float]
) -> None:
    looker.look()
    looker.look()
    assert ceph.asked.count("osd metadata") == 1
    started = [{**told.OSD_DUMP["osds"][0], "public_addr": "10.0.0.1:6801/999"}]
    ceph.answers["osd dump"] = {**told.OSD_DUMP, "osds": started}
    looker.look()
    assert ceph.asked.count("osd metadata") == 2
    clock[0] += 61
    looker.look()
    assert ceph.asked.count("osd metadata") == 3


def test_an_answer_that_is_no_json_is_an_error_of_the_driver(
    ceph: Ceph, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ceph, "mon_command", lambda *_words: (0, b"<html>", ""))
    with pytest.raises(Exception, match="cannot be read"):
        looker.look()


def test_the_log_is_read_every_half_minute_and_known_in_between(ceph: Ceph, looker: Looker, clock: list[float]) -> None:
    first = looker.look().events
    assert first is not None
    assert (first[0].at, first[0].severity) == ("2026-11-22T06:00:00.123456+00:00", "warning")
    assert first[0].message == "Health check failed: 1 osds down (OSD_DOWN)"
    assert (len(first), first[1].severity, len(first[1].message)) == (2, "info", 500)
    ceph.answers["log last"] = []
    clock[0] += 29
    assert looker.look().events == first
    clock[0] += 2
    assert looker.look().events == ()
    assert ceph.asked.count("log last") == 2


def test_a_log_that_may_not_be_read_does_not_spoil_the_look(
    ceph: Ceph, looker: Looker, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ceph.mon_command

    def refuse(command: str, given: bytes) -> tuple[int, bytes, str]:
        return (-13, b"", "access denied") if "log last" in command else answer(command, given)

    monkeypatch.setattr(ceph, "mon_command", refuse)
    facts = looker.look()
    assert (facts.events, facts.health) == (None, "HEALTH_OK")
