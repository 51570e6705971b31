"""One node under observation: what is told to the writer, and when."""

from dataclasses import replace

import pytest

from infrastructure.drivers.base import Refused
from infrastructure.drivers.facts import VEState
from infrastructure.observe.addresses import Schedule, uptime
from infrastructure.observe.backoff import Backoff
from infrastructure.observe.messages import Addresses, Booted, Failed, Left, Listed, Seen
from infrastructure.services.inventory_samples import NodeReading
from tests.collector.engine import Observed, unreachable
from tests.infrastructure.inventory_facts import uuid_of, ve_facts


@pytest.fixture
def observed() -> Observed:
    return Observed(ve_facts("vmtest"), ve_facts("vm2", "stopped"))


def only(told: list[object], kind: type) -> list[object]:
    return [message for message in told if isinstance(message, kind)]


def test_it_listens_before_it_reads(observed: Observed) -> None:
    (listed,) = observed.step()
    assert observed.engine.calls == ["subscribe", "facts", "ves"]
    assert isinstance(listed, Listed)
    assert {ve.name for ve in listed.ves} == {"vmtest", "vm2"}


def test_an_event_has_that_ve_read_at_once(observed: Observed) -> None:
    observed.pass_time(1)
    observed.engine.calls.clear()
    observed.change("vm2", state=VEState.RUNNING)
    observed.engine.event("vm2")
    (seen,) = observed.step()
    assert isinstance(seen, Seen)
    assert (seen.facts.name, seen.facts.state, seen.booted) == ("vm2", VEState.RUNNING, True)
    assert observed.engine.calls == ["ve"]


def test_a_migrated_ve_was_not_booted(observed: Observed) -> None:
    observed.pass_time(1)
    observed.engine.event("vmtest", reason="migrated")
    (seen,) = observed.step()
    assert isinstance(seen, Seen)
    assert not seen.booted


def test_events_that_change_nothing_shown_are_passed_over(observed: Observed) -> None:
    observed.pass_time(1)
    observed.engine.event("vmtest", kind="migration-iteration", detail="3")
    assert observed.step() == []


def test_an_event_of_a_ve_that_is_gone_says_so(observed: Observed) -> None:
    observed.pass_time(1)
    del observed.engine.ves_by_uuid[uuid_of("vm2")]
    observed.engine.event("vm2", "undefined", reason="removed")
    (left,) = observed.step()
    assert isinstance(left, Left)
    assert left.uuid == uuid_of("vm2")


def test_a_storm_of_events_is_one_full_read() -> None:
    names = [f"vm{number}" for number in range(40)]
    observed = Observed(*(ve_facts(name, "stopped") for name in names))
    observed.pass_time(1)
    observed.engine.calls.clear()
    for name in names:
        observed.change(name, state=VEState.RUNNING)
        observed.engine.event(name)
    told = observed.step()
    assert [type(message) for message in told] == [Listed]
    assert observed.engine.calls == ["facts", "ves"]


def test_what_did_not_change_is_told_as_readings_only(observed: Observed) -> None:
    observed.pass_time(1)
    told = observed.pass_time(60)
    assert observed.engine.calls.count("ves") >= 4
    assert not only(told, Listed)
    assert len(only(told, NodeReading)) == 12


def test_a_change_without_an_event_is_found_by_the_next_full_read(observed: Observed) -> None:
    observed.pass_time(1)
    observed.change("vmtest", autostart=True)
    (listed,) = only(observed.pass_time(16), Listed)
    assert isinstance(listed, Listed)
    assert any(ve.autostart for ve in listed.ves)


def test_what_the_writer_wants_is_read(observed: Observed) -> None:
    observed.pass_time(1)
    observed.observer.inbox.want([uuid_of("vmtest")])
    assert [type(message) for message in observed.step()] == [Seen]
    observed.observer.inbox.want_everything()
    assert [type(message) for message in observed.step()] == [Listed]


def test_one_ve_that_cannot_be_read_does_not_cost_the_node(observed: Observed) -> None:
    observed.pass_time(1)
    observed.engine.error = Refused("internal error")
    observed.engine.event("vmtest")
    assert observed.step() == []
    observed.engine.error = None
    observed.engine.event("vmtest")
    assert len(observed.step()) == 1


def test_a_node_that_hangs_is_reported_within_15_seconds(observed: Observed) -> None:
    observed.pass_time(7)
    hung_at = observed.clock.now
    observed.engine.hangs = True
    while not only(observed.told, Failed):
        observed.pass_time(1)
    assert observed.clock.now - hung_at < 15
    observed.pass_time(60)
    reasons = [message.reason for message in only(observed.told, Failed)]  # type: ignore[attr-defined]
    assert reasons == ["libvirtd on primary did not answer within 8 s"]
    observed.engine.hangs, observed.engine.error = False, unreachable("no route to host")
    observed.pass_time(60)
    assert [message.reason for message in only(observed.told, Failed)][1:] == ["no route to host"]  # type: ignore[attr-defined]


def test_a_call_that_never_returns_is_noticed_by_the_supervisor(observed: Observed) -> None:
    observed.pass_time(3)
    for _second in range(12):
        observed.clock.now += 1
        observed.observer.contact.check()
    (failed,) = only(observed.told, Failed)
    assert isinstance(failed, Failed)
    assert failed.reason == "primary has not answered for 11 s."
    assert observed.observer.contact.late
    # The call comes back after all.
    observed.pass_time(1)
    assert only(observed.told[-3:], Listed)
    assert not observed.observer.contact.late


def test_a_node_cut_off_and_back_is_read_in_full(observed: Observed) -> None:
    observed.pass_time(7)
    observed.engine.error = unreachable("no route to host")
    observed.engine.lose_connection("keepalive")
    assert [type(m) for m in observed.pass_time(30) if not isinstance(m, NodeReading)] == [Failed]
    observed.engine.error = None
    told = observed.pass_time(16)
    assert [type(m) for m in told if not isinstance(m, NodeReading)] == [Listed]
    assert observed.engine.subscriptions


def test_a_daemon_that_restarts_quickly_is_not_reported(observed: Observed) -> None:
    observed.pass_time(7)
    observed.engine.error = unreachable()
    observed.engine.lose_connection("keepalive")
    observed.pass_time(2)
    observed.engine.error = None
    told = observed.pass_time(10)
    assert not only(observed.told, Failed)
    assert only(told, Listed)


def test_a_node_that_never_answered_is_reported_at_once(observed: Observed) -> None:
    observed.engine.error = unreachable()
    (failed,) = observed.step()
    assert isinstance(failed, Failed)
    assert failed.reason == "connection refused"


def test_a_refusal_is_reported_at_once(observed: Observed) -> None:
    observed.pass_time(7)
    observed.engine.error = Refused("the certificate was not accepted")
    observed.engine.lose_connection("keepalive")
    told = observed.pass_time(3)
    assert [message.refused for message in only(told, Failed)] == [True]  # type: ignore[attr-defined]


def test_another_machine_at_the_address_is_refused_without_its_ves(observed: Observed) -> None:
    observed.pass_time(7)
    observed.engine.lose_connection("keepalive")
    observed.engine.node = replace(observed.engine.node, uuid=uuid_of("host other"))
    told = [message for message in observed.pass_time(10) if not isinstance(message, NodeReading)]
    assert [type(message) for message in told] == [Failed]
    assert told[0].refused  # type: ignore[union-attr]
    assert "another machine" in told[0].reason  # type: ignore[union-attr]


def test_pauses_grow_to_15_seconds_and_begin_anew() -> None:
    backoff = Backoff(chance=lambda: 0.0)
    assert [backoff.next() for _attempt in range(6)] == [1, 2, 4, 8, 15, 15]
    backoff.reset()
    assert backoff.next() == 1
    assert Backoff(chance=lambda: 1.0).next() == 0.75


def test_nothing_is_told_of_a_node_that_is_observed_no_longer(observed: Observed) -> None:
    observed.observer.inbox.stop()
    observed.engine.error = unreachable()
    assert observed.step() == []


def test_series_get_a_value_every_ten_seconds(observed: Observed) -> None:
    observed.pass_time(61)
    assert 5 <= len(observed.recorded) <= 6
    recording = observed.recorded[-1]
    assert recording.node["cpu"] == 10.0
    assert recording.node["memory"] == 4 << 30
    vmtest, vm2 = recording.ves[uuid_of("vmtest")], recording.ves[uuid_of("vm2")]
    assert vmtest["cpu"] == pytest.approx(5.0, abs=0.5)
    assert set(vm2.values()) == {None}


def test_addresses_are_asked_for_often_while_a_guest_is_young(observed: Observed) -> None:
    observed.pass_time(21)
    assert observed.engine.calls.count("addresses") >= 4
    observed.engine.found_addresses[uuid_of("vmtest")] = ("fe80::1", "10.0.0.7", "127.0.0.1")
    told = observed.pass_time(11)
    assert [message.addresses for message in only(told, Addresses)] == [("10.0.0.7",)]  # type: ignore[attr-defined]
    observed.engine.calls.clear()
    assert not only(observed.pass_time(50), Addresses)
    assert observed.engine.calls.count("addresses") <= 1


def test_a_round_that_comes_a_moment_early_counts() -> None:
    schedule = Schedule()
    schedule.running(["vmtest"], 0.0)
    assert schedule.take(0.0) == ["vmtest"]
    schedule.answered("vmtest", False, 0.01)
    assert schedule.take(4.0) == []
    assert schedule.take(5.0) == ["vmtest"]


def test_the_same_address_is_told_again_after_a_change_of_the_ve(observed: Observed) -> None:
    observed.engine.found_addresses[uuid_of("vmtest")] = ("10.0.0.7",)
    observed.pass_time(10)
    observed.engine.event("vmtest", "resumed", reason="migrated")
    assert only(observed.pass_time(6), Addresses)


def test_the_start_of_the_node_is_asked_once_a_connection(observed: Observed) -> None:
    observed.engine.node = replace(observed.engine.node, capabilities=frozenset({"vm", "host-commands"}))
    assert len(only(observed.pass_time(30), Booted)) == 1
    assert observed.engine.calls.count("run") == 1


def test_uptime_counts_from_the_start_of_init() -> None:
    assert uptime("5000.25 100.00\n1 (init (x) y) S " + "0 " * 18 + "100000 5 6\n") == pytest.approx(4000.25)
