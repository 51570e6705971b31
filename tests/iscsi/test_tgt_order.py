"""In which order a target is changed: nobody slips in meanwhile, and tgtd survives it."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.errors import DriverError
from iscsi.drivers.facts import Account
from iscsi.drivers.tgt_target import TgtTargets
from tests.iscsi.tgtd_model import Model

IQN = "iqn.2014-06.com.vstorage:web"
NAMES = ("iqn.2001.com.example:a", "iqn.2001.com.example:b")
accounts = st.lists(
    st.builds(Account, st.sampled_from(["ana", "bob", "eve", "joe"]), st.just("a password!!"), st.integers(1, 3)),
    unique_by=lambda account: account.user,
    max_size=4,
).map(tuple)
initiators = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
mutuals = st.none() | st.builds(Account, st.just("panel"), st.just("a password!!"), st.integers(1, 3))


class Targets(TgtTargets):
    def __init__(self, model: Model) -> None:
        self._name = "node"
        self._wire = model  # type: ignore[assignment]
        model.refuse = -1
        self.make_target(1, IQN)


def revisions(of: tuple[Account, ...]) -> dict[str, int]:
    return {account.user: account.revision for account in of}


@given(st.lists(st.tuples(accounts, mutuals, initiators), min_size=1, max_size=4))
def test_whatever_accounts_follow_each_other_those_that_are_wanted_count(
    steps: list[tuple[tuple[Account, ...], Account | None, tuple[str, ...]]],
) -> None:
    model = Model()
    targets = Targets(model)
    for wanted, mutual, names in steps:
        targets.set_accounts(1, wanted, mutual)
        targets.open(1, names)
        assert (targets.set_accounts(1, wanted, mutual), targets.open(1, names)) == (False, False)
        _, facts = targets._require(1)
        assert facts.accounts == revisions(wanted)
        assert facts.mutual == ((mutual.user, mutual.revision) if mutual else None)
        assert facts.initiators == tuple(sorted(names))
        assert model.asks_at_discovery() == set(revisions(wanted))


@given(accounts.filter(bool), accounts.filter(bool), initiators)
def test_while_accounts_change_nobody_can_log_in_without_one_of_them(
    first: tuple[Account, ...], second: tuple[Account, ...], names: tuple[str, ...]
) -> None:
    model = Model()
    targets = Targets(model)
    targets.set_accounts(1, first)
    targets.open(1, names)
    model.moments.clear()
    targets.set_accounts(1, second)
    whole = ({*revisions(first)}, {*revisions(second)})
    assert all(set(users) in whole for rules, users in model.moments if rules)


@given(accounts.filter(bool), accounts.filter(bool), initiators, st.integers(0, 40))
def test_a_change_that_breaks_off_leaves_it_closed_or_whole_and_is_mended_by_the_next(
    first: tuple[Account, ...], second: tuple[Account, ...], names: tuple[str, ...], fails: int
) -> None:
    model = Model()
    targets = Targets(model)
    targets.set_accounts(1, first)
    targets.open(1, names)
    model.refuse = fails
    with suppress(DriverError):
        targets.set_accounts(1, second)
    model.refuse = -1
    users = set(model.bound[model.target]) - {""}
    assert not model.rules or users in ({*revisions(first)}, {*revisions(second)})
    targets.set_accounts(1, second)
    targets.open(1, names)
    assert targets._require(1)[1].accounts == revisions(second)


@given(st.lists(initiators | st.none(), min_size=1, max_size=6))
def test_who_may_go_on_is_never_shut_out_while_others_come_and_go(steps: list[tuple[str, ...] | None]) -> None:
    model = Model()
    targets = Targets(model)
    before: tuple[str, ...] | None = None
    for names in steps:
        model.moments.clear()
        if names is None:
            targets.close_target(1)
        else:
            targets.open(1, names)
            kept = set(before or ()) & set(names)
            assert all(kept <= set(rules) or "ALL" in rules for rules, _ in model.moments)
        assert set(model.rules) == (set() if names is None else set(names or ("ALL",)))
        before = names
