"""What every TargetServers does with a target, in memory and with a real initiator in the lab."""

import pytest

from infrastructure.drivers.errors import Conflict, NotFound, Refused
from iscsi.drivers.facts import Account, LunSpec, ServerSpec, TargetFacts
from tests.contract.iscsi_subjects import IQN, MIB, POOL, Subject, facts, iscsi_subject  # noqa: F401
from tests.lab.initiator import NotLetIn

ANA, BOB = Account("ana", "correct horse!", 1), Account("bob", "battery st@ple", 1)
PANEL = Account("panel", "mutual, secret=1", 3)
FIRST = LunSpec(1, POOL, "lun-a", "0123456789abcdef")
SECOND = LunSpec(7, POOL, "lun-b", "fedcba9876543210")
FRIEND, STRANGER = "iqn.2001.com.example:friend", "iqn.2001.com.example:stranger"


@pytest.fixture(name="subject")
def made(iscsi_subject: Subject) -> Subject:  # noqa: F811
    """With a target that is closed, and two images."""
    iscsi_subject.servers.start(ServerSpec(1, (iscsi_subject.portal,)))
    iscsi_subject.servers.make_target(1, IQN)
    for name in ("lun-a", "lun-b"):
        iscsi_subject.make_image(name, 64 * MIB)
    return iscsi_subject


def target(subject: Subject) -> TargetFacts:
    found = facts(subject.servers).target
    assert found is not None
    return found


def test_a_target_is_made_once_and_closed(subject: Subject) -> None:
    assert subject.servers.make_target(1, IQN) is False
    with pytest.raises(Conflict):
        subject.servers.make_target(1, f"{IQN}2")
    for name in ("", "web", "iqn.2014-06.com.vstorage:a b", "iqn.2014-06.com.vstorage:a,b", f"{IQN}{'x' * 223}"):
        with pytest.raises(Refused):
            subject.servers.make_target(1, name)
    told = target(subject)
    assert (told.iqn, told.ready, told.luns, told.initiators, told.accounts) == (IQN, True, (), None, {})
    with pytest.raises(NotLetIn):
        assert subject.seen(1) == {}
        raise NotLetIn


def test_an_initiator_finds_what_is_shown_once_it_is_let_in(subject: Subject) -> None:
    assert (subject.servers.add_lun(1, FIRST), subject.servers.add_lun(1, FIRST)) == (True, False)
    subject.servers.add_lun(1, SECOND)
    assert (subject.servers.open(1), subject.servers.open(1)) == (True, False)
    assert subject.seen(1) == {IQN: {1, 7}}
    shown = {lun.number: (lun.pool, lun.image, lun.serial, lun.online) for lun in target(subject).luns}
    assert shown == {each.number: (each.pool, each.image, each.serial, True) for each in (FIRST, SECOND)}
    assert (subject.servers.remove_lun(1, 1), subject.servers.remove_lun(1, 1)) == (True, False)
    assert subject.seen(1) == {IQN: {7}}


def test_a_number_shows_one_image(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    with pytest.raises(Conflict):
        subject.servers.add_lun(1, LunSpec(1, POOL, "lun-b", "x"))
    for bad in (LunSpec(0, POOL, "lun-b", "x"), LunSpec(256, POOL, "lun-b", "x"), LunSpec(2, "a,b", "lun-b", "x")):
        with pytest.raises(Refused):
            subject.servers.add_lun(1, bad)
    assert [lun.number for lun in target(subject).luns] == [1]


def test_an_image_that_is_not_there_leaves_nothing(subject: Subject) -> None:
    with pytest.raises(NotFound, match="lun-none"):
        subject.servers.add_lun(1, LunSpec(3, POOL, "lun-none", "x"))
    assert target(subject).luns == ()


def test_with_chap_only_who_knows_the_password_finds_anything(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    assert (subject.servers.set_accounts(1, (ANA, BOB)), subject.servers.set_accounts(1, (ANA, BOB))) == (True, False)
    subject.servers.open(1)
    assert subject.seen(1, user="ana", password=ANA.secret) == {IQN: {1}}
    assert subject.seen(1, user="bob", password=BOB.secret) == {IQN: {1}}
    for user, password in (("", ""), ("ana", "wrong password"), ("ana", BOB.secret), ("eve", ANA.secret)):
        with pytest.raises(NotLetIn):
            subject.seen(1, user=user, password=password)
    assert target(subject).accounts == {"ana": 1, "bob": 1}


def test_another_password_is_asked_for_at_the_next_login(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    subject.servers.set_accounts(1, (ANA, BOB))
    subject.servers.open(1)
    changed = Account("ana", "another secret", 2)
    assert subject.servers.set_accounts(1, (changed,)) is True
    assert target(subject).accounts == {"ana": 2}
    assert subject.seen(1, user="ana", password=changed.secret) == {IQN: {1}}
    for account in (ANA, BOB):
        with pytest.raises(NotLetIn):
            subject.seen(1, user=account.user, password=account.secret)
    assert target(subject).initiators == (), "it is open again"


def test_without_accounts_no_password_is_asked_for_any_more(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    subject.servers.set_accounts(1, (ANA,), PANEL)
    assert target(subject).mutual == ("panel", 3)
    assert subject.servers.set_accounts(1, ()) is True
    subject.servers.open(1)
    told = target(subject)
    assert (told.accounts, told.mutual) == ({}, None)
    assert subject.seen(1) == {IQN: {1}}


def test_accounts_that_cannot_be_are_refused_without_telling_the_password(subject: Subject) -> None:
    for bad in (
        Account("a,b", "correct horse!"),
        Account("ana", "short"),
        Account("ana", "x" * 17),
        Account("ana\n", "y" * 12),
    ):
        with pytest.raises(Refused) as caught:
            subject.servers.set_accounts(1, (bad,))
        assert bad.secret not in str(caught.value)
    with pytest.raises(Refused):
        subject.servers.set_accounts(1, (ANA,), ANA)


def test_only_initiators_that_are_named_find_it(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    subject.servers.open(1, (FRIEND,))
    assert subject.seen(1, initiator=FRIEND) == {IQN: {1}}
    assert not _finds(subject, STRANGER)
    assert subject.servers.open(1, (STRANGER,)) is True
    assert (_finds(subject, FRIEND), _finds(subject, STRANGER)) == (False, True)
    assert target(subject).initiators == (STRANGER,)
    assert (subject.servers.open(1), subject.servers.close_target(1), subject.servers.close_target(1)) == (
        True,
        True,
        False,
    )
    assert (_finds(subject, FRIEND), _finds(subject, STRANGER)) == (False, False)


def _finds(subject: Subject, initiator: str) -> bool:
    """tgt hides the target from one who may not log in: it finds nothing there."""
    try:
        return bool(subject.seen(1, initiator=initiator))
    except NotLetIn:
        return False


def test_a_lun_that_grew_shows_it_when_it_is_loaded_again(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    subject.servers.open(1)
    before = target(subject).luns[0].size
    subject.make_image("lun-a", 128 * MIB)
    assert target(subject).luns[0].size == before, "an open one does not see it"
    subject.servers.reload_lun(1, FIRST)
    told = target(subject)
    assert abs(told.luns[0].size - 128 * MIB) <= 1_000_000
    assert told.ready
    assert subject.seen(1) == {IQN: {1}}
    with pytest.raises(NotFound):
        subject.servers.reload_lun(1, SECOND)


def test_a_target_is_removed_with_its_luns(subject: Subject) -> None:
    subject.servers.add_lun(1, FIRST)
    subject.servers.open(1)
    assert (subject.servers.remove_target(1), subject.servers.remove_target(1)) == (True, False)
    assert facts(subject.servers).target is None
    subject.servers.make_target(1, f"{IQN}2")
    told = target(subject)
    assert (told.iqn, told.luns, told.initiators) == (f"{IQN}2", (), None)
