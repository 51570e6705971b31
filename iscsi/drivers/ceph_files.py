"""The files by which the servers of a node open images: the monitors, and a key of a user that can do no more."""

import re

from iscsi.drivers.facts import CephAccess

FOLDER = "/etc/mooring"
CONF, KEYRING = f"{FOLDER}/iscsi-ceph.conf", f"{FOLDER}/iscsi-ceph.keyring"
# Less than what a request to a server waits: it does nothing else while it connects.
_CONNECT_SECONDS = 4


def conf(access: CephAccess) -> bytes:
    """Ceph's options. A write is answered when Ceph has it: a server that ends may take nothing with it.

    tgt tells initiators of a volatile cache, but one that comes back empty without their noticing is another thing:
    they would flush what is gone, and be told that all is well.
    """
    lines = [
        "# Written by Mooring for its iSCSI targets",
        "[global]",
        f"mon_host = {','.join(access.monitors)}",
        f"client_mount_timeout = {_CONNECT_SECONDS}",
        "rbd_cache = false",
        "log_file =",
        "admin_socket =",
        f"[client.{access.user}]",
        f"keyring = {KEYRING}",
    ]
    return ("\n".join(lines) + "\n").encode()


def user_of(conf_: bytes) -> str:
    """The user whom these options are for, without "client."; "" when it is none of ours."""
    found = re.search(r"^\[client\.([A-Za-z0-9_.-]+)\]$", conf_.decode(errors="replace"), re.MULTILINE)
    return found[1] if found else ""


def keyring(access: CephAccess) -> bytes:
    return f"[client.{access.user}]\n\tkey = {access.key}\n".encode()


def store_options(user: str) -> str:
    """What tgt's RBD store is told of a LUN. It logs this: no key may stand here."""
    return f"conf={CONF};id={user}"
