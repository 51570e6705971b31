"""Where hosts stand, as the administrator says it of nodes, and where Ceph's map has them: what differs, and the move.

It is never done by itself: Ceph moves data when a host gets another place. A node of which no location is known says
nothing, and hosts below another root than the default one are somebody else's.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.http import HttpRequest

from infrastructure.drivers.errors import DriverError
from infrastructure.models import Node
from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from infrastructure.services.preflight import Check
from panel.accounts.models import User
from panel.ui.format import count, space
from storage.drivers import placing
from storage.drivers.facts import Bucket, ClusterFacts, Rule
from storage.drivers.placing import LEVELS, Location, Tree
from storage.models import Cluster
from storage.placement import Topology, takes_data
from storage.redundancy import DOMAIN_WORDS, counted
from storage.services import chunk_service, disk_checks
from storage.services.freshness import current_facts
from storage.services.observed import facts_of
from tasks.models import Task
from tasks.services import Target, enqueue

PERMISSION = "storage.manage"
LOCATE = "storage.locate"
MOST_IN_TITLE = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """A host that stands elsewhere than Ceph has it. `used`: bytes on its disks; `problem`: why it cannot be moved."""

    node: Node
    host: str
    now: Location
    wanted: Location
    disks: int
    used: int
    problem: str = ""
    advice: str = ""

    @property
    def stands(self) -> str:
        return words(self.wanted)

    @property
    def lies(self) -> str:
        """ "in rack b", "in no rack": the level that its place begins with is the one that is missed."""
        return f"in {words(self.now)}" if self.now else f"in no {self.wanted[-1][0]}"


def safe(name: str) -> str:
    """A name as Ceph's map can have it: letters and digits stay, everything between them is one dash."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")


def place_of(node: Node) -> Location:
    """Where the node stands, by the names that Ceph's map gets; levels that are not said are left out."""
    told = {"room": node.room, "row": node.row, "rack": node.rack}
    return tuple((level, safe(told[level])) for level in LEVELS if told[level].strip())


def words(location: Location) -> str:
    """ "room a, rack a1"; a name that says itself what it is stays alone: "rack-1"."""
    named = (name if name.lower().startswith(level) else f"{level} {name}" for level, name in location)
    return ", ".join(named)


def differences(cluster: Cluster, facts: ClusterFacts | None = None) -> list[Difference]:
    """The hosts whose nodes have a location that the map does not have them in, by name. One query."""
    facts = facts or facts_of(cluster)
    if facts is None:
        return []
    nodes = list(Node.objects.filter(onboarded_at__isnull=False))
    tree, found = Tree(facts.buckets), []
    for host in sorted(bucket.name for bucket in facts.buckets if bucket.type == "host"):
        known, now = chunk_service.matching(host, nodes), tree.location(host)
        if len(known) != 1 or now is None or not known[0].location:
            continue
        wanted = place_of(known[0])
        if wanted != tuple(place for place in now if place[0] in LEVELS):
            disks = [disk for disk in facts.disks if disk.host == host]
            found.append(Difference(known[0], host, now, wanted, len(disks), sum(disk.used for disk in disks)))
    return [_judged(each, facts.buckets, found) for each in found]


def _judged(difference: Difference, buckets: Iterable[Bucket], all_: Sequence[Difference]) -> Difference:
    along = {each.host: each.wanted for each in all_}
    for level, name in difference.wanted:
        if not name:
            told = getattr(difference.node, level)
            return replace(
                difference,
                problem=f"“{told}” has no letter or digit that Ceph's map can have",
                advice=f"Give the {level} a name with letters from a to z or digits.",
            )
    try:
        placing.plan(buckets, difference.host, difference.wanted, along)
    except DriverError as error:
        return replace(difference, problem=error.message, advice=error.advice)
    return difference


def checks(facts: ClusterFacts, moves: Mapping[str, Location]) -> list[Check]:
    """Whether these hosts may be moved together: the cluster can move data, and every pool keeps its redundancy."""
    try:
        after = moved(facts, moves)
    except DriverError as error:
        return [Check("place", "Place", "failed", error.message, error.advice)]
    place = Check("place", "Place", "passed", "Ceph's map can have these places")
    return [place, *disk_checks.of_cluster(facts), _redundancy(facts, after)]


def moved(facts: ClusterFacts, moves: Mapping[str, Location]) -> ClusterFacts:
    """The facts with the hosts where they are to be. Raises DriverError where that cannot be."""
    buckets: tuple[Bucket, ...] = facts.buckets
    for host, location in moves.items():
        buckets = placing.applied(buckets, placing.plan(buckets, host, location, moves))
    return replace(facts, buckets=buckets)


def _redundancy(before: ClusterFacts, after: ClusterFacts) -> Check:
    rules = {rule.name: rule for rule in before.rules if rule.domain in LEVELS}
    for pool in before.pools:
        if (rule := rules.get(pool.rule)) is None:
            continue
        have = _domains(after, rule)
        if have < pool.size and have < _domains(before, rule):
            return Check(
                "redundancy",
                "Redundancy",
                "failed",
                f"{pool.name} needs {counted(pool.size, rule.domain)}, and then there would be {have}",
                f"Leave the hosts in {pool.size} {DOMAIN_WORDS[rule.domain][1]}, or remove the pool first.",
            )
    return Check("redundancy", "Redundancy", "passed", "Every pool keeps its redundancy")


def _domains(facts: ClusterFacts, rule: Rule) -> int:
    """In how many domains the rule can place data."""
    topology = Topology(facts)
    disks = [disk for disk in facts.disks if takes_data(disk) and rule.device_class in ("", disk.device_class)]
    return len({place for disk in disks if (place := topology.place_of(disk, rule.domain)) is not None})


def locate(*, user: User | None, cluster: Cluster, hosts: Collection[str], request: HttpRequest | None = None) -> Task:
    """Start moving these hosts in Ceph's map to where their nodes stand; their data moves.

    Raises PermissionDenied, InvalidInput, TaskConflict; NotPossible with the figures when a check does not pass.
    """
    authorize(user=user, permission=PERMISSION, action=LOCATE, obj=cluster, request=request)
    if not hosts:
        raise InvalidInput("No host is chosen", advice="Choose at least one.", field="hosts")
    facts = current_facts(cluster)
    found = {each.host: each for each in differences(cluster, facts)}
    for host in hosts:
        if host not in found:
            raise NotPossible(f"{host} lies where its node stands", advice="Nothing is left to do for it.")
    chosen = [each for each in found.values() if each.host in hosts]
    for each in chosen:
        if each.problem:
            raise NotPossible(f"{each.host}: {each.problem}", advice=each.advice)
    disk_checks.require(checks(facts, {each.host: each.wanted for each in chosen}))
    names = [each.host for each in chosen]
    shown = ", ".join(names) if len(names) <= MOST_IN_TITLE else count(len(names), "host")
    return enqueue(
        LOCATE,
        user=user,
        request=request,
        params={
            "cluster_id": cluster.pk,
            "moves": [{"host": each.host, "now": _json(each.now), "wanted": _json(each.wanted)} for each in chosen],
        },
        title_args={"hosts": shown},
        targets=[Target("cluster", cluster.pk, cluster.name)],
        place=cluster.name,
        permission_object=cluster,
        facts={each.host: f"{each.lies} → {each.stands}" for each in chosen[:MOST_IN_TITLE]}
        | {"Data": space(sum(each.used for each in chosen))},
    )


def _json(location: Location) -> list[list[str]]:
    return [list(place) for place in location]
