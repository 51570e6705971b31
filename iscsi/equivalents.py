"""The command lines that do by hand what the jobs of iSCSI do; shown in the task log, never run. Pure.

Secrets stand in them masked: the panel hands them to tgtd over its socket, never in an argument.
"""

from iscsi.drivers.facts import PORT, AddressFacts, LunSpec, ServerSpec, TargetSpec

Commands = list[list[str]]
MASK = "••••"
_TID = ["--tid", "1"]


def start(spec: ServerSpec) -> Commands:
    portals = [f"portal={_bracketed(portal)}:{PORT}" for portal in spec.portals]
    return [["tgtd", "-f", "-C", str(spec.number), "--iscsi", ",".join(portals)]]


def stop(number: int) -> Commands:
    return [_tgtadm(number, "sys", "update", "--name", "State", "-v", "offline"), _tgtadm(number, "system", "delete")]


def make_target(number: int, iqn: str) -> Commands:
    return [_tgtadm(number, "target", "new", *_TID, "-T", iqn)]


def remove_target(number: int) -> Commands:
    return [_tgtadm(number, "target", "delete", "--force", *_TID)]


def set_accounts(number: int, target: TargetSpec) -> Commands:
    commands = []
    for account in target.accounts:
        commands.append(_tgtadm(number, "account", "new", "--user", account.user, "--password", MASK))
        commands.append(_tgtadm(number, "account", "bind", *_TID, "--user", account.user))
    if target.mutual is not None:
        commands.append(_tgtadm(number, "account", "new", "--user", target.mutual.user, "--password", MASK))
        commands.append(_tgtadm(number, "account", "bind", *_TID, "--user", target.mutual.user, "--outgoing"))
    return commands


def open_to(number: int, initiators: tuple[str, ...]) -> Commands:
    if not initiators:
        return [_tgtadm(number, "target", "bind", *_TID, "-I", "ALL")]
    return [_tgtadm(number, "target", "bind", *_TID, "-Q", name) for name in initiators]


def close(number: int) -> Commands:
    return [_tgtadm(number, "target", "unbind", *_TID, "-I", "ALL")]


def add_lun(number: int, spec: LunSpec) -> Commands:
    lun = ["--lun", str(spec.number)]
    image = ["--bstype", "rbd", "--backing-store", f"{spec.pool}/{spec.image}"]
    return [
        _tgtadm(number, "logicalunit", "new", *_TID, *lun, *image),
        _tgtadm(number, "logicalunit", "update", *_TID, *lun, "--params", f"scsi_sn={spec.serial}"),
    ]


def remove_lun(number: int, lun: int) -> Commands:
    return [_tgtadm(number, "logicalunit", "delete", *_TID, "--lun", str(lun))]


def add_address(each: AddressFacts) -> Commands:
    return [["ip", "address", "add", f"{each.address}/{each.prefix}", "dev", each.interface]]


def remove_address(each: AddressFacts) -> Commands:
    return [["ip", "address", "del", f"{each.address}/{each.prefix}", "dev", each.interface]]


def make_image(pool: str, image: str, size: int, data_pool: str = "") -> Commands:
    data = ["--data-pool", data_pool] if data_pool and data_pool != pool else []
    return [["rbd", "create", f"{pool}/{image}", "--size", f"{size >> 20}M", *data]]


def remove_image(pool: str, image: str) -> Commands:
    return [["rbd", "snap", "purge", f"{pool}/{image}"], ["rbd", "rm", f"{pool}/{image}"]]


def resize(pool: str, image: str, size: int) -> Commands:
    return [["rbd", "resize", f"{pool}/{image}", "--size", f"{size >> 20}M"]]


def snapshot(verb: str, pool: str, image: str, name: str) -> Commands:
    """verb: "create", "rm" or "rollback"."""
    return [["rbd", "snap", verb, f"{pool}/{image}@{name}"]]


def limit(pool: str, image: str, iops: int, bytes_per_second: int) -> Commands:
    """0 is no limit."""
    wanted = {"rbd_qos_iops_limit": iops, "rbd_qos_bps_limit": bytes_per_second}
    return [["rbd", "config", "image", "set", f"{pool}/{image}", key, str(value)] for key, value in wanted.items()]


def _tgtadm(number: int, mode: str, op: str, *rest: str) -> list[str]:
    return ["tgtadm", "-C", str(number), "--lld", "iscsi", "--op", op, "--mode", mode, *rest]


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
