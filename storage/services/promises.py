"""What a policy promises, in words: what survives, what goes on, what heals, and what to beware of."""

from dataclasses import dataclass

from storage.drivers.facts import ClusterFacts
from storage.redundancy import DOMAIN_WORDS, Policy, counted
from storage.services.policies import NEAR_FULL_ADVICE, Tier

# The words of the product that the panel's users know.
NO_REDUNDANCY = (
    "A {noun} without redundancy should be used only if the underlying drives have their own protection (RAID "
    "controller, SAN/NAS)."
)


@dataclass(frozen=True, slots=True)
class Note:
    """A remark: its tone, the fact, and what follows from it."""

    tone: str  # "crit", "warn" or "info"
    fact: str
    follows: str


@dataclass(frozen=True, slots=True)
class Promise:
    """The two figures of a policy as sentences. `glyph` is "ok", or "crit" when one loss destroys data."""

    glyph: str
    keeps: str
    serves: str


def promise(policy: Policy, noun: str = "datastore") -> Promise:
    """How many failures lose nothing, and after how many reads and writes go on; two figures, never one."""
    mode, domain = policy.mode, policy.domain
    if not mode.redundant:
        return Promise(
            "crit",
            f"The loss of one disk destroys data of this {noun}",
            "Reads and writes of what lay on a disk wait while it is away.",
        )
    return Promise(
        "ok",
        f"Loses nothing after {_lost(mode.loses_nothing_after, domain)}",
        f"Keeps serving after {_lost(mode.keeps_serving_after, domain)}. Beyond that, reads and writes wait until "
        "enough is back, or healed elsewhere.",
    )


def _lost(number: int, domain: str) -> str:
    return f"any {counted(number, domain)} {'is' if number == 1 else 'are'} lost"


def healing(policy: Policy, tier: Tier) -> str:
    """What happens after one failure: "Heals by itself", or why it does not."""
    if not policy.mode.redundant:
        return "Cannot heal: there is no second copy"
    if tier.spare(policy.mode, policy.domain) < 1:
        return f"Cannot heal: no spare {DOMAIN_WORDS[policy.domain][0]}"
    return "Heals by itself" if tier.heals(policy.mode, policy.domain) else "Cannot heal: no space"


def notes(policy: Policy, tier: Tier, facts: ClusterFacts, noun: str = "datastore") -> list[Note]:
    """What to beware of with this policy now, the gravest first."""
    found = [
        *_near_full(tier),
        *_redundancy(policy, noun),
        *_one_host(policy, tier, noun),
        *_spare(policy, tier),
        *_absent(policy, tier),
        *_healing_now(facts),
    ]
    return sorted(found, key=lambda note: ("crit", "warn", "info").index(note.tone))


def _near_full(tier: Tier) -> list[Note]:
    return [Note("crit", f"{tier.near_full}.", NEAR_FULL_ADVICE)] if tier.near_full else []


def _redundancy(policy: Policy, noun: str) -> list[Note]:
    return [] if policy.mode.redundant else [Note("crit", "No redundancy.", NO_REDUNDANCY.format(noun=noun))]


def _one_host(policy: Policy, tier: Tier, noun: str) -> list[Note]:
    mode = policy.mode
    if policy.domain != "osd" or not mode.redundant:
        return []
    most = tier.most_on_one_host(mode)
    parts = "copies" if mode.copies else "parts"
    if most > mode.loses_nothing_after:
        return [
            Note(
                "crit",
                "The loss of one host may lose data.",
                f"{most} {parts} of a piece may lie on one host, and only {mode.loses_nothing_after} may be lost. "
                f"{_surer(policy, tier)}",
            )
        ]
    if most > mode.keeps_serving_after:
        return [
            Note(
                "warn",
                f"The loss of one host may stop this {noun}.",
                f"{most} {parts} of a piece may lie on one host; nothing would be lost, but reads and writes would "
                "wait until it is back.",
            )
        ]
    follows = f"More disks in a host can change that. {_surer(policy, tier)}"
    return [Note("info", "A lost host is covered today.", follows)]


def _surer(policy: Policy, tier: Tier) -> str:
    """What to choose instead: only what can be chosen is advised."""
    hosts = len(tier.places("host"))
    if hosts >= policy.mode.needs:
        return "Choose Host to be sure."
    return f"To be sure choose Host, with a mode that {counted(hosts, 'host')} can hold."


def _spare(policy: Policy, tier: Tier) -> list[Note]:
    if not policy.mode.redundant:
        return []
    one, many = DOMAIN_WORDS[policy.domain]
    if tier.spare(policy.mode, policy.domain) == 0:
        return [
            Note(
                "warn",
                f"No spare {one}.",
                f"After a failure the data cannot heal until the {one} is back or replaced. Add one more {one}.",
            )
        ]
    if tier.spare(policy.mode, policy.domain) > 0 and not tier.heals(policy.mode, policy.domain):
        return [Note("warn", "No space to heal.", f"What one {one} holds does not fit on the other {many}. Add disks.")]
    return []


def _absent(policy: Policy, tier: Tier) -> list[Note]:
    there, installed = len(tier.places(policy.domain)), tier.installed(policy.domain)
    if there >= installed:
        return []
    return [
        Note(
            "info",
            f"{there} of {counted(installed, policy.domain)} count.",
            f"Those without a disk of tier {tier.number} that is up and in are left out.",
        )
    ]


def _healing_now(facts: ClusterFacts) -> list[Note]:
    if not (facts.flow.recovery_bytes or facts.groups.degraded_copies or facts.groups.misplaced_copies):
        return []
    return [Note("info", "Self-heal is running.", "Writes may be slower until all copies are where they belong.")]
