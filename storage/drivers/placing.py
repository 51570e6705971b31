"""Where hosts lie in the CRUSH map, and how one comes to another place. Nothing here talks to a cluster."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from infrastructure.drivers.errors import Conflict, NotFound, Refused
from storage.drivers.facts import Bucket

# What stands between the root and a host, from large to small: all that the panel makes and removes in the map.
LEVELS = ("room", "row", "rack")
ROOT = ("root", "default")
# Without dots: so the panel's cephx user may remove no disk ("osd.3") where it removes an empty rack.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")

# (("room", "a"), ("rack", "a1")): types and names of what a host lies in below the root, from large to small.
Location = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One command that changes the map. `under`: type and name of the bucket that it is to lie in."""

    command: Literal["add-bucket", "move"]
    name: str
    type: str
    under: tuple[str, str]

    @property
    def argv(self) -> tuple[str, ...]:
        kind = (self.type,) if self.command == "add-bucket" else ()
        return ("ceph", "osd", "crush", self.command, self.name, *kind, "=".join(self.under))


class Tree:
    """The buckets of a map by name, and what each lies in."""

    def __init__(self, buckets: Iterable[Bucket]) -> None:
        self.by_id = {bucket.id: bucket for bucket in buckets}
        self.by_name = {bucket.name: bucket for bucket in self.by_id.values()}
        self._parents = {child: bucket for bucket in self.by_id.values() for child in bucket.children}

    def parent(self, bucket: Bucket) -> tuple[str, str] | None:
        """Type and name of what it lies in; None at the top."""
        above = self._parents.get(bucket.id)
        return (above.type, above.name) if above else None

    def location(self, name: str) -> Location | None:
        """All that the bucket lies in below the default root; None when that is not its root."""
        found: list[tuple[str, str]] = []
        at = self.by_name.get(name)
        while at is not None and (above := self.parent(at)) is not None and above not in found:
            if above == ROOT:
                return tuple(reversed(found))
            found.append(above)
            at = self.by_name[above[1]]
        return None

    def held(self, bucket: Bucket) -> set[str]:
        """The hosts in it at any depth, and disks that lie in it without one ("osd.3")."""
        found: set[str] = set()
        for child in bucket.children:
            inside = self.by_id.get(child)
            if inside is None:
                found.add(f"osd.{child}")
            else:
                found |= {inside.name} if inside.type == "host" else self.held(inside)
        return found


def plan(
    buckets: Iterable[Bucket], host: str, location: Location, along: Mapping[str, Location] | None = None
) -> tuple[Change, ...]:
    """What brings the host there; nothing when it is there. Raises NotFound, Refused, Conflict.

    A rack that lies elsewhere is moved as a whole when all hosts in it go to the same place: this one and those that
    `along` says so of.
    """
    tree = Tree(buckets)
    going = {**(along or {}), host: location}
    found = tree.by_name.get(host)
    if found is None or found.type != "host":
        raise NotFound(f"The cluster's map has no host {host}", code="no-host", component="ceph")
    changes: list[Change] = []
    under = ROOT
    for depth, (level, name) in enumerate(location, start=1):
        there = tree.by_name.get(name)
        if there is None or any(name == above for _, above in location[: depth - 1]):
            _check_new(name, level, location[: depth - 1])
            changes.append(Change("add-bucket", name, level, under))
        elif there.type != level:
            raise _taken(name, there.type, level)
        elif tree.parent(there) != under:
            _require_together(tree, there, location[:depth], going)
            changes.append(Change("move", name, level, under))
        under = (level, name)
    if tree.parent(found) != under:
        changes.append(Change("move", host, "host", under))
    return tuple(changes)


def applied(buckets: Iterable[Bucket], changes: Sequence[Change]) -> tuple[Bucket, ...]:
    """The map after the changes."""
    made = {bucket.id: bucket for bucket in buckets}
    for change in changes:
        names = {bucket.name: bucket.id for bucket in made.values()}
        number = names.get(change.name, min(made, default=0) - 1)
        if change.command == "add-bucket":
            made[number] = Bucket(number, change.name, change.type)
        for bucket in tuple(made.values()):
            children = tuple(child for child in bucket.children if child != number)
            made[bucket.id] = replace(bucket, children=children)
        above = made[names[change.under[1]]]
        made[above.id] = replace(above, children=(*above.children, number))
    return tuple(made.values())


def empty(buckets: Iterable[Bucket], names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are rooms, rows or racks with nothing in them, or with nothing but such; small first."""
    tree, wanted, gone = Tree(buckets), set(names), set[int]()
    for level in reversed(LEVELS):
        for bucket in tree.by_id.values():
            if bucket.type == level and bucket.name in wanted and set(bucket.children) <= gone:
                gone.add(bucket.id)
    return tuple(bucket.name for bucket in sorted((tree.by_id[each] for each in gone), key=_order))


def _order(bucket: Bucket) -> tuple[int, str]:
    return -LEVELS.index(bucket.type), bucket.name


def _check_new(name: str, level: str, above: Location) -> None:
    if level not in LEVELS:
        raise NotFound(f"The {level} {name} is not in the cluster's map any more", code="no-bucket", component="ceph")
    if not NAME.fullmatch(name):
        raise Refused(
            f"{name!r} is no name for a {level} in Ceph's map",
            code="bad-name",
            component="ceph",
            advice="It has letters, digits, dashes and underscores.",
        )
    for type_, taken in above:
        if taken == name:
            raise _taken(name, type_, level)


def _taken(name: str, type_: str, level: str) -> Conflict:
    return Conflict(
        f"{name} is a {type_} in Ceph's map, so no {level} can be called that: each name is there once",
        code="name-taken",
        component="ceph",
        advice=f"Give the {level} another name in the location of its nodes.",
    )


def _require_together(tree: Tree, bucket: Bucket, place: Location, going: Mapping[str, Location]) -> None:
    others = sorted(name for name in tree.held(bucket) if going.get(name, ())[: len(place)] != place)
    if others:
        where = " ▸ ".join(name for _, name in tree.location(bucket.name) or ()) or "no other place"
        raise Conflict(
            f"The {bucket.type} {bucket.name} lies in {where} of Ceph's map and has {', '.join(others[:3])} in it: "
            "each name is there once",
            code="place-in-use",
            component="ceph",
            advice=f"Give one of the two another name, or say of all nodes in {bucket.name} where it stands.",
        )
