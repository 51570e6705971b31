"""What every TargetServers does with servers and addresses, in memory and on a node of the lab."""

import pytest

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from iscsi.drivers.facts import AddressFacts, LunSpec, ServerSpec
from tests.contract.iscsi_subjects import IQN, MIB, POOL, Subject, facts, iscsi_subject  # noqa: F401


@pytest.fixture(name="subject")
def started(iscsi_subject: Subject) -> Subject:  # noqa: F811
    """With server 1, which has no target."""
    iscsi_subject.servers.start(ServerSpec(1, (iscsi_subject.portal,)))
    return iscsi_subject


def test_a_server_runs_where_it_should_and_has_nothing(subject: Subject) -> None:
    assert subject.servers.start(ServerSpec(1, (subject.portal,))) is False
    found = facts(subject.servers)
    assert (found.running, found.portals, found.target, found.waiting) == (True, (subject.portal,), None, "")
    [told] = subject.servers.servers().servers
    assert (told.number, told.instance) == (1, found.instance)


def test_a_server_that_is_not_kept_is_not_found(subject: Subject) -> None:
    for ask in (subject.servers.look, lambda number: subject.servers.make_target(number, IQN)):
        with pytest.raises(Exception) as caught:
            ask(2)
        assert caught.type.__name__ in ("NotFound", "Unreachable")


def test_a_server_that_was_killed_comes_back_as_another_one_with_nothing(subject: Subject) -> None:
    subject.servers.make_target(1, IQN)
    before = facts(subject.servers)
    subject.crash(1)
    after = facts(subject.servers)
    assert before.target is not None and after.target is None
    assert after.instance != before.instance
    assert after.starts > before.starts
    assert after.portals == before.portals


def test_a_server_is_stopped_once_and_forgotten(subject: Subject) -> None:
    subject.servers.make_target(1, IQN)
    assert (subject.servers.stop(1), subject.servers.stop(1)) == (True, False)
    assert subject.servers.servers().servers == ()
    with pytest.raises(NotFound):
        subject.servers.look(1)
    assert subject.servers.start(ServerSpec(1, (subject.portal,))) is True
    assert facts(subject.servers).target is None


def test_one_server_knows_nothing_of_another(subject: Subject) -> None:
    subject.servers.add_address(subject.free, subject.prefix, subject.interface)
    subject.servers.start(ServerSpec(2, (subject.free,)))
    subject.servers.make_target(1, IQN)
    subject.servers.make_target(2, f"{IQN}2")
    subject.crash(1)
    told = {each.number: each for each in subject.servers.servers().servers}
    assert told[1].target is None
    assert told[2].target is not None and told[2].target.iqn == f"{IQN}2"
    assert (told[1].portals, told[2].portals) == ((subject.portal,), (subject.free,))


def test_portals_change_without_a_restart(subject: Subject) -> None:
    subject.servers.make_target(1, IQN)
    before = facts(subject.servers)
    subject.servers.add_address(subject.free, subject.prefix, subject.interface)
    both = ServerSpec(1, (subject.portal, subject.free))
    assert (subject.servers.start(both), subject.servers.start(both)) == (True, False)
    assert facts(subject.servers).portals == tuple(sorted(both.portals))
    assert subject.servers.start(ServerSpec(1, (subject.free,))) is True
    after = facts(subject.servers)
    assert (after.portals, after.instance, after.target is not None) == ((subject.free,), before.instance, True)


def test_an_address_that_the_node_has_not_is_refused(subject: Subject) -> None:
    with pytest.raises(Conflict, match="does not have the address"):
        subject.servers.start(ServerSpec(2, (subject.free,)))
    assert [each.number for each in subject.servers.servers().servers] == [1]
    for spec in (ServerSpec(2, ()), ServerSpec(2, ("here",)), ServerSpec(0, (subject.portal,))):
        with pytest.raises(Refused):
            subject.servers.start(spec)


def test_addresses_come_and_go(subject: Subject) -> None:
    wanted = (subject.free, subject.prefix, subject.interface)
    assert AddressFacts(*wanted) not in subject.servers.addresses()
    assert (subject.servers.add_address(*wanted), subject.servers.add_address(*wanted)) == (True, False)
    assert AddressFacts(*wanted) in subject.servers.addresses()
    assert subject.servers.is_answered(subject.free, subject.interface) is False, "the node does not answer itself"
    assert subject.servers.is_answered(subject.taken, subject.interface) is True
    with pytest.raises(DriverError):
        subject.servers.is_answered(subject.free, "none0")
    assert (subject.servers.remove_address(*wanted), subject.servers.remove_address(*wanted)) == (True, False)
    assert AddressFacts(*wanted) not in subject.servers.addresses()
    assert all(not each.address.startswith("127.") for each in subject.servers.addresses())


def test_a_node_that_keeps_servers_is_not_forgotten(subject: Subject) -> None:
    with pytest.raises(Conflict):
        subject.servers.forget()


def test_what_was_open_when_a_server_was_stopped_is_free_at_once(subject: Subject) -> None:
    subject.make_image("lun-free", 64 * MIB)
    subject.servers.make_target(1, IQN)
    subject.servers.add_lun(1, LunSpec(1, POOL, "lun-free", "free"))
    subject.servers.stop(1)
    subject.remove_image("lun-free")
