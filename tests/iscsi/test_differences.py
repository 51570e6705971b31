"""From whatever a server has to what it should have: the same end, in an order that is never open too early."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.errors import TimedOut
from iscsi.differences import Wanted, address_differences, differences
from iscsi.drivers.facts import (
    Account,
    AddressFacts,
    LunSpec,
    ServerFacts,
    ServerSpec,
    SessionFacts,
    TargetFacts,
    TargetSpec,
)
from iscsi.drivers.fake import FakeServers
from iscsi.drivers.fake_node import FakeServer, FakeTarget

NUMBER = 3
PORTALS = ("192.0.2.11", "198.51.100.11")
IQNS = ("iqn.2014-06.com.vstorage:a", "iqn.2014-06.com.vstorage:b")
NAMES = ("iqn.1993-08.org.debian:01:aa", "iqn.1993-08.org.debian:01:bb")
GIB = 1 << 30

portals = st.lists(st.sampled_from(PORTALS), min_size=1, unique=True).map(tuple)
accounts = st.lists(
    st.builds(Account, st.sampled_from(("ana", "ben")), st.just("a secret phrase"), st.integers(1, 3)),
    max_size=1,
).map(tuple)
mutual = st.none() | st.builds(Account, st.just("panel"), st.just("another phrase"), st.integers(1, 2))
initiators = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
images = st.sampled_from(("lun-a", "lun-b", "lun-c"))
lun_sets = st.dictionaries(st.integers(1, 4), images, max_size=4).map(
    lambda found: tuple(LunSpec(number, "pool", image, image) for number, image in sorted(found.items()))
)


@st.composite
def wishes(draw: st.DrawFn) -> Wanted:
    """A target that should run, or not."""
    server = ServerSpec(NUMBER, draw(portals))
    if draw(st.integers(0, 5)) == 0:
        return Wanted(server)
    luns = draw(lun_sets)
    users = draw(accounts)
    spec = TargetSpec(draw(st.sampled_from(IQNS)), luns, users, draw(mutual) if users else None, draw(initiators))
    return Wanted(server, spec, {lun.number: GIB * draw(st.integers(1, 2)) for lun in luns})


@st.composite
def nodes(draw: st.DrawFn) -> FakeServers:
    """A node that keeps no server, one that is down, one that is empty, or one with any target."""
    made = FakeServers()
    made.images = None
    kind = draw(st.sampled_from(("none", "down", "empty", "full", "full", "full")))
    if kind == "none":
        return made
    server = FakeServer(ServerSpec(NUMBER, draw(portals)), made._next(), running=kind != "down")
    if kind == "full":
        target = FakeTarget(draw(st.sampled_from(IQNS)))
        for lun in draw(lun_sets):
            target.luns[lun.number], target.sizes[lun.number] = lun, GIB * draw(st.integers(1, 2))
        target.accounts, target.mutual = draw(accounts), draw(mutual)
        target.initiators = draw(st.none() | initiators)
        if draw(st.booleans()):
            target.sessions.append(SessionFacts(1, NAMES[0], "192.0.2.200"))
        server.target = target
    made.kept[NUMBER] = server
    return made


def facts(made: FakeServers) -> ServerFacts | None:
    return made.servers().server(NUMBER)


def size_images(made: FakeServers, wanted: Wanted) -> None:
    """Images have the sizes that are wanted; servers learn them when they open an image."""
    if wanted.target is not None:
        made.images = {(lun.pool, lun.image): wanted.sizes[lun.number] for lun in wanted.target.luns}


def open_without_chap(made: FakeServers) -> bool:
    server = made.kept.get(NUMBER)
    return bool(server and server.target and server.target.initiators is not None and not server.target.accounts)


def let_in(made: FakeServers) -> set[str] | None:
    """Who may log in; None: everybody."""
    server = made.kept.get(NUMBER)
    if server is None or server.target is None or server.target.initiators is None:
        return set()
    return set(server.target.initiators) or None


def one_image_once(wanted: Wanted) -> Wanted:
    """Sizes are of images: two LUNs of one image would want two."""
    if wanted.target is None:
        return wanted
    found = {lun.image: lun for lun in wanted.target.luns}
    luns = tuple(sorted(found.values(), key=lambda lun: lun.number))
    return replace(wanted, target=replace(wanted.target, luns=luns))


@given(made=nodes(), wanted=wishes())
def test_it_converges_from_any_state_and_does_nothing_more(made: FakeServers, wanted: Wanted) -> None:
    wanted = one_image_once(wanted)
    size_images(made, wanted)
    for action in differences(wanted, facts(made)):
        action.do(made)
    assert differences(wanted, facts(made)) == []
    if wanted.target is None:
        assert NUMBER not in made.kept
        return
    target = made.kept[NUMBER].target
    assert target is not None
    assert tuple(target.luns[number] for number in sorted(target.luns)) == wanted.target.luns
    assert (target.iqn, target.accounts, target.mutual) == (
        wanted.target.iqn,
        wanted.target.accounts,
        wanted.target.mutual,
    )
    assert set(target.initiators or ()) == set(wanted.target.initiators) and target.initiators is not None
    assert made.kept[NUMBER].spec.portals and set(made.kept[NUMBER].spec.portals) == set(wanted.server.portals)


@given(made=nodes(), wanted=wishes())
def test_while_it_works_nobody_gets_in_who_did_not_before_and_should_not(made: FakeServers, wanted: Wanted) -> None:
    wanted = one_image_once(wanted)
    size_images(made, wanted)
    if wanted.target is None:
        return
    unsafe_before, before = open_without_chap(made), let_in(made)
    wished = set(wanted.target.initiators) or None
    for action in differences(wanted, facts(made)):
        action.do(made)
        now = let_in(made)
        if wanted.target.accounts and not unsafe_before:
            assert not open_without_chap(made), action.words
        assert now == set() or now in (before, wished), action.words


@given(made=nodes(), wanted=wishes(), cut=st.integers(0, 12))
def test_it_converges_after_having_been_cut_off_anywhere(made: FakeServers, wanted: Wanted, cut: int) -> None:
    wanted = one_image_once(wanted)
    size_images(made, wanted)
    for action in differences(wanted, facts(made))[:cut]:
        action.do(made)
    if NUMBER in made.kept and cut % 2:
        made.crash(NUMBER)
    for action in differences(wanted, facts(made)):
        action.do(made)
    assert differences(wanted, facts(made)) == []


def wanted_with(**changes: object) -> Wanted:
    lun = LunSpec(1, "pool", "lun-a", "a")
    spec = TargetSpec(IQNS[0], (lun,), (Account("ana", "a secret phrase", 7),), None, (NAMES[0],))
    return Wanted(ServerSpec(NUMBER, PORTALS[:1]), replace(spec, **changes), {1: GIB})  # type: ignore[arg-type]


def words(wanted: Wanted, made: FakeServers) -> list[str]:
    return [action.words for action in differences(wanted, facts(made))]


def reached(wanted: Wanted) -> FakeServers:
    made = FakeServers()
    for action in differences(wanted, None):
        action.do(made)
    return made


def test_a_server_is_built_closed_and_opened_last() -> None:
    assert words(wanted_with(), FakeServers()) == [
        "Starting target server 3 at 192.0.2.11",
        "Making iqn.2014-06.com.vstorage:a",
        "Asking for CHAP of ana",
        "Showing pool/lun-a as LUN 1",
        "Letting in iqn.1993-08.org.debian:01:aa",
    ]


def test_another_secret_closes_it_meanwhile() -> None:
    made = reached(wanted_with())
    assert words(wanted_with(accounts=(Account("ana", "another phrase", 8),)), made) == [
        "Closing it meanwhile",
        "Asking for CHAP of ana",
        "Letting in iqn.1993-08.org.debian:01:aa",
    ]


def test_a_lun_that_grew_is_opened_anew_and_the_others_are_left() -> None:
    made = reached(wanted_with())
    grown = replace(wanted_with(), sizes={1: 2 * GIB})
    assert words(grown, made) == ["Opening pool/lun-a, LUN 1, anew"]


def test_an_initiator_that_may_not_log_in_any_more_is_disconnected() -> None:
    made = reached(wanted_with())
    made.connect(NUMBER, NAMES[0], user="ana", password="a secret phrase")
    other = wanted_with(initiators=(NAMES[1],))
    assert words(other, made)[-1].startswith("Ending its sessions")
    for action in differences(other, facts(made)):
        action.do(made)
    assert made.kept[NUMBER].target is not None and made.kept[NUMBER].target.sessions == []


def test_a_server_that_does_not_tell_what_it_has_is_left_alone() -> None:
    silent = ServerFacts(NUMBER, True, "1", PORTALS[:1], error=TimedOut("It does not answer", component="tgt"))
    assert differences(wanted_with(), silent) == []


def test_no_secret_is_in_what_is_shown() -> None:
    for action in differences(wanted_with(mutual=Account("panel", "another phrase", 1)), None):
        assert "phrase" not in f"{action!r} {action.words} {action.commands}"


@pytest.mark.parametrize("there", [True, False])
def test_addresses_are_added_and_taken_away_once(there: bool) -> None:
    address = AddressFacts("192.0.2.100", 24, "br0")
    spec = ServerSpec(NUMBER, ("192.0.2.100",))
    known = [address] if there else []
    lacking = address_differences(Wanted(spec, addresses=(address,)), known)
    surplus = address_differences(Wanted(spec, surplus=(address,)), known)
    assert (len(lacking), len(surplus)) == ((0, 1) if there else (1, 0))


def test_nothing_is_wanted_of_a_target_that_is_as_it_should_be() -> None:
    made = reached(wanted_with())
    assert differences(wanted_with(), facts(made)) == []
    assert TargetFacts(IQNS[0], ready=True).initiators is None
