"""The lab's storage as a whole: made, brought up, waited for, its disks switched off and on."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab import ceph_client, ceph_conf, ceph_daemons, ceph_files, ceph_layout
from lab.ceph_client import Client
from lab.ceph_layout import Osd
from lab.errors import LabError
from lab.instance import Instance, StorageChoice
from lab.node import Node, nodes

_ANSWER_LIMIT = 60.0  # seconds until the monitors have a quorum
_UP_LIMIT = 90.0  # seconds until all OSDs are up
_HEALTH_LIMIT = 90.0  # seconds until a new cluster is healthy
_PASSING_LIMIT = 20.0  # seconds that a kept one is given until its warnings are told
_STARTS = 4  # how often an OSD that ended is started
_WEIGHT = ceph_layout.DISK_BYTES / (1 << 40)  # CRUSH counts in TiB
# Warnings about how pools are set or what once happened: waiting does not end them.
_LASTING = ("POOL_", "OSDMAP_FLAGS", "OSD_FLAGS", "RECENT_", "FS_", "MDS_", "TOO_", "AUTH_", "CACHE_")


def prepare(instance: Instance, *, disks: int | None, one_tier: int | None) -> None:
    """Settles what the storage is to be, before the nodes boot. Raises LabError for what cannot be."""
    ceph_files.require_ceph(instance)
    instance.storage = ceph_layout.choose(instance.storage, disks=disks, one_tier=one_tier)
    ceph_conf.keys(instance)
    instance.save()


def ensure(instance: Instance, lab_nodes: Sequence[Node]) -> None:
    """Makes the cluster, or brings back the kept one, with all disks on. All nodes must have power and link.

    Raises LabError when OSDs stay down, or when a cluster just made is not healthy.
    """
    by_name = {node.name: node for node in lab_nodes}
    placed = [(by_name[osd.node], osd) for osd in ceph_layout.osds(_choice(instance))]
    missing = [node for node in lab_nodes if not ceph_files.monitor_made(node)]
    for node, osd in placed:
        ceph_files.switch(node, osd, on=True)
    with ThreadPoolExecutor(len(lab_nodes)) as pool:
        list(pool.map(ceph_daemons.make_monitor, missing))
        list(pool.map(ceph_daemons.start_all, lab_nodes))
    ceph_daemons.make_osds([(node, osd) for node, osd in placed if not ceph_files.osd_made(node, osd)])
    with ceph_client.connected(instance, timeout=_ANSWER_LIMIT) as client:
        _register(client, placed)
        _start(placed)
        # There are no real disks to read SMART from, and no pool is wanted for it.
        client.ask("config set", who="mgr", name="mgr/devicehealth/enable_monitoring", value="false", force=True)
        _wait_for_osds(client, placed)
        _wait_for_manager(client, instance)
        _wait_for_health(client, instance, strict=bool(missing))


def wait_for_node(node: Node) -> None:
    """Waits until a node that was just given power has its OSDs back, if its monitors can have a quorum."""
    instance = node.instance
    mine = [osd for osd in ceph_layout.osds(instance.storage) if osd.node == node.name] if instance.storage else []
    placed = [(node, osd) for osd in mine if _may_run(node, osd)]
    if not placed:
        return
    if not quorum_possible(instance) or node.name in instance.cut:
        print(f"Storage: {node.name} is alone, and a quorum needs two nodes with power and link; not waited for.")
        return
    for other in nodes(instance):
        if other.powered:  # what gave up while there was no quorum tries again
            ceph_daemons.start_all(other)
    try:
        with ceph_client.connected(instance, timeout=_ANSWER_LIMIT) as client:
            _wait_for_monitor(node)
            _wait_for_osds(client, placed)
    except ceph_client.NoQuorum as error:
        print(f"Storage: {error}; not waited for.")


def disk_off(instance: Instance, number: int) -> None:
    """Kills the OSD at once; it stays off until disk_on, over power cuts too. Nothing happens to one that is off."""
    node, osd = _disk(instance, number)
    ceph_files.switch(node, osd, on=False)
    if node.powered:
        ceph_daemons.end(node, osd)


def disk_on(instance: Instance, number: int) -> None:
    """Starts the OSD and waits until the cluster has it up. In a node without power it starts when that boots."""
    node, osd = _disk(instance, number)
    ceph_files.switch(node, osd, on=True)
    if not node.powered:
        print(f"{node.name} has no power: {osd.name} starts with it.")
        return
    _start([(node, osd)])
    if not quorum_possible(instance) or node.name in instance.cut:
        print(f"Storage: no quorum can see {osd.name}; not waited for.")
        return
    with ceph_client.connected(instance, timeout=_ANSWER_LIMIT) as client:
        _wait_for_osds(client, [(node, osd)])


def quorum_possible(instance: Instance) -> bool:
    """True when two nodes have power and link, which is what three monitors need."""
    return len([node for node in nodes(instance) if node.powered and node.name not in instance.cut]) > 1


def up_osds(client: Client) -> dict[int, dict[str, Any]]:
    """The cluster's OSDs by number, as `osd dump` tells them: "up" and "in" are 0 or 1."""
    return {entry["osd"]: entry for entry in client.ask("osd dump")["osds"]}


def _choice(instance: Instance) -> StorageChoice:
    if instance.storage is None:
        raise LabError(f"the lab “{instance.name}” has no storage yet: run bin/lab --instance {instance.name} up")
    return instance.storage


def _disk(instance: Instance, number: int) -> tuple[Node, Osd]:
    osd = ceph_layout.osd(number, instance.storage)
    node = Node(instance, osd.node)
    if not ceph_files.osd_registered(node, osd):
        raise LabError(f"{osd.name} was never made: run bin/lab --instance {instance.name} up")
    return node, osd


def _may_run(node: Node, osd: Osd) -> bool:
    return ceph_files.osd_registered(node, osd) and not ceph_files.switched_off(node, osd)


def _register(client: Client, placed: Sequence[tuple[Node, Osd]]) -> None:
    """Makes the cluster know each OSD that it does not know. One that somebody removed comes back empty."""
    known = {entry["id"] for entry in client.ask("osd tree")["nodes"]}  # strays are not among them
    unknown = [(node, osd) for node, osd in placed if osd.number not in known]
    removed = [(node, osd) for node, osd in unknown if ceph_files.osd_registered(node, osd)]
    for node, osd in removed:
        _purge_stray(client, node, osd)
    ceph_daemons.make_osds(removed)
    for node in {node for node, _ in unknown}:
        client.ask("osd crush add-bucket", name=node.name, type="host")
        client.ask("osd crush move", name=node.name, args=["root=default"])
    # Also those known but not noted: a killed run may have ended between the two.
    for node, osd in placed:
        if osd.number in known and ceph_files.osd_registered(node, osd):
            continue
        secret = f'{{"cephx_secret": "{ceph_files.osd_key(node, osd)}"}}'.encode()
        client.ask("osd new", data=secret, uuid=ceph_files.osd_uuid(node, osd), id=osd.number)
        client.ask("osd crush add", id=osd.number, weight=_WEIGHT, args=["root=default", f"host={node.name}"])
        client.ask("osd crush set-device-class", more={"class": osd.tier}, ids=[osd.name])
        ceph_files.note_registered(node, osd)


def _purge_stray(client: Client, node: Node, osd: Osd) -> None:
    """Ends what is left of an OSD that was removed: one still running then puts itself back, without key and place."""
    ceph_daemons.end(node, osd)
    if osd.number in up_osds(client):
        client.ask("osd down", ids=[str(osd.number)])
        client.ask("osd purge-actual", id=osd.number, yes_i_really_mean_it=True)


def _start(placed: Sequence[tuple[Node, Osd]]) -> None:
    for node in {node for node, _ in placed}:
        ceph_daemons.start(node, [osd for home, osd in placed if home == node])


def _wait_for_monitor(node: Node) -> None:
    deadline = time.monotonic() + _ANSWER_LIMIT
    while ceph_daemons.state(node, f"mon.{node.name}") not in {"leader", "peon"}:
        if time.monotonic() > deadline:
            raise LabError(f"the monitor of {node.name} does not join the quorum: see {_log(node, 'mon', node.name)}")
        time.sleep(0.2)


def _wait_for_osds(client: Client, placed: Sequence[tuple[Node, Osd]]) -> None:
    """Waits until all that the cluster knows are up. One that ended is started again.

    An OSD ends now and then at its first start, with “wrong fsid” in its log.
    """
    deadline, starts = time.monotonic() + _UP_LIMIT, Counter[int]()
    while True:
        known = up_osds(client)
        down = [
            (node, osd)
            for node, osd in placed
            if osd.number in known and not (known[osd.number]["up"] and _active(node, osd))
        ]
        if not down:
            return
        if time.monotonic() > deadline:
            node, osd = down[0]
            names = ", ".join(osd.name for _, osd in down)
            raise LabError(f"not up after {_UP_LIMIT:.0f} s: {names}. See {_log(node, 'osd', osd.number)}")
        for node in {node for node, _ in down}:
            alive = ceph_daemons.running(node)
            ended = [osd for home, osd in down if home == node and osd.name not in alive]
            starts.update(osd.number for osd in ended)
            ceph_daemons.start(node, [osd for osd in ended if starts[osd.number] <= _STARTS])
        time.sleep(0.5)


def _wait_for_manager(client: Client, instance: Instance) -> None:
    """Without a manager the monitors may call a cluster healthy of which they know nothing."""
    deadline = time.monotonic() + _ANSWER_LIMIT
    while not client.ask("mgr dump")["available"]:
        if time.monotonic() > deadline:
            log = _log(nodes(instance)[0], "mgr", ceph_layout.MANAGERS[0])
            raise LabError(f"no manager is active: see {log}")
        time.sleep(0.2)


def _wait_for_health(client: Client, instance: Instance, *, strict: bool) -> None:
    """Waits for HEALTH_OK. A kept cluster may have warnings that the lab did not cause: they are told, not refused."""
    deadline = time.monotonic() + (_HEALTH_LIMIT if strict else _PASSING_LIMIT)
    while (health := client.ask("health"))["status"] != "HEALTH_OK":
        checks = sorted(health["checks"])
        passing = [check for check in checks if not check.startswith(_LASTING)]
        late = time.monotonic() > deadline
        if strict and late:
            log = _log(nodes(instance)[0], "mon", "primary")
            raise LabError(f"the storage is {health['status']} ({', '.join(checks)}): see {log}")
        if not strict and (late or not passing):
            print(f"({health['status']}: {', '.join(checks)})", end=" ", flush=True)
            return
        time.sleep(0.5)


def _active(node: Node, osd: Osd) -> bool:
    return ceph_daemons.state(node, osd.name) == "active"


def _log(node: Node, kind: str, name: object) -> str:
    return str(node.root / "var" / "log" / "ceph" / f"ceph-{kind}.{name}.log")
