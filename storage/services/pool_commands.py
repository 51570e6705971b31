"""The command lines that do by hand what the jobs of datastores do; shown in the task log, never run."""

from storage.drivers.matching import FILES_METADATA, FILES_ROOT, FILESYSTEM, directory_of
from storage.pool_layout import FILES, MARK, SHARED_POOLS, PoolLayout

Commands = list[list[str]]


def make_rule(wanted: PoolLayout) -> Commands:
    arguments = [wanted.rule, "default", wanted.domain, wanted.device_class]
    return [["ceph", "osd", "crush", "rule", "create-replicated", *arguments]]


def make_profile(wanted: PoolLayout) -> Commands:
    profile = wanted.profile
    if profile is None:
        return []
    arguments = [f"k={profile.data}", f"m={profile.coding}", f"crush-failure-domain={profile.domain}"]
    arguments += [f"crush-device-class={profile.device_class}", f"plugin={profile.plugin}"]
    return [["ceph", "osd", "erasure-code-profile", "set", profile.name, *arguments]]


def make_copies(wanted: PoolLayout, use: str) -> Commands:
    size = str(wanted.copies)
    return [
        ["ceph", "osd", "pool", "create", wanted.pool, "replicated", wanted.rule, "--size", size],
        *_application(wanted.pool, wanted.application, use),
    ]


def make_coded(wanted: PoolLayout, use: str) -> Commands:
    if wanted.profile is None:
        return []
    pool = wanted.data_pool
    return [
        ["ceph", "osd", "pool", "create", pool, "erasure", wanted.profile.name, pool],
        ["ceph", "osd", "pool", "set", pool, "allow_ec_overwrites", "true"],
        *_application(pool, wanted.application, use),
    ]


def _application(pool: str, application: str, use: str) -> Commands:
    return [
        ["ceph", "osd", "pool", "application", "enable", pool, application],
        ["ceph", "osd", "pool", "application", "set", pool, application, MARK, use],
    ]


def join(wanted: PoolLayout) -> Commands:
    return [["rbd", "config", "pool", "set", wanted.pool, "rbd_default_data_pool", wanted.data_pool]]


def make_shared_pools(rule: str, copies: int) -> Commands:
    """The pools of the file system."""
    size = str(copies)
    return [
        command
        for pool in SHARED_POOLS
        for command in (
            ["ceph", "osd", "pool", "create", pool, "replicated", rule, "--size", size],
            *_application(pool, "cephfs", FILES),
        )
    ]


def make_filesystem() -> Commands:
    return [["ceph", "fs", "new", FILESYSTEM, FILES_METADATA, FILES_ROOT]]


def add_data_pool(pool: str) -> Commands:
    return [["ceph", "fs", "add_data_pool", FILESYSTEM, pool]]


def remove_data_pool(pool: str) -> Commands:
    return [["ceph", "fs", "rm_data_pool", FILESYSTEM, pool]]


def make_directory(name: str, pool: str) -> Commands:
    """As on a machine that has the file system mounted at its root folder."""
    path = directory_of(name)
    return [["mkdir", "-p", path], ["setfattr", "-n", "ceph.dir.layout.pool", "-v", pool, path]]


def remove_directory(name: str) -> Commands:
    return [["rmdir", directory_of(name)]]


def remove_filesystem() -> Commands:
    return [["ceph", "fs", "fail", FILESYSTEM], ["ceph", "fs", "rm", FILESYSTEM, "--yes-i-really-mean-it"]]


def list_contents(use: str, name: str, pool: str) -> Commands:
    """What a datastore holds; of files as on a machine that has the file system mounted at its root folder."""
    if use == FILES:
        return [["ls", "-A", directory_of(name)]]
    return [["rbd", "ls", pool], ["rbd", "trash", "ls", pool]]


def remove_pool(pool: str) -> Commands:
    return [["ceph", "osd", "pool", "rm", pool, pool, "--yes-i-really-really-mean-it"]]


def remove_rule(rule: str) -> Commands:
    return [["ceph", "osd", "crush", "rule", "rm", rule]]


def remove_profile(profile: str) -> Commands:
    return [["ceph", "osd", "erasure-code-profile", "rm", profile]]
