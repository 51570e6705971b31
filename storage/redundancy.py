"""The redundancy modes: what each costs, needs and survives. Pure: nothing of Django or Ceph is asked here.

Source: the table "Redundancy modes" of the documents the panel was made from. It prints one loss for the code 1+2; two
coding chunks survive two losses, as three copies do, so this table says 2.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

# CRUSH type → what a person calls one of it, and several.
DOMAIN_WORDS: dict[str, tuple[str, str]] = {
    "osd": ("disk", "disks"),
    "host": ("host", "hosts"),
    "rack": ("rack", "racks"),
    "row": ("row", "rows"),
    "room": ("room", "rooms"),
}


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to protect data: every piece is `data` chunks and `coding` more, no two of them in one failure domain.

    Copies are one data chunk and the other copies. `coded` says under which heading the mode is listed; how Ceph keeps
    it is another matter: a code with one data chunk is a copy, and Ceph refuses k=1.
    """

    key: str
    data: int
    coding: int
    coded: bool

    @property
    def needs(self) -> int:
        """Failure domains that a piece takes; for Ceph the pool's size."""
        return self.data + self.coding

    @property
    def copies(self) -> bool:
        """Whether Ceph keeps it as copies rather than as an erasure code."""
        return self.data == 1

    @property
    def redundant(self) -> bool:
        return self.coding > 0

    @property
    def min_size(self) -> int:
        """How many domains of a piece must be there for Ceph to read and write it."""
        if not self.copies:
            return self.data + min(self.coding, 1)
        return 1 if self.needs <= 2 else 2

    @property
    def loses_nothing_after(self) -> int:
        """So many domains may be lost at once without losing data."""
        return self.coding

    @property
    def keeps_serving_after(self) -> int:
        """So many domains may be lost at once and reads and writes go on; with more they wait."""
        return self.needs - self.min_size

    @property
    def factor(self) -> Fraction:
        """Raw bytes for each byte of data."""
        return Fraction(self.needs, self.data)

    @property
    def overhead(self) -> int:
        """What is stored beyond the data, in percent of it."""
        return round(100 * Fraction(self.coding, self.data))

    def raw(self, size: int) -> int:
        """Raw bytes that so many bytes of data take."""
        return ceil(size * self.factor)

    @property
    def label(self) -> str:
        """ "3 replicas", "Encoding 5+2"."""
        if self.coded:
            return f"Encoding {self.data}+{self.coding}"
        return "1 replica" if self.needs == 1 else f"{self.needs} replicas"

    @property
    def words(self) -> str:
        """The label inside a sentence."""
        return self.label[0].lower() + self.label[1:]


MODES: dict[str, Mode] = {
    mode.key: mode
    for mode in (
        Mode("r1", 1, 0, coded=False),
        Mode("r2", 1, 1, coded=False),
        Mode("r3", 1, 2, coded=False),
        Mode("ec1-0", 1, 0, coded=True),
        Mode("ec1-2", 1, 2, coded=True),
        Mode("ec3-2", 3, 2, coded=True),
        Mode("ec5-2", 5, 2, coded=True),
        Mode("ec7-2", 7, 2, coded=True),
        Mode("ec17-3", 17, 3, coded=True),
    )
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A storage policy: tier, redundancy and failure domain ("osd", "host", "rack", "row" or "room")."""

    tier: int
    mode: Mode
    domain: str

    def __str__(self) -> str:
        return f"Tier {self.tier}, {self.mode.words} over {DOMAIN_WORDS[self.domain][1]}"


def counted(number: int, domain: str) -> str:
    """Failure domains with their noun: "1 host", "5 disks"."""
    return f"{number:,} {DOMAIN_WORDS[domain][number != 1]}"


def largest_stripe(free: list[int], width: int) -> int:
    """The most bytes x that `width` chunks of x bytes each can have, no two bytes of one piece in one domain.

    free: bytes left in each failure domain. A domain holds at most one chunk of a piece, thus at most x in all, so x is
    the largest with width·x ≤ Σ min(free, x). For every j < width the domains other than the j largest must hold what
    these j cannot: (width − j)·x ≤ their sum; the tightest of these bounds is x. With as many domains as chunks it is
    the smallest domain.
    """
    if len(free) < width:
        return 0
    rest = sum(free)
    bound = rest // width
    for place, biggest in enumerate(sorted(free, reverse=True)[: width - 1], start=1):
        rest -= biggest
        bound = min(bound, rest // (width - place))
    return bound
