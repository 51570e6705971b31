"""Whether a policy fits a cluster now: the rules that pickers show, services keep, and workers keep again.

All of it is reckoned from what one look at the cluster told. Only domains count that can take data now, not those that
are installed. Sizes are bytes.
"""

from dataclasses import dataclass
from functools import cached_property

from infrastructure.services.errors import InvalidInput, NotPossible
from panel.ui.format import percent, space
from storage.drivers.facts import TIERS, ClusterFacts, DiskFacts
from storage.placement import Place, Topology, takes_data
from storage.redundancy import DOMAIN_WORDS, MODES, Mode, Policy, counted, largest_stripe

DEFAULT_MODE = "r3"
DEFAULT_DOMAIN = "host"
_TIERS_BY_USE = (1, 2, 0, 3)  # the tier for virtual environments first


def require_tier(number: int) -> None:
    """InvalidInput for a tier that no cluster has."""
    if number not in TIERS:
        raise InvalidInput(f"There is no tier {number}", advice="Choose tier 0, 1, 2 or 3.", field="tier")


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a mode can be chosen, with its glyph and words: "Fits, 1 spare"; "Needs 5 hosts, tier 2 has 3"."""

    glyph: str  # "ok", "warn", "crit" or "stopped"
    words: str
    fits: bool


class Tier:
    """One tier of one cluster, as far as placing data goes."""

    def __init__(self, facts: ClusterFacts, topology: Topology, number: int) -> None:
        self.number = number
        self.ratios = facts.ratios
        self._topology = topology
        self._places: dict[str, tuple[Place, ...]] = {}
        self.disks = [disk for disk in facts.disks if disk.tier == number and takes_data(disk)]
        self.size = sum(disk.size for disk in self.disks)
        self.used = sum(disk.used for disk in self.disks)

    @property
    def free(self) -> int:
        return self.size - self.used

    @property
    def fill(self) -> float:
        """Used in percent of the size."""
        return 100 * self.used / self.size if self.size else 0.0

    def places(self, domain: str) -> tuple[Place, ...]:
        """The failure domains that can take data of the tier now."""
        if domain not in self._places:
            self._places[domain] = self._topology.places(self.number, domain)
        return self._places[domain]

    def installed(self, domain: str) -> int:
        """How many there are, those that cannot take data now included."""
        return self._topology.installed(self.number, domain)

    def usable(self, mode: Mode, domain: str, without: int = 0) -> int:
        """What can still be stored in a mode before a disk is near-full, as far as placing it can be even.

        without: raw bytes that something else takes first; taken from all domains evenly.
        """
        places = self.places(domain)
        left = [place.left(self.ratios.near_full) for place in places]
        if without and (most := sum(left)):
            left = [each - each * without // most for each in left]
        return max(0, largest_stripe(left, mode.needs)) * mode.data

    def spare(self, mode: Mode, domain: str) -> int:
        """How many domains there are beyond those that the mode needs; negative when it needs more."""
        return len(self.places(domain)) - mode.needs

    def heals(self, mode: Mode, domain: str) -> bool:
        """Whether what any one domain holds can be rebuilt on the others: there is a spare one, and space enough."""
        places = self.places(domain)
        if len(places) <= mode.needs:
            return False
        room = sum(place.left(self.ratios.backfill_full) for place in places)
        return all(place.used <= room - place.left(self.ratios.backfill_full) for place in places)

    def most_on_one_host(self, mode: Mode) -> int:
        """With failure domain disk: how many parts of a piece may lie on one host."""
        return min(mode.needs, max((len(place.disks) for place in self.places("host")), default=0))

    @property
    def fullest(self) -> DiskFacts | None:
        return max(self.disks, key=lambda disk: _fill(disk), default=None)

    @cached_property
    def near_full(self) -> str:
        """Why nothing more may be placed on the tier, with the figure; "" while it may."""
        mark = 100 * self.ratios.near_full
        if self.size and self.fill >= mark:
            return f"Tier {self.number} is {percent(self.fill)} full, and the near-full mark is {percent(mark)}"
        disk = self.fullest
        if disk is not None and _fill(disk) >= mark:
            return (
                f"CS{disk.id} on {disk.host or 'no host'} is {percent(_fill(disk))} full, and the near-full mark of "
                f"tier {self.number} is {percent(mark)}"
            )
        return ""


NEAR_FULL_ADVICE = "Add disks to the tier, or delete data that nobody needs."


class Tiers:
    """The tiers of a cluster after one look."""

    def __init__(self, facts: ClusterFacts) -> None:
        topology = Topology(facts)
        self.facts = facts
        self.all = tuple(Tier(facts, topology, number) for number in TIERS)

    def __getitem__(self, number: int) -> Tier:
        return self.all[number]

    def default(self) -> int:
        """The tier that a picker begins with."""
        return next((number for number in _TIERS_BY_USE if self.all[number].disks), _TIERS_BY_USE[0])


def fit(tier: Tier, mode: Mode, domain: str, size: int | None = None) -> Fit:
    """How a mode fits a tier and failure domain; `size`: what is to be stored, where that is known."""
    spare = tier.spare(mode, domain)
    if spare < 0:
        have = len(tier.places(domain))
        return Fit("stopped", f"Needs {counted(mode.needs, domain)}, tier {tier.number} has {have}", fits=False)
    if size is not None and size > tier.usable(mode, domain):
        return Fit("stopped", "Not enough free space", fits=False)
    if not mode.redundant:
        return Fit("crit", "No redundancy", fits=True)
    if not spare:
        return Fit("warn", f"Fits, no spare {DOMAIN_WORDS[domain][0]}", fits=True)
    return Fit("ok", f"Fits, {spare} spare", fits=True)


def chosen_mode(tier: Tier, domain: str, asked: str, size: int | None = None) -> Mode | None:
    """The mode that was asked for while it fits, then the first redundant one that fits, then any; None without one."""
    fitting = [mode for mode in MODES.values() if fit(tier, mode, domain, size).fits]
    wanted = MODES.get(asked)
    if wanted in fitting:
        return wanted
    return next((mode for mode in fitting if mode.redundant), fitting[0] if fitting else None)


def check(facts: ClusterFacts, policy: Policy, size: int | None = None) -> None:
    """Refuse a policy that does not fit the cluster as it was last looked at. NotPossible with the figures."""
    tier = Tiers(facts)[policy.tier]
    if tier.near_full:
        raise NotPossible(tier.near_full, advice=NEAR_FULL_ADVICE, field="tier")
    have, domain = len(tier.places(policy.domain)), policy.domain
    if have < policy.mode.needs:
        raise NotPossible(
            f"{policy.mode.label} needs {counted(policy.mode.needs, domain)} with disks of tier {tier.number} online, "
            f"and there {'is' if have == 1 else 'are'} {have}",
            advice="Choose another mode or failure domain, or bring more of them online.",
            field="mode",
        )
    usable = tier.usable(policy.mode, domain)
    if size is not None and size > usable:
        raise NotPossible(
            f"{space(size)} do not fit: {space(usable)} are left in tier {tier.number} with {policy.mode.words}",
            advice="Choose a smaller size or another policy.",
            field="size",
        )


def _fill(disk: DiskFacts) -> float:
    return 100 * disk.used / disk.size if disk.size else 0.0
