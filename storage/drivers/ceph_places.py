"""Hosts, racks, rows and rooms in Ceph's CRUSH map. Each function is one round's work."""

from collections.abc import Iterable, Mapping

from infrastructure.drivers.errors import Conflict
from storage.drivers import placing
from storage.drivers.ceph_crush import crush
from storage.drivers.ceph_round import Round
from storage.drivers.placing import Location


def locate(ask: Round, host: str, location: Location, along: Mapping[str, Location] | None) -> bool:
    changes = placing.plan(crush(ask.ask_one("osd crush dump")).buckets, host, location, along)
    for change in changes:
        words: dict[str, object] = {"name": change.name, "args": ["=".join(change.under)]}
        if change.command == "add-bucket":
            words["type"] = change.type
        ask.do(f"osd crush {change.command}", **words)
    return bool(changes)


def remove_empty(ask: Round, names: Iterable[str]) -> tuple[str, ...]:
    removed: list[str] = []
    for name in placing.empty(crush(ask.ask_one("osd crush dump")).buckets, names):
        try:
            ask.do("osd crush rm", name=name)
        except Conflict:  # filled meanwhile, or a rule begins there
            continue
        removed.append(name)
    return tuple(removed)
