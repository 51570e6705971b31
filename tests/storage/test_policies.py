"""Which policies fit a cluster now, what is left in them, and what is refused: counts and bounds of the picker."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.services.errors import NotPossible
from storage.drivers.facts import TIERS
from storage.drivers.fake import GIB, FakeCluster, cluster
from storage.redundancy import MODES, Policy
from storage.services.policies import Tier, Tiers, check, chosen_mode, fit


def tier(made: FakeCluster, number: int = 2) -> Tier:
    return Tiers(made.look())[number]


def policy(key: str, domain: str = "host", number: int = 2) -> Policy:
    return Policy(number, MODES[key], domain)


def test_it_counts_domains_that_have_a_disk_of_the_tier() -> None:
    found = tier(cluster(hosts=4, disks=3, tiers=(2,), racks=2))
    assert [len(found.places(domain)) for domain in ("osd", "host", "rack", "row", "room")] == [12, 4, 2, 1, 1]
    assert not tier(cluster(tiers=(1,))).places("host")


@pytest.mark.parametrize(
    "gone", [{"up": False}, {"taken": False, "reweight": 0.0}, {"crush_weight": 0.0}, {"device_class": "tier1"}]
)
def test_a_disk_that_takes_no_data_does_not_count(gone: dict[str, object]) -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    made.change(1, **gone)
    found = tier(made)
    assert (len(found.places("osd")), len(found.places("host"))) == (2, 2)
    assert found.size == 2 * 4 * GIB


def test_a_host_counts_while_one_of_its_disks_does() -> None:
    made = cluster(hosts=3, disks=2, tiers=(2,))
    made.stop(0)
    assert len(tier(made).places("host")) == 3
    made.stop(1)
    assert len(tier(made).places("host")) == 2
    assert tier(made).installed("host") == 3


def test_a_host_outside_of_all_racks_is_in_none() -> None:
    made = cluster(hosts=2, disks=1, tiers=(2,), racks=2)
    made.add_bucket("stray", "host")
    made.add_disk("stray", "tier2")
    assert [place.name for place in tier(made).places("rack")] == ["rack1", "rack2"]
    assert len(tier(made).places("host")) == 3


def test_what_is_below_another_root_does_not_count() -> None:
    made = cluster(hosts=2, disks=1, tiers=(2,))
    other = made.add_bucket("elsewhere", "root")
    made.buckets[-1] = replace(made.buckets[-1], children=tuple(c for c in made.buckets[-1].children if c != other.id))
    made.add_bucket("far", "host", under="elsewhere")
    made.add_disk("far", "tier2")
    assert [place.name for place in tier(made).places("host")] == ["primary", "secondnode1"]
    assert len(tier(made).places("osd")) == 2


def test_shadow_trees_of_device_classes_are_passed_over() -> None:
    made = cluster(hosts=2, disks=1, tiers=(2,))
    made.add_bucket("primary~tier2", "host", under="default")
    made._put(0, "primary~tier2")
    assert [place.name for place in tier(made).places("host")] == ["primary", "secondnode1"]


def test_each_mode_says_how_it_fits() -> None:
    found = tier(cluster(hosts=3, disks=7, tiers=(2,)))
    assert [(fit(found, mode, "host").glyph, fit(found, mode, "host").words) for mode in MODES.values()] == [
        ("crit", "No redundancy"),
        ("ok", "Fits, 1 spare"),
        ("warn", "Fits, no spare host"),
        ("crit", "No redundancy"),
        ("warn", "Fits, no spare host"),
        ("stopped", "Needs 5 hosts, tier 2 has 3"),
        ("stopped", "Needs 7 hosts, tier 2 has 3"),
        ("stopped", "Needs 9 hosts, tier 2 has 3"),
        ("stopped", "Needs 20 hosts, tier 2 has 3"),
    ]
    assert fit(found, MODES["ec17-3"], "osd").words == "Fits, 1 spare"
    assert fit(found, MODES["r1"], "room").words == "Needs 1 room, tier 2 has 0"


def test_a_killed_disk_changes_the_fit() -> None:
    made = cluster(hosts=3, disks=7, tiers=(2,))
    made.stop(20)
    assert fit(tier(made), MODES["ec17-3"], "osd").words == "Fits, no spare disk"
    made.stop(19)
    assert fit(tier(made), MODES["ec17-3"], "osd").words == "Needs 20 disks, tier 2 has 19"


def test_a_choice_stays_while_it_fits_and_else_the_first_redundant_one_is_taken() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    assert chosen_mode(tier(made), "host", "r3") is MODES["r3"]
    assert chosen_mode(tier(made), "host", "r1") is MODES["r1"]
    made.stop(0)
    assert chosen_mode(tier(made), "host", "r3") is MODES["r2"]
    made.stop(1)
    assert chosen_mode(tier(made), "host", "r3") is MODES["r1"]
    made.stop(2)
    assert chosen_mode(tier(made), "host", "r3") is None
    assert chosen_mode(tier(cluster()), "host", "no such mode") is MODES["r2"]


def test_usable_space_is_bounded_by_the_smallest_domains() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    for number, size in enumerate((100 * GIB, 10 * GIB, 10 * GIB)):
        made.change(number, size=size, used=0)
    made.ratios = replace(made.ratios, near_full=0.5)
    assert tier(made).usable(MODES["r3"], "host") == 5 * GIB  # half of the smallest host
    assert tier(made).usable(MODES["r2"], "host") == 10 * GIB  # the small ones against the large one
    assert tier(made).usable(MODES["r1"], "host") == 60 * GIB


def test_what_is_used_and_reserved_is_not_usable() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))  # 4 GiB each, 1 GiB used, near-full at 85%
    left = int(4 * GIB * 0.85) - GIB
    assert tier(made).usable(MODES["r3"], "host") == left
    assert tier(made).usable(MODES["ec3-2"], "host") == 0


def test_space_that_is_taken_first_leaves_less() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    before = tier(made).usable(MODES["r3"], "host")
    assert tier(made).usable(MODES["r3"], "host", without=3 * GIB) == pytest.approx(before - GIB, abs=4)
    assert tier(made).usable(MODES["r3"], "host", without=100 * GIB) == 0


def test_it_heals_when_a_spare_domain_has_the_space() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    assert tier(made).heals(MODES["r2"], "host")
    assert not tier(made).heals(MODES["r3"], "host"), "no spare host"
    made.fill(0.7)
    assert not tier(made).heals(MODES["r2"], "host"), "two hosts cannot take what the third holds"


def test_a_size_that_does_not_fit_is_greyed_and_refused() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    usable = tier(made).usable(MODES["r3"], "host")
    assert fit(tier(made), MODES["r3"], "host", usable).fits
    assert fit(tier(made), MODES["r3"], "host", usable + 1).words == "Not enough free space"
    check(made.look(), policy("r3"), usable)
    with pytest.raises(NotPossible, match="do not fit") as refusal:
        check(made.look(), policy("r3"), usable + 1)
    assert refusal.value.field == "size"


def test_the_server_refuses_what_the_picker_greys() -> None:
    made = cluster(hosts=3, disks=7, tiers=(2,))
    check(made.look(), policy("ec5-2", "osd"))
    check(made.look(), policy("r2"))
    with pytest.raises(NotPossible) as refusal:
        check(made.look(), policy("ec3-2"))
    assert "Encoding 3+2 needs 5 hosts with disks of tier 2 online, and there are 3" in str(refusal.value)
    assert refusal.value.field == "mode"


def test_a_tier_at_the_near_full_mark_is_refused_with_the_figure() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    made.fill(0.84)
    check(made.look(), policy("r2"))
    made.fill(0.86)
    with pytest.raises(NotPossible, match="Tier 2 is 86% full, and the near-full mark is 85%"):
        check(made.look(), policy("r2"))


def test_one_disk_at_the_near_full_mark_is_enough() -> None:
    made = cluster(hosts=3, disks=1, tiers=(2,))
    made.change(1, used=int(4 * GIB * 0.9))
    with pytest.raises(NotPossible, match="CS1 on secondnode1 is 90% full") as refusal:
        check(made.look(), policy("r2"))
    assert refusal.value.field == "tier"


def test_a_full_disk_of_another_tier_does_not_matter() -> None:
    made = cluster(hosts=3, disks=2, tiers=(1, 2))
    made.change(0, used=4 * GIB)
    assert made.disks[0].tier == 1
    check(made.look(), policy("r3"))


def test_a_picker_begins_with_the_tier_for_environments_that_has_disks() -> None:
    assert Tiers(cluster(tiers=(1, 2)).look()).default() == 1
    assert Tiers(cluster(tiers=(0, 2)).look()).default() == 2
    assert Tiers(cluster(tiers=(3,)).look()).default() == 3
    assert Tiers(FakeCluster().look()).default() == 1


@st.composite
def clusters(draw: st.DrawFn) -> FakeCluster:
    """Up to six hosts in up to three racks, with disks of any tier, size and state."""
    made = FakeCluster()
    for host in range(draw(st.integers(1, 6))):
        rack = draw(st.sampled_from(["", "rack1", "rack2", "rack3"]))
        if rack:
            made.add_bucket(rack, "rack")
        made.add_bucket(f"h{host}", "host", under=rack or "default")
        for _ in range(draw(st.integers(0, 5))):
            size = draw(st.integers(0, 64)) * GIB
            disk = made.add_disk(f"h{host}", f"tier{draw(st.sampled_from(TIERS))}", size=size)
            made.change(disk.id, up=draw(st.booleans()), used=int(size * draw(st.floats(0, 1))), crush_weight=1.0)
    return made


modes = st.sampled_from(list(MODES.values()))
domains = st.sampled_from(["osd", "host", "rack"])


@given(clusters())
def test_larger_domains_are_never_more_than_smaller_ones(made: FakeCluster) -> None:
    for found in Tiers(made.look()).all:
        assert len(found.places("rack")) <= len(found.places("host")) <= len(found.places("osd")) == len(found.disks)


@given(clusters(), modes, domains)
def test_what_is_usable_never_exceeds_the_raw_space_below_the_mark(
    made: FakeCluster, mode: object, domain: str
) -> None:
    for found in Tiers(made.look()).all:
        left = sum(place.left(found.ratios.near_full) for place in found.places(domain))
        usable = found.usable(mode, domain)  # type: ignore[arg-type]
        assert usable * mode.factor <= left  # type: ignore[attr-defined]
        assert usable == 0 or found.spare(mode, domain) >= 0  # type: ignore[arg-type]


@given(clusters(), modes, domains, st.data())
def test_losing_a_disk_never_makes_anything_fit_better(
    made: FakeCluster, mode: object, domain: str, data: st.DataObject
) -> None:
    up = [number for number, disk in made.disks.items() if disk.up]
    if not up:
        return
    before = [(found.usable(mode, domain), len(found.places(domain))) for found in Tiers(made.look()).all]  # type: ignore[arg-type]
    made.stop(data.draw(st.sampled_from(up)))
    after = [(found.usable(mode, domain), len(found.places(domain))) for found in Tiers(made.look()).all]  # type: ignore[arg-type]
    assert all(now[0] <= then[0] and now[1] <= then[1] for now, then in zip(after, before, strict=True))


@given(clusters(), modes, domains, st.one_of(st.none(), st.integers(0, 100 * GIB)))
def test_the_picker_and_the_server_agree(made: FakeCluster, mode: object, domain: str, size: int | None) -> None:
    facts = made.look()
    for found in Tiers(facts).all:
        told = fit(found, mode, domain, size).fits and not found.near_full  # type: ignore[arg-type]
        try:
            check(facts, Policy(found.number, mode, domain), size)  # type: ignore[arg-type]
        except NotPossible:
            assert not told
        else:
            assert told
