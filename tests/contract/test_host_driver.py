"""What every HostDriver does, on the fake, on libvirt's test driver and on the lab's nodes.

An engine that lacks an ability says so in ``capabilities()``; then the call must raise NotSupported, not guess.
"""

import pytest

from infrastructure.drivers.base import (
    Capability,
    Conflict,
    DomainEvent,
    HostDriver,
    MigrationProgress,
    NotFound,
    NotSupported,
    Outcome,
    ShutdownMode,
    VEKind,
    VEState,
)
from tests.contract.conftest import Subject
from tests.waiting import eventually

NOBODY = "00000000-1111-2222-3333-444444444444"
SECRET = "00000000-1111-2222-3333-555555555555"


class Stop(Exception):
    """What a caller raises to end a migration."""


def test_it_is_a_host_driver(subject: Subject) -> None:
    assert isinstance(subject.driver, HostDriver)


def test_its_capabilities_are_known_ones(subject: Subject) -> None:
    assert subject.driver.capabilities() <= frozenset(Capability)


def test_it_describes_the_node(subject: Subject) -> None:
    facts = subject.driver.facts()
    assert facts.hostname
    assert facts.libvirt_version.count(".") == 2
    assert facts.cpu_threads > 0
    assert 0 < facts.memory_free <= facts.memory_bytes


def test_it_lists_virtual_environments_by_name(subject: Subject) -> None:
    ves = subject.driver.ves()
    assert [ve.name for ve in ves] == sorted(ve.name for ve in ves)
    assert subject.vm in {ve.uuid for ve in ves}


@pytest.mark.parametrize("change", ["none", "autostart", "suspend", "destroy"])
def test_each_virtual_environment_is_described_as_in_the_list(subject: Subject, change: str) -> None:
    driver, vm = subject.driver, subject.vm
    driver.set_autostart(vm, change == "autostart")
    if change not in ("none", "autostart"):
        getattr(driver, change)(vm)
    listed = {ve.uuid: ve for ve in driver.ves()}
    assert listed == {uuid: driver.ve(uuid) for uuid in listed}
    assert listed[vm].autostart is (change == "autostart")


def test_the_live_xml_names_the_virtual_environment(subject: Subject) -> None:
    assert subject.vm in subject.driver.xml(subject.vm)


@pytest.mark.parametrize("call", ["ve", "state", "xml", "start", "destroy", "shutdown", "suspend", "resume", "reboot"])
def test_it_does_not_find_an_unknown_uuid(subject: Subject, call: str) -> None:
    with pytest.raises(NotFound):
        getattr(subject.driver, call)(NOBODY)


@pytest.mark.parametrize("uuid", ["", "../x", "vmtest; id", "a" * 5000])
def test_it_does_not_find_what_is_no_uuid(subject: Subject, uuid: str) -> None:
    with pytest.raises(NotFound):
        subject.driver.ve(uuid)


def test_starting_and_forcing_off_are_idempotent(subject: Subject) -> None:
    driver, vm = subject.driver, subject.vm
    assert driver.start(vm) is Outcome.ALREADY
    assert driver.destroy(vm) is Outcome.DONE
    assert driver.state(vm).state is VEState.STOPPED
    assert driver.destroy(vm) is Outcome.ALREADY
    assert driver.start(vm) is Outcome.DONE
    assert driver.state(vm).state is VEState.RUNNING


def test_pausing_and_resuming_are_idempotent(subject: Subject) -> None:
    driver, vm = subject.driver, subject.vm
    assert driver.resume(vm) is Outcome.ALREADY
    assert driver.suspend(vm) is Outcome.DONE
    assert driver.suspend(vm) is Outcome.ALREADY
    assert driver.state(vm).state is VEState.PAUSED
    assert driver.resume(vm) is Outcome.DONE
    assert driver.state(vm).state is VEState.RUNNING


def test_a_stopped_one_cannot_be_paused_resumed_or_restarted(subject: Subject) -> None:
    subject.driver.destroy(subject.vm)
    for call in (subject.driver.suspend, subject.driver.resume, subject.driver.reboot):
        with pytest.raises(Conflict):
            call(subject.vm)


def test_a_paused_one_cannot_be_asked_to_shut_down(subject: Subject) -> None:
    subject.driver.suspend(subject.vm)
    with pytest.raises(Conflict, match="paused"):
        subject.driver.shutdown(subject.vm)


def test_shutting_down_stops_it_in_the_end(subject: Subject) -> None:
    if subject.has(Capability.GUEST_AGENT):
        agent = subject.driver.ve(subject.vm)
        if agent.agent_configured:
            eventually(lambda: subject.driver.agent_ping(subject.vm), seconds=120)
    assert subject.driver.shutdown(subject.vm) is Outcome.REQUESTED
    eventually(lambda: subject.driver.state(subject.vm).state is VEState.STOPPED, seconds=120)
    assert subject.driver.shutdown(subject.vm) is Outcome.ALREADY


def test_autostart_is_set_once(subject: Subject) -> None:
    driver, vm = subject.driver, subject.vm
    driver.set_autostart(vm, False)
    assert driver.set_autostart(vm, True) is Outcome.DONE
    assert driver.set_autostart(vm, True) is Outcome.ALREADY
    assert driver.set_autostart(vm, False) is Outcome.DONE


def test_events_arrive_in_order_until_the_subscription_is_closed(subject: Subject) -> None:
    seen: list[DomainEvent] = []
    subscription = subject.driver.subscribe(seen.append)
    subject.driver.suspend(subject.vm)
    subject.driver.resume(subject.vm)
    eventually(lambda: [event.detail for event in _lifecycle(seen, subject.vm)] == ["suspended", "resumed"])
    assert {event.ve_kind for event in _lifecycle(seen, subject.vm)} == {VEKind.VM}
    subscription.close()
    subject.driver.suspend(subject.vm)
    assert len(_lifecycle(seen, subject.vm)) == 2


def test_every_subscriber_gets_the_events(subject: Subject) -> None:
    first: list[DomainEvent] = []
    second: list[DomainEvent] = []
    subscriptions = [subject.driver.subscribe(seen.append) for seen in (first, second)]
    subject.driver.suspend(subject.vm)
    eventually(lambda: bool(_lifecycle(first, subject.vm)) and bool(_lifecycle(second, subject.vm)))
    for subscription in subscriptions:
        subscription.close()


def test_a_subscriber_is_told_once_that_the_connection_has_ended(subject: Subject) -> None:
    reasons: list[str] = []
    subject.driver.subscribe(lambda _event: None, reasons.append)
    subject.driver.close()
    eventually(lambda: bool(reasons))
    assert reasons == ["client"]


def test_it_answers_again_after_it_was_closed(subject: Subject) -> None:
    subject.driver.close()
    assert subject.driver.state(subject.vm).state is VEState.RUNNING


def test_the_counters_name_every_virtual_environment_and_its_state(subject: Subject) -> None:
    sample = subject.driver.stats()
    states = {item.uuid: item.state for item in sample.ves}
    assert states == {ve.uuid: ve.state for ve in subject.driver.ves()}
    assert sample.memory_total > 0


def test_counters_of_a_running_vm_where_the_engine_has_them(subject: Subject) -> None:
    sample = next(item for item in subject.driver.stats().ves if item.uuid == subject.vm)
    if not subject.has(Capability.VM_STATS):
        assert sample.cpu_ns is None
        return
    assert None not in (sample.cpu_ns, sample.memory_bytes, sample.memory_used, sample.disk_read_bytes)
    assert sample.net_rx_bytes is not None


def test_counters_of_a_running_container_where_the_engine_has_them(subject: Subject) -> None:
    if not subject.has(Capability.CT_STATS):
        assert all(item.cpu_ns is None for item in subject.driver.stats().ves if item.kind is VEKind.CT)
        return
    subject.driver.start(subject.ct)
    sample = next(item for item in subject.driver.stats().ves if item.uuid == subject.ct)
    assert sample.kind is VEKind.CT
    assert None not in (sample.cpu_ns, sample.memory_used, sample.disk_read_bytes, sample.net_rx_bytes)


def test_the_console_of_a_running_vm_is_not_on_the_network(subject: Subject) -> None:
    if not subject.has(Capability.CONSOLE):
        with pytest.raises(NotSupported):
            subject.driver.console(subject.vm)
        return
    endpoint = subject.driver.console(subject.vm)
    assert endpoint.type == "vnc"
    assert not endpoint.exposed
    assert subject.driver.screenshot(subject.vm).mime.startswith("image/")


def test_a_stopped_vm_has_no_console(subject: Subject) -> None:
    subject.driver.destroy(subject.vm)
    with pytest.raises(Conflict):
        subject.driver.console(subject.vm)


def test_host_commands_need_the_capability(subject: Subject) -> None:
    if not subject.has(Capability.HOST_COMMANDS):
        with pytest.raises(NotSupported):
            subject.driver.run(["true"])
        return
    assert subject.driver.run(["cat"], input=b"\0data\n").stdout == b"\0data\n"
    subject.driver.write_file("/tmp/mooring-contract", b"\xff" * 70_000, mode=0o600)
    assert subject.driver.read_file("/tmp/mooring-contract") == b"\xff" * 70_000
    with pytest.raises(NotFound):
        subject.driver.read_file("/tmp/mooring-contract-none")


def test_a_container_starts_and_stops(subject: Subject) -> None:
    if not subject.has(Capability.CT):
        assert {ve.kind for ve in subject.driver.ves()} == {VEKind.VM}
        return
    subject.driver.start(subject.ct)
    assert subject.driver.state(subject.ct).state is VEState.RUNNING
    # libvirt now and then misses the init of a container, which is then signalled past it.
    asked = subject.driver.shutdown(subject.ct)
    assert asked in (Outcome.REQUESTED, Outcome.SIGNALLED, Outcome.FOUND_ENDED)
    eventually(lambda: subject.driver.state(subject.ct).state is VEState.STOPPED)
    assert subject.driver.start(subject.ct) is Outcome.DONE


def test_a_container_cannot_be_migrated(subject: Subject) -> None:
    if subject.peer is None:
        assert not subject.has(Capability.LIVE_MIGRATION)
        return
    with pytest.raises(NotSupported):
        subject.driver.migrate(subject.ct, subject.peer.endpoint)


def test_a_migration_moves_the_vm_and_tells_its_progress(subject: Subject) -> None:
    if subject.peer is None:
        assert not subject.has(Capability.LIVE_MIGRATION)
        return
    subject.booted()
    seen: list[MigrationProgress] = []
    result = subject.driver.migrate(subject.vm, subject.peer.endpoint, unsafe=subject.unsafe, on_progress=seen.append)
    assert result.percent == 100
    assert [item.percent for item in seen] == sorted(item.percent for item in seen)
    assert subject.peer.state(subject.vm).state is VEState.RUNNING
    assert subject.vm not in {ve.uuid for ve in subject.driver.ves()}
    assert subject.driver.progress(subject.vm) is None
    last = subject.peer.last_job(subject.vm)
    assert last is not None
    assert last.percent == 100


def test_a_migration_is_aborted_when_the_caller_raises(subject: Subject) -> None:
    if subject.peer is None:
        return

    def stop(_progress: MigrationProgress) -> None:
        raise Stop

    subject.booted()
    with pytest.raises(Stop):
        subject.driver.migrate(
            subject.vm, subject.peer.endpoint, unsafe=subject.unsafe, bandwidth_mib=8, on_progress=stop
        )
    assert subject.driver.state(subject.vm).state is VEState.RUNNING
    assert subject.vm not in {ve.uuid for ve in subject.peer.ves()}
    assert subject.driver.progress(subject.vm) is None


def test_there_is_nothing_to_abort_without_a_migration(subject: Subject) -> None:
    if subject.has(Capability.LIVE_MIGRATION):
        assert subject.driver.abort(subject.vm) is False


def test_the_cpu_of_a_vm_suits_the_peer(subject: Subject) -> None:
    if subject.peer is not None:
        assert subject.peer.check_cpu(subject.driver.cpu_requirement(subject.vm)).compatible


def test_a_mode_of_shutting_down_must_suit_the_kind(subject: Subject) -> None:
    with pytest.raises(NotSupported):
        subject.driver.shutdown(subject.vm, ShutdownMode.SIGNAL)


def test_a_storage_key_and_a_pool_are_kept_and_forgotten_once(subject: Subject) -> None:
    if not subject.has(Capability.ATTACH):
        with pytest.raises(NotSupported):
            subject.driver.keep_secret(SECRET, "client.contract", b"key")
        return
    assert subject.driver.keep_secret(SECRET, "client.contract", b"key") is True
    assert subject.driver.keep_secret(SECRET, "client.contract", b"another") is False
    assert SECRET in subject.driver.secrets()
    assert subject.driver.drop_secret(SECRET) is True
    assert SECRET not in subject.driver.secrets()
    assert subject.driver.drop_secret(SECRET) is False
    assert subject.driver.drop_pool(SECRET) is False


def _lifecycle(seen: list[DomainEvent], uuid: str) -> list[DomainEvent]:
    return [event for event in seen if event.uuid == uuid and event.kind == "lifecycle"]
