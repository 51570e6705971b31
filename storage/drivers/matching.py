"""Whether what exists is what was asked for: the rules that every driver keeps. Nothing here talks to a cluster."""

import re
from collections.abc import Mapping

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from storage.drivers.facts import FilesystemFacts, PoolFacts, Profile, Rule

# A pool is made under its name with this ending and gets its own name when nothing is missing of it: so a pool that
# lacks the marks is never taken for one that an interrupted call left behind.
UNFINISHED = ".making"
# All pools, rules and profiles of the panel begin so: its cephx user may change no others.
OWN = "mooring-"
# The one file system for all datastores for files: its name, its own two pools, and where its directories lie.
FILESYSTEM = "mooring"
FILES_METADATA, FILES_ROOT = f"{OWN}files.meta", f"{OWN}files.root"
VOLUMES = "/volumes/mooring"
# The key that the panel's marks have among them; the panel's cephx user may touch objects of pools that carry it alone.
MARK = "mooring"
_NAME = re.compile(r"mooring-[A-Za-z0-9_.-]{1,100}")
MOST_ENTRIES = 1000  # of a directory that are told
_DIRECTORY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
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


def require_own_filesystem(there: FilesystemFacts) -> None:
    """Conflict when the file system of the panel's name keeps its metadata elsewhere: somebody else made it."""
    if there.metadata_pool != FILES_METADATA:
        raise Conflict(
            f"There is a file system {there.name} already whose metadata lie in the pool {there.metadata_pool}",
            code="foreign-filesystem",
            component="ceph",
            advice="The panel needs this name: rename or remove that file system if nobody needs it.",
        )


def require_filesystem(there: FilesystemFacts | None) -> FilesystemFacts:
    """NotFound while there is none."""
    if there is None:
        raise NotFound(f"There is no file system {FILESYSTEM}", code="no-filesystem", component="ceph")
    return there


def require_serving(there: FilesystemFacts | None) -> None:
    """DriverError while no metadata server is active for it: whatever is asked of its directories would wait."""
    if not require_filesystem(there).serving:
        raise DriverError(
            f"No metadata server is active for the file system {FILESYSTEM}",
            code="no-metadata-server",
            component="ceph",
            retryable=True,
            advice="Start ceph-mds on a node, better on two.",
        )


def require_no_data_pools(there: FilesystemFacts) -> None:
    """Conflict while datastores keep data in it."""
    if used := [pool for pool in there.data_pools if pool != FILES_ROOT]:
        raise Conflict(
            f"The file system {FILESYSTEM} is used: it keeps data in {', '.join(used)}",
            code="in-use",
            component="ceph",
            advice="Remove the datastores for files first.",
        )


def directory_differs(path: str) -> Conflict:
    return Conflict(
        f"The directory {path} is there already, holds files and keeps them in another pool",
        code="directory-differs",
        component="ceph",
        advice="It is left as it is. Choose another name for the datastore.",
    )


def directory_of(name: str) -> str:
    """The path of a datastore's directory in the file system. Refused for what is no plain name."""
    if not _DIRECTORY.fullmatch(name):
        raise Refused(f"{name!r} is no name for a directory", code="bad-name", component="ceph")
    return f"{VOLUMES}/{name}"


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
