"""Whether what exists is what was asked for: the rules that every driver keeps. Nothing here talks to a cluster."""

import re
from collections.abc import Mapping

from infrastructure.drivers.errors import Conflict, Refused
from storage.drivers.facts import PoolFacts, Profile, Rule

# A pool is made under its name with this ending and gets its own name when nothing is missing of it: so a pool that
# lacks the marks is never taken for one that an interrupted call left behind.
UNFINISHED = ".making"
# All pools, rules and profiles of the panel begin so: its cephx user may change no others.
OWN = "mooring-"
# The key that the panel's marks have among them; the panel's cephx user may touch objects of pools that carry it alone.
MARK = "mooring"
_NAME = re.compile(r"mooring-[A-Za-z0-9_.-]{1,100}")
_CHOOSE = "Choose another name, or remove it in Ceph if nobody needs it."


def check_name(name: str) -> None:
    """Refuse what is no plain name of a pool, rule or profile of the panel, before it reaches an engine."""
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} is no name for a pool, rule or profile of the panel",
            code="bad-name",
            component="ceph",
            advice=f"It begins with {OWN} and has letters, digits, dots, dashes and underscores.",
        )


def min_size(size: int) -> int:
    """How many copies must be there for reads and writes to go on."""
    return 1 if size <= 2 else 2


def min_chunks(profile: Profile) -> int:
    """How many chunks must be there for reads and writes to go on."""
    return profile.data + min(1, profile.coding)


def carries(pool: PoolFacts, marks: Mapping[str, str]) -> bool:
    """Whether one of the pool's applications has all these marks in its metadata."""
    return any(marks.items() <= dict(metadata).items() for metadata in pool.applications.values())


def require_same_rule(rule: Rule, *, device_class: str, domain: str) -> None:
    if rule.coded or (rule.device_class, rule.domain) != (device_class, domain):
        raise Conflict(
            f"The CRUSH rule {rule.name} exists already and places data otherwise",
            code="rule-differs",
            component="ceph",
            advice=_CHOOSE,
        )


def require_same_profile(there: Profile, wanted: Profile) -> None:
    if there != wanted:
        raise Conflict(
            f"The erasure-code profile {there.name} exists already and differs: it is {describe(there)}",
            code="profile-differs",
            component="ceph",
            advice=_CHOOSE,
        )


def describe(profile: Profile) -> str:
    return f"{profile.data}+{profile.coding} over {profile.domain}, {profile.device_class or 'any class'}"


def require_same_pool(
    pool: PoolFacts, *, coded: bool, size: int, rule: str, profile: str, application: str, marks: Mapping[str, str]
) -> None:
    """Conflict when a pool of this name is somebody else's, or protects its data otherwise."""
    require_marks(pool, marks)
    same = (pool.coded, pool.size, pool.rule) == (coded, size, rule) and (not coded or pool.profile == profile)
    if not same or application not in pool.applications:
        raise Conflict(
            f"The pool {pool.name} exists already and keeps its data otherwise",
            code="pool-differs",
            component="ceph",
            advice=_CHOOSE,
        )


def require_marks(pool: PoolFacts, marks: Mapping[str, str]) -> None:
    """Conflict when the pool was not made by the panel."""
    if not carries(pool, marks):
        raise Conflict(
            f"The pool {pool.name} does not carry the panel's marks: it was made by somebody else",
            code="foreign-pool",
            component="ceph",
            advice="The panel changes only pools that it made; choose another name.",
        )


def require_readable(pool: PoolFacts) -> None:
    """Refuse to look into a pool of images that the panel did not make."""
    if MARK not in pool.applications.get("rbd", {}):
        raise Refused(
            f"The panel may not look into the pool {pool.name}, which it did not make for images",
            code="foreign-pool",
            component="ceph",
            advice="Look at it with `rbd ls` on a node.",
        )


def in_use(kind: str, name: str, pools: list[str]) -> Conflict:
    """The error for a rule or profile that pools use."""
    return Conflict(
        f"The {kind} {name} is used by {', '.join(pools)}",
        code="in-use",
        component="ceph",
        advice="Remove these pools first.",
    )
