"""The CRUSH map as Ceph tells it (`osd crush dump`), read into facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.drivers.ceph_json import real, rows, text, whole
from storage.drivers.facts import Bucket, Rule

_WEIGHT_UNIT = 0x10000  # weights are 16.16 fixed point
_CODED = 3  # the type of rules for erasure-coded pools


@dataclass(frozen=True, slots=True)
class Crush:
    """Buckets, rules, and of each disk its class, weight and host."""

    buckets: tuple[Bucket, ...] = ()
    rules: tuple[Rule, ...] = ()
    classes: Mapping[int, str] = field(default_factory=dict)
    weights: Mapping[int, float] = field(default_factory=dict)
    hosts: Mapping[int, str] = field(default_factory=dict)

    def rule_name(self, number: int) -> str:
        return next((rule.name for rule in self.rules if rule.id == number), "")


def crush(dump: Mapping[str, Any]) -> Crush:
    """Read `osd crush dump`. The shadow trees that Ceph keeps for each class ("default~tier1") are left out."""
    raw = [row for row in rows(dump, "buckets") if "~" not in text(row, "name")]
    buckets = tuple(_bucket(row) for row in raw)
    weights = {
        whole(item, "id"): real(item, "weight") / _WEIGHT_UNIT
        for row in raw
        for item in rows(row, "items")
        if whole(item, "id", default=-1) >= 0
    }
    hosts = {child: bucket.name for bucket in buckets if bucket.type == "host" for child in bucket.children}
    return Crush(
        buckets=buckets,
        rules=tuple(_rule(row) for row in rows(dump, "rules")),
        classes={whole(row, "id"): text(row, "class") for row in rows(dump, "devices") if "id" in row},
        weights=weights,
        hosts=hosts,
    )


def _bucket(row: dict[str, Any]) -> Bucket:
    children = tuple(whole(item, "id") for item in rows(row, "items") if "id" in item)
    return Bucket(whole(row, "id"), text(row, "name"), text(row, "type_name"), children)


def _rule(row: dict[str, Any]) -> Rule:
    """A rule; its root, class and domain stay empty unless it has one take, one choose and one emit."""
    plain = Rule(whole(row, "rule_id"), text(row, "rule_name"), coded=whole(row, "type") == _CODED)
    steps = [step for step in rows(row, "steps") if not text(step, "op").startswith("set_")]
    if len(steps) != 3:
        return plain
    take, choose, emit = steps
    # choose… with type osd is chooseleaf over disks; of another type it would not end at disks
    leaf = text(choose, "op").startswith("chooseleaf_") or (
        text(choose, "op").startswith("choose_") and text(choose, "type") == "osd"
    )
    if text(take, "op") != "take" or not leaf or text(emit, "op") != "emit":
        return plain
    root, _, device_class = text(take, "item_name").partition("~")
    return Rule(plain.id, plain.name, plain.coded, root, device_class, text(choose, "type"))
