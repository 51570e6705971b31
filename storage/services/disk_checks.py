"""Whether a disk can change its tier or leave: dialogs show it check by check, the worker makes the checks again.

All of it is reckoned from what one look at the cluster told. Sizes are bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from infrastructure.services.errors import NotPossible
from infrastructure.services.preflight import Check
from panel.ui.format import count, percent, space
from storage.chunks import count as count_chunks
from storage.drivers.facts import ClusterFacts, DiskFacts, PoolFacts, Rule, tier_of
from storage.placement import ROOT, Topology, takes_data
from storage.redundancy import DOMAIN_WORDS, counted

# Flags with which an admin keeps Ceph from moving data; what each does is Ceph's documentation of `ceph osd set`.
HOLDING_FLAGS = ("norebalance", "nobackfill", "norecover")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A disk without which the pools of some rules have to do. `rules` are those that place data on it."""

    facts: ClusterFacts
    disk: DiskFacts
    rules: dict[str, Rule]

    @property
    def pools(self) -> list[PoolFacts]:
        return [pool for pool in self.facts.pools if pool.rule in self.rules]

    def others(self, rule: Rule) -> list[DiskFacts]:
        """The other disks on which the rule can place data now."""
        return [
            disk
            for disk in self.facts.disks
            if disk.id != self.disk.id and takes_data(disk) and rule.device_class in ("", disk.device_class)
        ]


def tier_checks(facts: ClusterFacts, disk: DiskFacts) -> list[Check]:
    """Whether the disk may get another tier: only the pools of its present device class let go of it."""
    leaving = _leaving(facts, disk, {disk.device_class} if disk.device_class else set())
    return [_runs(disk), *of_cluster(facts), _redundancy(leaving), _space(leaving)]


def release_checks(facts: ClusterFacts, disk: DiskFacts) -> list[Check]:
    """Whether the disk may leave the cluster."""
    leaving = _leaving(facts, disk, {"", disk.device_class})
    runs = _passed("disk", f"{name(disk)} {'is online' if disk.up else 'does not run'}")
    return [runs, *of_cluster(facts), _healed(leaving) if not disk.up else _space(leaving), _redundancy(leaving)]


def pools_on(facts: ClusterFacts, number: int) -> list[PoolFacts]:
    """The pools whose rules place data on disks like this one."""
    disk = next((each for each in facts.disks if each.id == number), None)
    return _leaving(facts, disk, {"", disk.device_class}).pools if disk is not None else []


def require(checks: Iterable[Check]) -> None:
    """NotPossible with the first check that rules it out: its figures, and what to do."""
    for check in checks:
        if check.state in ("failed", "unknown"):
            raise NotPossible(check.text, advice=check.fix)


def name(disk: DiskFacts) -> str:
    return f"CS{disk.id}"


def class_words(device_class: str) -> str:
    """ "tier 1" for a tier's class; a foreign one by its name."""
    tier = tier_of(device_class)
    return f"tier {tier}" if tier is not None else f"class {device_class}" if device_class else "no class"


def _leaving(facts: ClusterFacts, disk: DiskFacts, classes: set[str]) -> Leaving:
    """`classes`: device classes of which the disk leaves. A rule that cannot be judged may place data on it."""
    used, above = {pool.rule for pool in facts.pools}, _above(facts, disk)

    def concerned(rule: Rule) -> bool:
        if _judged(rule):
            return rule.device_class in classes
        return not rule.root or (rule.root in above and rule.device_class in classes)

    return Leaving(facts, disk, {rule.name: rule for rule in facts.rules if rule.name in used and concerned(rule)})


def _judged(rule: Rule) -> bool:
    """Whether the rule is of the simple kind that can be reckoned with."""
    return rule.root == ROOT and rule.domain in DOMAIN_WORDS


def _above(facts: ClusterFacts, disk: DiskFacts) -> set[str]:
    """Names of the places that the disk lies in, its root among them."""
    found, lies_in = set[str](), {child: bucket for bucket in facts.buckets for child in bucket.children}
    at = lies_in.get(disk.id)
    while at is not None and at.name not in found:
        found.add(at.name)
        at = lies_in.get(at.id)
    return found


def _runs(disk: DiskFacts) -> Check:
    if not disk.up:
        return _failed("disk", f"{name(disk)} does not run", "Start its service on the node, or remove it as failed.")
    if not disk.taken:
        return _failed(
            "disk", f"{name(disk)} is out: its data moves away", "Wait until it is released, or take it in again."
        )
    return _passed("disk", f"{name(disk)} is online and in use")


def of_cluster(facts: ClusterFacts) -> list[Check]:
    """Whether the cluster is in a state to move data."""
    if not facts.manager_answers:
        return [_failed("answers", "No manager answers, so the figures are old", "Start a manager, then try again.")]
    return [_flags(facts), _groups(facts)]


def _flags(facts: ClusterFacts) -> Check:
    set_ = [flag for flag in HOLDING_FLAGS if flag in facts.flags]
    if set_:
        commands = ", ".join(f"`ceph osd unset {flag}`" for flag in set_)
        return _failed("flags", f"Moving data is switched off: {', '.join(set_)}", f"Allow it with {commands}.")
    return _passed("flags", "Ceph may move data")


def _groups(facts: ClusterFacts) -> Check:
    chunks = count_chunks(facts.groups)
    if chunks.not_served:
        words = f"{count(chunks.not_served, 'chunk')} {'is' if chunks.not_served == 1 else 'are'} not served"
        return _failed("groups", words, "Bring back the disks that are offline; the Overview says which.")
    if chunks.settling:
        text = f"{count(chunks.settling, 'chunk')} {'is' if chunks.settling == 1 else 'are'} between two states"
        return Check("groups", _TITLES["groups"], "warning", text, "That takes seconds; the task waits for it.")
    missing = facts.groups.degraded_copies
    if missing:
        text = f"{count(missing, 'copy', 'copies')} {'is' if missing == 1 else 'are'} not healed yet"
        return Check("groups", _TITLES["groups"], "warning", text, "Healing goes first, so the move takes longer.")
    return _passed("groups", "Every chunk is active")


def _redundancy(leaving: Leaving) -> Check:
    """Every pool that lets go of the disk still has a domain for each of its pieces."""
    topology = Topology(leaving.facts)
    tight: list[str] = []
    if leaving.disk.groups and topology.place_of(leaving.disk, "osd") is None:
        text = f"{name(leaving.disk)} lies outside the root “{ROOT}”, whose rules Mooring knows"
        return Check("redundancy", _TITLES["redundancy"], "unknown", text, "Move it below that root first.")
    for pool in leaving.pools:
        rule = leaving.rules[pool.rule]
        if not _judged(rule):
            text = f"The rule {rule.name} of {pool.name} is none that Mooring can judge"
            return Check("redundancy", _TITLES["redundancy"], "unknown", text, "Move that pool to another rule first.")
        have = len(_domains(topology, leaving.others(rule), rule.domain))
        if have < pool.size:
            where = f" of {class_words(rule.device_class)}" if rule.device_class else ""
            return _failed(
                "redundancy",
                f"{pool.name} needs {counted(pool.size, rule.domain)}{where}, and without {name(leaving.disk)} there "
                f"{'is' if have == 1 else 'are'} {have}",
                f"Add a disk{where} {_to_another(rule.domain)}, or remove what the pool holds and the pool.",
            )
        if have == pool.size:
            tight.append(DOMAIN_WORDS[rule.domain][0])
    if tight:
        text = f"Enough for every pool, but no spare {tight[0]} is left to heal on after a failure"
        return Check("redundancy", _TITLES["redundancy"], "warning", text, "One more disk in another place mends that.")
    return _passed("redundancy", "Every pool keeps its redundancy" if leaving.pools else "No pool keeps data on it")


def _to_another(domain: str) -> str:
    return "anywhere" if domain == "osd" else f"to another {DOMAIN_WORDS[domain][0]}"


def _space(leaving: Leaving) -> Check:
    """What lies on the disk fits on the others before they are near-full; also where it must stay in its domain."""
    disk, topology, mark = leaving.disk, Topology(leaving.facts), leaving.facts.ratios.near_full
    if not leaving.pools:
        return _passed("space", "Nothing has to move")
    rooms: list[tuple[int, str]] = []
    for pool in leaving.pools:
        rule = leaving.rules[pool.rule]
        others = leaving.others(rule)
        where = f"the other disks of {class_words(rule.device_class)}" if rule.device_class else "the other disks"
        domains = _domains(topology, others, rule.domain)
        own = topology.place_of(disk, rule.domain)
        if own in domains and len(domains) == pool.size:  # each piece has a part in every domain: no part can leave it
            others = domains[own]
            where += f" in {own}, where {pool.name} must keep it,"
        rooms.append((_room(others, mark), where))
    room, where = min(rooms)
    if disk.used > room:
        return _failed(
            "space",
            f"{space(disk.used)} lie on {name(disk)}, and {where} take {space(room)} before they are near-full "
            f"({percent(100 * mark)})",
            "Add disks there, or delete data that nobody needs.",
        )
    return _passed("space", f"{space(disk.used)} move, {space(room)} fit on {where.rstrip(',')}")


def _healed(leaving: Leaving) -> Check:
    """A disk that does not run holds what it held; what matters is whether the others have all of it again."""
    missing = leaving.facts.groups.degraded_copies
    if missing:
        text = f"{count(missing, 'copy', 'copies')} {'is' if missing == 1 else 'are'} not healed yet"
        return Check("space", _TITLES["space"], "warning", text, "The disk is removed once nothing is missing.")
    return _passed("space", "Nothing is missing without it")


def _domains(topology: Topology, disks: Iterable[DiskFacts], domain: str) -> dict[str, list[DiskFacts]]:
    found: dict[str, list[DiskFacts]] = {}
    for disk in disks:
        if (place := topology.place_of(disk, domain)) is not None:
            found.setdefault(place, []).append(disk)
    return found


def _room(disks: Iterable[DiskFacts], mark: float) -> int:
    return sum(max(0, int(disk.size * mark) - disk.used) for disk in disks)


_TITLES = {
    "disk": "Disk",
    "answers": "Figures are current",
    "flags": "Moving data is allowed",
    "groups": "Chunks",
    "redundancy": "Redundancy",
    "space": "Space",
}


def _passed(key: str, text: str) -> Check:
    return Check(key, _TITLES[key], "passed", text)


def _failed(key: str, text: str, fix: str) -> Check:
    return Check(key, _TITLES[key], "failed", text, fix)
