"""The command lines that do by hand what the jobs of datastores do; shown in the task log, never run."""

from storage.pool_layout import APPLICATION, MARK, PoolLayout

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
        *_application(wanted.pool, use),
    ]


def make_coded(wanted: PoolLayout, use: str) -> Commands:
    if wanted.profile is None:
        return []
    pool = wanted.data_pool
    return [
        ["ceph", "osd", "pool", "create", pool, "erasure", wanted.profile.name, pool],
        ["ceph", "osd", "pool", "set", pool, "allow_ec_overwrites", "true"],
        *_application(pool, use),
    ]


def _application(pool: str, use: str) -> Commands:
    return [
        ["ceph", "osd", "pool", "application", "enable", pool, APPLICATION],
        ["ceph", "osd", "pool", "application", "set", pool, APPLICATION, MARK, use],
    ]


def join(wanted: PoolLayout) -> Commands:
    return [["rbd", "config", "pool", "set", wanted.pool, "rbd_default_data_pool", wanted.data_pool]]


def list_images(pool: str) -> Commands:
    return [["rbd", "ls", pool], ["rbd", "trash", "ls", pool]]


def remove_pool(pool: str) -> Commands:
    return [["ceph", "osd", "pool", "rm", pool, pool, "--yes-i-really-really-mean-it"]]


def remove_rule(rule: str) -> Commands:
    return [["ceph", "osd", "crush", "rule", "rm", rule]]


def remove_profile(profile: str) -> Commands:
    return [["ceph", "osd", "erasure-code-profile", "rm", profile]]
