"""What the picker promises in words: both figures, healing, and what to beware of."""

from dataclasses import replace

import pytest

from storage.drivers.facts import Flow, Groups
from storage.drivers.fake import FakeCluster, cluster
from storage.redundancy import MODES, Policy
from storage.services.policies import Tiers
from storage.services.promises import healing, notes, promise


def told(made: FakeCluster, key: str, domain: str = "host") -> list[tuple[str, str]]:
    facts = made.look()
    found = notes(Policy(2, MODES[key], domain), Tiers(facts)[2], facts)
    return [(note.tone, note.fact) for note in found]


@pytest.mark.parametrize(
    ("key", "keeps", "serves"),
    [
        ("r2", "any 1 host is lost", "any 1 host is lost"),
        ("r3", "any 2 hosts are lost", "any 1 host is lost"),
        ("ec1-2", "any 2 hosts are lost", "any 1 host is lost"),
        ("ec5-2", "any 2 hosts are lost", "any 1 host is lost"),
        ("ec17-3", "any 3 hosts are lost", "any 2 hosts are lost"),
    ],
)
def test_it_tells_both_figures(key: str, keeps: str, serves: str) -> None:
    said = promise(Policy(2, MODES[key], "host"))
    assert (said.glyph, said.keeps) == ("ok", f"Loses nothing after {keeps}")
    assert said.serves.startswith(f"Keeps serving after {serves}.")


@pytest.mark.parametrize("key", ["r1", "ec1-0"])
def test_no_redundancy_promises_nothing_and_warns(key: str) -> None:
    assert promise(Policy(2, MODES[key], "host"), "LUN").keeps == "The loss of one disk destroys data of this LUN"
    facts = cluster(tiers=(2,)).look()
    note = notes(Policy(2, MODES[key], "host"), Tiers(facts)[2], facts)[0]
    assert (note.tone, note.follows) == (
        "crit",
        "A datastore without redundancy should be used only if the underlying drives have their own protection (RAID "
        "controller, SAN/NAS).",
    )


def test_copies_over_disks_warn_of_the_loss_of_a_host() -> None:
    assert told(cluster(disks=3, tiers=(2,)), "r2", "osd") == [("crit", "The loss of one host may lose data.")]
    assert told(cluster(hosts=4, disks=2, tiers=(2,)), "r3", "osd") == [
        ("warn", "The loss of one host may stop this datastore.")
    ]
    assert told(cluster(hosts=4, disks=1, tiers=(2,)), "r3", "osd") == [("info", "A lost host is covered today.")]
    assert told(cluster(hosts=4, disks=3, tiers=(2,)), "r3", "host") == []


def test_exactly_as_many_domains_as_needed_warns_that_nothing_heals() -> None:
    made = cluster(disks=1, tiers=(2,))
    assert told(made, "r3") == [("warn", "No spare host.")]
    assert told(made, "r2") == []
    tier = Tiers(made.look())[2]
    assert healing(Policy(2, MODES["r3"], "host"), tier) == "Cannot heal: no spare host"
    assert healing(Policy(2, MODES["r2"], "host"), tier) == "Heals by itself"
    assert healing(Policy(2, MODES["r1"], "host"), tier) == "Cannot heal: there is no second copy"


def test_a_spare_without_space_warns_too() -> None:
    made = cluster(disks=1, tiers=(2,))
    made.fill(0.7)
    assert told(made, "r2") == [("warn", "No space to heal.")]
    assert healing(Policy(2, MODES["r2"], "host"), Tiers(made.look())[2]) == "Cannot heal: no space"


def test_domains_that_are_away_are_told() -> None:
    made = cluster(hosts=4, disks=1, tiers=(2,))
    made.stop(3)
    assert ("info", "3 of 4 hosts count.") in told(made, "r2")


def test_a_near_full_tier_comes_first() -> None:
    made = cluster(disks=1, tiers=(2,))
    made.fill(0.87)
    assert told(made, "r3")[0] == ("crit", "Tier 2 is 87% full, and the near-full mark is 85%.")


@pytest.mark.parametrize(
    "busy",
    [
        {"flow": Flow(recovery_bytes=1.0)},
        {"groups": Groups(8, degraded_copies=1)},
        {"groups": Groups(8, misplaced_copies=2)},
    ],
)
def test_running_self_heal_is_told(busy: dict[str, object]) -> None:
    made = cluster(hosts=4, disks=1, tiers=(2,))
    facts = replace(made.look(), **busy)  # type: ignore[arg-type]
    found = notes(Policy(2, MODES["r2"], "host"), Tiers(facts)[2], facts)
    assert [note.fact for note in found] == ["Self-heal is running."]
