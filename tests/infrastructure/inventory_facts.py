"""Facts as a driver reports them, for the tests of the inventory."""

from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from django.utils import timezone

from infrastructure.drivers.facts import NetworkFacts, NodeFacts, VEFacts, VEKind, VEState
from infrastructure.models import Node


def uuid_of(name: str) -> str:
    return str(uuid5(NAMESPACE_DNS, name))


def make_node(name: str, **columns: Any) -> Node:
    columns = {"address": f"{name}.lab", "uuid": uuid_of(f"host {name}"), "onboarded_at": timezone.now()} | columns
    return Node.objects.create(name=name, **columns)


def node_facts(node: Node | str, **changes: Any) -> NodeFacts:
    name = node if isinstance(node, str) else node.name
    values: dict[str, Any] = {
        "uuid": uuid_of(f"host {name}"),
        "hostname": name,
        "libvirt_version": "9.0.0",
        "qemu_version": "7.2.0",
        "cpu_model": "Any CPU",
        "cpu_threads": 4,
        "cpu_mhz": 2400,
        "memory_bytes": 8 << 30,
        "memory_free": 4 << 30,
        "capabilities": frozenset({"vm", "ct", "events"}),
        "networks": (NetworkFacts("default", "virbr0"),),
    }
    return NodeFacts(**values | changes)


def ve_facts(name: str, state: str = "running", **changes: Any) -> VEFacts:
    values: dict[str, Any] = {
        "uuid": uuid_of(name),
        "name": name,
        "kind": VEKind.VM,
        "state": VEState(state),
        "vcpus": 2,
        "memory_bytes": 1 << 30,
    }
    return VEFacts(**values | changes)


def later(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
