"""The policy picker: tier, failure domain and redundancy, with what each choice means now. For datastores and LUNs.

A page includes storage/_picker.html in its form and storage/_consequences.html beside it, with a `Picker` as `picker`;
each change asks the page of policies for both anew.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from panel.accounts.permissions import requires
from panel.ui import format as fmt
from panel.ui.htmx import is_fragment, render_page
from storage.choices import TIER_MEANING
from storage.drivers.facts import DOMAINS, ClusterFacts
from storage.models import Cluster
from storage.redundancy import DOMAIN_WORDS, MODES, Mode, Policy, counted
from storage.services.freshness import silence
from storage.services.policies import DEFAULT_DOMAIN, DEFAULT_MODE, Fit, Tier, Tiers, chosen_mode, fit
from storage.services.promises import Note, Promise, healing, notes, promise
from storage.views.look import Look, look_at_cluster, page_context

SAMPLE = 100 << 30  # what the column of raw space is reckoned for where nothing is said about the size
MOST_DRAWN = 12
NOUNS = ("datastore", "LUN")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was chosen so far; what is missing or unknown falls back to the default.

    size: bytes, where it is known. left: the mode that had to be left earlier, since it stopped fitting.
    """

    tier: int | None = None
    domain: str = DEFAULT_DOMAIN
    mode: str = DEFAULT_MODE
    size: int | None = None
    noun: str = NOUNS[0]
    left: str = ""
    chosen: bool = False  # whether the mode was said, rather than being the default


def asked(data: Mapping[str, Any]) -> Asked:
    """From a query or a form: tier, domain, mode, size in GiB, noun."""
    tier, size = data.get("tier", ""), data.get("size", "")
    return Asked(
        tier=int(tier) if tier in {str(number) for number in TIER_MEANING} else None,
        domain=data.get("domain") if data.get("domain") in DOMAINS else DEFAULT_DOMAIN,  # type: ignore[arg-type]
        mode=data.get("mode") or DEFAULT_MODE,
        size=int(size) << 30 if size.isascii() and size.isdigit() and 0 < int(size) < 1 << 20 else None,
        noun=data.get("noun") if data.get("noun") in NOUNS else NOUNS[0],  # type: ignore[arg-type]
        left=data.get("left", ""),
        chosen=bool(data.get("mode")),
    )


@dataclass(frozen=True, slots=True)
class TierRow:
    number: int
    meaning: str
    more: str
    kind: str
    tier: Tier
    chosen: bool


@dataclass(frozen=True, slots=True)
class DomainRow:
    key: str
    label: str
    default: bool
    words: str
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class ModeRow:
    mode: Mode
    fit: Fit
    raw: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A host, or a larger failure domain, with a box for each disk: what part of a piece lies there, or nothing."""

    name: str
    cells: tuple[str, ...]


class Picker:
    """Everything that the picker shows, for one cluster and one choice."""

    def __init__(self, cluster: Cluster, facts: ClusterFacts, asked: Asked, now: datetime | None = None) -> None:
        self.cluster = cluster
        self.noun = asked.noun
        self.size = asked.size
        self.silent = silence(cluster, now)
        self.domain = asked.domain
        self._facts = facts
        self._tiers = Tiers(facts)
        number = asked.tier if asked.tier is not None else self._tiers.default()
        self.tier = self._tiers[number]
        mode = chosen_mode(self.tier, self.domain, asked.mode, self.size)
        self.policy = Policy(number, mode, self.domain) if mode is not None else None
        self.left = self._left(asked)

    def _left(self, asked: Asked) -> Mode | None:
        """The mode that was chosen and does not fit any more, so that another one stands in its place."""
        for key in (asked.mode if asked.chosen else "", asked.left):
            mode = MODES.get(key)
            if mode is not None and not fit(self.tier, mode, self.domain, self.size).fits:
                return mode
        return None

    @property
    def tiers(self) -> list[TierRow]:
        rows = []
        for tier in self._tiers.all:
            words, kind = TIER_MEANING[tier.number]
            meaning, more = re.fullmatch(r"([^:,]*)[:,]? ?(.*)", words).groups()  # type: ignore[union-attr]
            rows.append(TierRow(tier.number, meaning, more, kind, tier, tier is self.tier))
        return rows

    @property
    def domains(self) -> list[DomainRow]:
        rows = []
        for key in DOMAINS:
            label, count = DOMAIN_WORDS[key][0].capitalize(), len(self.tier.places(key))
            words = f"Covers a failed {DOMAIN_WORDS[key][0]}. {count:,} in tier {self.tier.number}"
            rows.append(DomainRow(key, label, key == DEFAULT_DOMAIN, words, count, key == self.domain))
        return rows

    @property
    def modes(self) -> list[tuple[str, str, list[ModeRow]]]:
        """The two headings, what each is for, and the modes below."""
        rows = [self._mode(mode) for mode in MODES.values()]
        return [
            ("Replication", "fastest, for busy VMs and Windows guests", [row for row in rows if not row.mode.coded]),
            ("Erasure coding", "saves space, for light Linux VMs and backups", [row for row in rows if row.mode.coded]),
        ]

    def _mode(self, mode: Mode) -> ModeRow:
        fitting = fit(self.tier, mode, self.domain, self.size)
        chosen = self.policy is not None and mode is self.policy.mode
        return ModeRow(mode, fitting, mode.raw(self.size or SAMPLE), chosen)

    @property
    def raw_header(self) -> str:
        return "Raw space" if self.size else f"Raw for {fmt.space(SAMPLE)}"

    @property
    def many(self) -> str:
        """The failure domain in the plural: "hosts"."""
        return DOMAIN_WORDS[self.domain][1]

    @property
    def one(self) -> str:
        return DOMAIN_WORDS[self.domain][0]

    @cached_property
    def usable(self) -> int:
        """Bytes that can still be stored with the chosen policy, after what is asked for now."""
        if self.policy is None:
            return 0
        taken = self.policy.mode.raw(self.size) if self.size else 0
        return self.tier.usable(self.policy.mode, self.domain, without=taken)

    @property
    def raw(self) -> int:
        return self.policy.mode.raw(self.size or SAMPLE) if self.policy else 0

    @property
    def raw_sample(self) -> str:
        """ "100 GiB take 300 GiB"."""
        return f"{fmt.space(SAMPLE)} take {fmt.space(self.raw)}"

    @property
    def raw_left(self) -> int:
        return max(0, self.tier.free - (self.raw if self.size else 0))

    @property
    def promise(self) -> Promise | None:
        return promise(self.policy, self.noun) if self.policy else None

    @property
    def healing(self) -> str:
        return healing(self.policy, self.tier) if self.policy else ""

    @property
    def notes(self) -> list[Note]:
        silent = [Note("crit", f"{self.silent}.", "What is shown is from then.")] if self.silent else []
        if self.policy is None:
            return [
                *silent,
                Note("crit", "No mode fits.", f"Choose another tier{' or a smaller size' if self.size else ''}."),
            ]
        left = (
            [Note("warn", f"{self.left.label} does not fit now.", f"{self.policy.mode.label} is chosen instead.")]
            if self.left
            else []
        )
        return [*silent, *left, *notes(self.policy, self.tier, self._facts, self.noun)]

    @property
    def refusal(self) -> str:
        """Why what is chosen cannot be made now; "" when it can."""
        if self.silent:
            return self.silent
        return self.tier.near_full or ("" if self.policy else "No mode fits")

    @cached_property
    def drawing(self) -> list[Group]:
        """Where the parts of one piece may lie: with failure domain disk all on as few hosts as can be."""
        if self.policy is None:
            return []
        mode, parts = self.policy.mode, iter(_parts(self.policy.mode))
        groups = []
        for place in self.tier.places("host" if self.domain == "osd" else self.domain):
            filled = len(place.disks) if self.domain == "osd" else 1
            cells = [next(parts, "") for _ in range(min(filled, mode.needs))]
            groups.append(Group(place.name, (*cells, *[""] * (len(place.disks) - len(cells)))))
        return groups

    @property
    def drawn(self) -> list[Group]:
        return self.drawing[:MOST_DRAWN]

    @property
    def not_drawn(self) -> str:
        """ "4 hosts more", or nothing."""
        left = len(self.drawing) - MOST_DRAWN
        return f"{counted(left, 'host' if self.domain == 'osd' else self.domain)} more" if left > 0 else ""

    @property
    def legend(self) -> str:
        if self.policy is None:
            return ""
        boxes = f"Each box is a disk of tier {self.tier.number} that is online"
        what = "C: a full copy" if self.policy.mode.copies else "D: data, P: parity"
        crowded = "; parts of a piece may share a host, in the worst case so" if self.domain == "osd" else ""
        return f"{what}. {boxes}{crowded}"


def _parts(mode: Mode) -> Iterable[str]:
    return ["C"] * mode.needs if mode.copies else ["D"] * mode.data + ["P"] * mode.coding


def picker_for(look: Look | None, data: Mapping[str, Any]) -> Picker | None:
    """The picker of the page's cluster; None while there is none, or nothing is known of it."""
    return Picker(look.cluster, look.facts, asked(data)) if look is not None and look.facts is not None else None


@requires("storage.view")
@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    """GET /storage/policies/?tier=2&domain=host&mode=r3: what if; and, asked for by a picker, its two regions alone."""
    look = look_at_cluster(request)
    context = page_context(request, "Policies", look)
    context |= {"picker": picker_for(look, request.GET.dict()), "fragment": is_fragment(request)}
    return render_page(request, "storage/policies.html", context, regions=("redundancy",))
