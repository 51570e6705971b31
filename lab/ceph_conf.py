"""What the lab's storage is told: ceph.conf, keys and keyrings, as text."""

import base64
import json
import os
import struct
import time

from lab import ceph_layout, network
from lab.instance import NODE_NAMES, Instance

ADMIN = "client.admin"
_CAPS = {
    "mon.": {"mon": "allow *"},
    ADMIN: {"mon": "allow *", "osd": "allow *", "mds": "allow *", "mgr": "allow *"},
    "mgr": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
    "mds": {"mon": "allow profile mds", "osd": "allow rw tag cephfs *=*", "mgr": "allow profile mds"},
    "osd": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
}
# Many small daemons on two cores, and a dead one noticed while a test waits; the rest is as Ceph comes.
_SETTINGS = """
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
# quick
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 2
mgr_stats_period = 2
ms_async_op_threads = 1
# pools
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = on
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_max_pg_per_osd = 1000
# a dead daemon is noticed within seconds, and what it held is made again elsewhere
osd_heartbeat_interval = 2
osd_heartbeat_grace = 6
mon_osd_adjust_heartbeat_grace = false
mon_osd_down_out_interval = 15
mon_osd_adjust_down_out_interval = false
mon_mgr_beacon_grace = 10
mds_beacon_interval = 2
mds_beacon_grace = 10
mds_beacon_mon_down_grace = 10
osd_recovery_sleep = 0
mon_client_hunt_interval = 1
mon_client_hunt_interval_max_multiple = 2
# the disk of the monitors is the whole machine's
mon_data_avail_warn = 5
mon_data_avail_crit = 1
mon_cluster_log_file_level = info
# restful lacks Python packages on Debian
mgr_initial_modules = iostat

[osd]
osd_objectstore = bluestore
osd_crush_update_on_start = false
osd_class_update_on_start = false
osd_op_num_shards = 1
osd_op_num_threads_per_shard = 1
bluestore_block_size = {disk_bytes}
bluestore_fsck_on_mkfs = false
bluestore_cache_autotune = false
bluestore_cache_size = 33554432
# instead of twenty times a second, which was a quarter of what an idle disk costs
bluestore_cache_trim_interval = 1
# the kernel's whole allowance of asynchronous requests is shared by all labs of the machine
bdev_aio_max_queue_depth = 128
"""


def fsid(instance: Instance) -> str:
    """The cluster's id: the same until the lab is purged."""
    return str(instance.uuid_of("ceph"))


def monitor_address(instance: Instance, node: str) -> str:
    """Where the node's monitor listens, in the form that ceph.conf and monmaptool take."""
    address = instance.address(network.FIRST_NODE + NODE_NAMES.index(node))
    return f"[v2:{address}:3300,v1:{address}:6789]"


def monitor_host(instance: Instance) -> str:
    """All monitors' addresses, in the order of ceph_layout.MONITORS."""
    return ",".join(monitor_address(instance, node) for node in ceph_layout.MONITORS)


def conf(instance: Instance) -> str:
    """/etc/ceph/ceph.conf, the same on each node."""
    head = [
        "[global]",
        f"fsid = {fsid(instance)}",
        f"mon_initial_members = {','.join(ceph_layout.MONITORS)}",
        f"mon_host = {monitor_host(instance)}",
        f"public_network = {instance.address(0)}/24",
    ]
    return "\n".join(head) + _SETTINGS.format(disk_bytes=ceph_layout.DISK_BYTES)


def new_key() -> str:
    """A fresh cephx key: type AES, time made, length, 16 random bytes."""
    return base64.b64encode(struct.pack("<hiih", 1, int(time.time()), 0, 16) + os.urandom(16)).decode()


def keys(instance: Instance) -> dict[str, str]:
    """The keys the cluster begins with, by entity ("mon.", "client.admin", "mgr.primary"); made at the first call."""
    path = instance.directory / "ceph-keys.json"
    if not path.exists():
        entities = ["mon.", ADMIN]
        entities += [f"mgr.{node}" for node in ceph_layout.MANAGERS]
        entities += [f"mds.{node}" for node in ceph_layout.METADATA_SERVERS]
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({entity: new_key() for entity in entities}, indent=1))
        fresh.replace(path)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def keyring(entity: str, key: str) -> str:
    """A keyring with one entity and the capabilities of its kind."""
    caps = _CAPS.get(entity) or _CAPS[entity.partition(".")[0]]
    lines = [f"[{entity}]", f"\tkey = {key}", *(f'\tcaps {service} = "{cap}"' for service, cap in caps.items())]
    return "\n".join(lines) + "\n"
