"""Short answers of a Ceph cluster: two hosts, a disk each, one pool of copies and a coded one."""

from typing import Any

STATUS: dict[str, Any] = {
    "fsid": "11758b0b-d743-4aed-83f2-7c72edeee814",
    "health": {"status": "HEALTH_OK", "checks": {}, "mutes": []},
    "mgrmap": {"available": True},
    "pgmap": {
        "pgs_by_state": [{"state_name": "active+clean", "count": 17}],
        "num_pgs": 17,
        "num_objects": 5,
        "read_bytes_sec": 2048,
        "write_op_per_sec": 7,
    },
}
HEALTH: dict[str, Any] = {
    "status": "HEALTH_WARN",
    "checks": {
        "OSD_DOWN": {
            "severity": "HEALTH_WARN",
            "summary": {"message": "1 osds down", "count": 1},
            "detail": [{"message": "osd.1 is down"}],
            "muted": False,
        }
    },
}
OSD_DUMP: dict[str, Any] = {
    "flags": "noout,sortbitwise,recovery_deletes",
    "nearfull_ratio": 0.8500000238418579,
    "full_ratio": 0.949999988079071,
    "pools": [
        {"pool": 1, "pool_name": "rbd", "type": 1, "size": 2, "min_size": 1, "crush_rule": 0, "pg_num": 16},
        {
            "pool": 2,
            "pool_name": "mooring-e",
            "type": 3,
            "size": 3,
            "min_size": 3,
            "crush_rule": 1,
            "pg_num": 8,
            "erasure_code_profile": "p21",
            "application_metadata": {"rbd": {"mooring": "vm"}},
        },
    ],
    "osds": [
        {"osd": 0, "uuid": "u0", "up": 1, "in": 1, "weight": 1, "public_addr": "10.0.0.1:6801/123"},
        {"osd": 1, "uuid": "u1", "up": 0, "in": 0, "weight": 0, "public_addr": "10.0.0.2:6801/124"},
    ],
    "erasure_code_profiles": {
        "p21": {
            "k": "2",
            "m": "1",
            "crush-failure-domain": "host",
            "crush-device-class": "tier1",
            "crush-root": "default",
            "plugin": "jerasure",
        }
    },
}
CRUSH: dict[str, Any] = {
    "devices": [{"id": 0, "name": "osd.0", "class": "tier1"}, {"id": 1, "name": "osd.1", "class": "tier2"}],
    "buckets": [
        {"id": -1, "name": "default", "type_name": "root", "items": [{"id": -2, "weight": 65536}, {"id": -3}]},
        {"id": -2, "name": "one", "type_name": "host", "items": [{"id": 0, "weight": 65536}]},
        {"id": -3, "name": "two", "type_name": "host", "items": [{"id": 1, "weight": 32768}]},
        {"id": -5, "name": "one~tier1", "type_name": "host", "items": [{"id": 0, "weight": 65536}]},
        {"id": -8, "name": "default~tier1", "type_name": "root", "items": [{"id": -5}]},
    ],
    "rules": [
        {
            "rule_id": 0,
            "rule_name": "replicated_rule",
            "type": 1,
            "steps": [
                {"op": "take", "item": -1, "item_name": "default"},
                {"op": "chooseleaf_firstn", "num": 0, "type": "host"},
                {"op": "emit"},
            ],
        },
        {
            "rule_id": 1,
            "rule_name": "mooring-e",
            "type": 3,
            "steps": [
                {"op": "set_chooseleaf_tries", "num": 5},
                {"op": "take", "item": -8, "item_name": "default~tier1"},
                {"op": "choose_indep", "num": 0, "type": "osd"},
                {"op": "emit"},
            ],
        },
    ],
}
DF: dict[str, Any] = {
    "pools": [{"id": 1, "stats": {"stored": 100, "bytes_used": 200, "max_avail": 1000, "objects": 3}}]
}
OSD_DF: dict[str, Any] = {
    "nodes": [
        {"id": 0, "kb": 4096, "kb_used": 1024, "pgs": 6},
        {"id": 1, "kb": 4096, "kb_used": 512, "pgs": 0},
    ]
}
OSD_PERF: dict[str, Any] = {
    "osdstats": {
        "osd_perf_infos": [
            {"id": 0, "perf_stats": {"commit_latency_ms": 3, "apply_latency_ms": 4}},
            {"id": 1, "perf_stats": {"commit_latency_ms": 9, "apply_latency_ms": 9}},
        ]
    }
}
OSD_METADATA: list[dict[str, Any]] = [
    {"id": 0, "bluestore_bdev_devices": "sdb", "rotational": "1", "ceph_version_short": "16.2.15"}
]
LOG: list[dict[str, Any]] = [
    {
        "name": "mon.one",
        "stamp": "2026-11-22T07:00:00.123456+0100",
        "channel": "cluster",
        "priority": "[WRN]",
        "message": "Health check failed: 1 osds down (OSD_DOWN)\n\u0007",
    },
    {"stamp": "no time", "priority": "[INF]", "message": "left out"},
    {"stamp": "2026-11-22T06:00:01.000000+0000", "priority": "[???]", "message": "x" * 600},
]
QUORUM: dict[str, Any] = {
    "quorum_names": ["one", "two"],
    "quorum_leader_name": "two",
    "monmap": {"mons": [{"name": name, "public_addr": "10.0.0.1:6789/0"} for name in ("one", "two", "three")]},
}
MON_METADATA: list[dict[str, Any]] = [{"name": "two", "hostname": "host2", "ceph_version_short": "16.2.15"}]
MGR_DUMP: dict[str, Any] = {
    "available": True,
    "active_name": "one",
    "active_addr": "10.0.0.1:6800/9",
    "standbys": [{"name": "two"}],
}
FS_DUMP: dict[str, Any] = {
    "standbys": [{"name": "two", "state": "up:standby", "addr": "10.0.0.2:6900/1"}],
    "filesystems": [{"mdsmap": {"info": {"gid_1": {"name": "one", "state": "up:active", "addr": "10.0.0.1:6900/1"}}}}],
}
