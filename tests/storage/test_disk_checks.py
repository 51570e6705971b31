"""Whether a disk may change its tier or leave: each rule with its figure, and what to do."""

from dataclasses import replace
from typing import Any

import pytest

from infrastructure.services.errors import NotPossible
from infrastructure.services.preflight import Check
from storage.drivers.facts import ClusterFacts, Groups, Rule
from storage.services import disk_checks
from tests.storage.samples import GIB, cluster_facts, disk_facts, pool_facts

TIER2 = Rule(1, "mooring-tier2-host", coded=False, root="default", device_class="tier2", domain="host")
ANY = Rule(2, "replicated_rule", coded=False, root="default", domain="host")


def by_key(checks: list[Check]) -> dict[str, Check]:
    return {check.key: check for check in checks}


def with_pool(*, size: int = 3, rule: str = "mooring-tier1-host", **changes: Any) -> ClusterFacts:
    """Three hosts, each with disks in tier 1, 2 and 1, and a pool of the rule."""
    facts = cluster_facts(rules=(*cluster_facts().rules, TIER2, ANY))
    return replace(facts, pools=(pool_facts(2, "vms", size=size, rule=rule),), **changes)


def test_a_disk_beside_another_of_its_tier_may_go(db: None) -> None:
    facts = with_pool()
    checks = by_key(disk_checks.tier_checks(facts, facts.disks[0]))

    assert {check.state for check in checks.values()} == {"passed", "warning"}
    assert checks["redundancy"].state == "warning", "three copies on three hosts leave no spare host"
    assert "in primary, where vms must keep it" in checks["space"].text


def test_the_last_disk_of_its_tier_on_a_host_that_a_pool_needs_may_not_go() -> None:
    facts = with_pool(rule="mooring-tier2-host")
    check = by_key(disk_checks.tier_checks(facts, facts.disks[1]))["redundancy"]

    assert check.state == "failed"
    assert check.text == "vms needs 3 hosts of tier 2, and without CS1 there are 2"
    assert check.fix.startswith("Add a disk of tier 2 to another host")


def test_the_last_disks_that_a_pool_over_disks_needs_may_not_go() -> None:
    rule = Rule(3, "mooring-t2.osd", coded=False, root="default", device_class="tier2", domain="osd")
    facts = replace(with_pool(rule=rule.name), rules=(rule,))
    check = by_key(disk_checks.release_checks(facts, facts.disks[1]))["redundancy"]

    assert check.text == "vms needs 3 disks of tier 2, and without CS1 there are 2"
    assert check.fix.startswith("Add a disk of tier 2 anywhere")


@pytest.mark.parametrize(("up", "words"), [(True, "CS0 is online"), (False, "CS0 does not run")])
def test_a_disk_may_leave_whether_it_runs_or_not(up: bool, words: str) -> None:
    facts = with_pool(size=2)
    check = by_key(disk_checks.release_checks(facts, replace(facts.disks[0], up=up)))["disk"]
    assert (check.state, check.text) == ("passed", words)


def test_pools_of_another_tier_do_not_hold_it() -> None:
    facts = with_pool(rule="mooring-tier1-host")
    checks = by_key(disk_checks.tier_checks(facts, facts.disks[1]))

    assert checks["redundancy"].text == "No pool keeps data on it"
    assert checks["space"].text == "Nothing has to move"


def test_a_pool_of_all_tiers_does_not_mind_another_tier_but_a_release() -> None:
    facts = with_pool(rule="replicated_rule", disks=tuple(disk_facts(n, host=h) for n, h in enumerate("abc")))
    buckets = cluster_facts(hosts=("a", "b", "c"), disks=1).buckets
    facts = replace(facts, buckets=buckets)

    assert by_key(disk_checks.tier_checks(facts, facts.disks[0]))["redundancy"].state == "passed"
    assert by_key(disk_checks.release_checks(facts, facts.disks[0]))["redundancy"].state == "failed"


def test_what_does_not_fit_on_the_others_of_its_host_is_refused_with_figures() -> None:
    facts = with_pool()
    full = tuple(replace(disk, used=3 * GIB) if disk.id == 2 else disk for disk in facts.disks)
    facts = replace(facts, disks=full)
    check = by_key(disk_checks.tier_checks(facts, facts.disks[0]))["space"]

    assert check.state == "failed"
    assert "1 GiB lie on CS0" in check.text and "in primary" in check.text
    assert "410 MiB before they are near-full (85%)" in check.text


def test_with_a_spare_host_its_data_may_go_to_any_of_them() -> None:
    facts = with_pool(size=2)
    full = tuple(replace(disk, used=3 * GIB) if disk.id == 2 else disk for disk in facts.disks)
    check = by_key(disk_checks.tier_checks(replace(facts, disks=full), full[0]))["space"]

    assert check.state == "passed"


def test_a_disk_that_is_down_cannot_change_its_tier() -> None:
    facts = with_pool()
    down = replace(facts.disks[0], up=False)
    with pytest.raises(NotPossible, match=r"CS0 does not run\. Start its service"):
        disk_checks.require(disk_checks.tier_checks(facts, down))


def test_a_flag_that_holds_data_in_place_is_named_with_its_command() -> None:
    facts = with_pool(flags=("noout", "norebalance"))
    check = by_key(disk_checks.tier_checks(facts, facts.disks[0]))["flags"]

    assert check.text == "Moving data is switched off: norebalance"
    assert "ceph osd unset norebalance" in check.fix


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("stale+down", "failed"),
        ("undersized+peered", "failed"),
        ("creating+peering", "warning"),  # the task waits until they have agreed
        ("peering", "warning"),
        ("active+undersized", "passed"),
    ],
)
def test_blocked_chunks_rule_it_out(state: str, expected: str) -> None:
    facts = with_pool(groups=Groups(total=2, states={state: 2}))
    assert by_key(disk_checks.tier_checks(facts, facts.disks[0]))["groups"].state == expected


def test_missing_copies_are_a_warning_with_their_number() -> None:
    facts = with_pool(groups=Groups(total=2, states={"active+degraded": 2}, copies=10, degraded_copies=4))
    check = by_key(disk_checks.tier_checks(facts, facts.disks[0]))["groups"]

    assert (check.state, check.text) == ("warning", "4 copies are not healed yet")


def test_without_a_manager_nothing_is_reckoned_with_old_figures() -> None:
    facts = with_pool(manager_answers=False)
    assert by_key(disk_checks.tier_checks(facts, facts.disks[0]))["answers"].state == "failed"


def test_a_rule_that_cannot_be_judged_is_not_guessed() -> None:
    facts = with_pool(rule="odd")
    facts = replace(facts, rules=(Rule(5, "odd", coded=False, device_class="tier1"),))
    assert by_key(disk_checks.tier_checks(facts, facts.disks[0]))["redundancy"].state == "unknown"


@pytest.mark.parametrize(
    ("odd", "state"),
    [
        (Rule(5, "odd", coded=False), "unknown"),  # several takes: nobody knows of which class
        (Rule(5, "odd", coded=False, root="primary", device_class="tier1", domain="osd"), "unknown"),
        (Rule(5, "odd", coded=False, root="default", device_class="tier1", domain="datacenter"), "unknown"),
        (Rule(5, "odd", coded=False, root="secondnode1", device_class="tier1", domain="osd"), "passed"),
        (Rule(5, "odd", coded=False, root="elsewhere", domain="host"), "passed"),
        (Rule(5, "odd", coded=False, root="default", device_class="tier2", domain="datacenter"), "passed"),
        (Rule(5, "odd", coded=False, root="default", domain="host"), "passed"),  # whatever its class, the disk stays
    ],
)
def test_a_change_of_tier_is_not_passed_by_rules_that_nobody_can_judge(odd: Rule, state: str) -> None:
    facts = with_pool(rule="odd")
    facts = replace(facts, rules=(*facts.rules, odd))
    assert by_key(disk_checks.tier_checks(facts, facts.disks[0]))["redundancy"].state == state


def test_a_failed_disk_may_go_although_it_does_not_run_and_needs_no_space() -> None:
    facts = with_pool(groups=Groups(total=2, states={"active+degraded": 2}, copies=10, degraded_copies=1))
    down = replace(facts.disks[0], up=False, used=100 * GIB)
    checks = by_key(disk_checks.release_checks(facts, down))

    assert (checks["disk"].state, checks["space"].state) == ("passed", "warning")
    assert checks["space"].text == "1 copy is not healed yet"
