"""What a connection is told, and what the panel's cephx user may do."""

import base64
import binascii
import struct
from collections.abc import Sequence

from infrastructure.drivers.errors import NotSupported, Refused
from storage.drivers.base import Access
from storage.drivers.facts import RECOVERY_OPTIONS
from storage.drivers.matching import FILES_METADATA, FILES_ROOT, FILESYSTEM, MARK, OWN
from storage.drivers.placing import LEVELS

# Less than the deadline of a look, so that its error says that no monitor answered.
CONNECT_SECONDS = 3.0
# A command that is stuck in a handle which was left behind ends after this, so that its thread and the handle go.
OPERATION_SECONDS = 20.0
_AES = 1  # the type of all keys that librados 16 to 19 can use; later ones can be of type 2

# The commands that change something and name what they change; the panel's user may give only names of the panel.
_ON_OWN_NAMES = (
    ("osd pool create", "pool"),
    ("osd pool set", "pool"),
    ("osd pool application enable", "pool"),
    ("osd pool application set", "pool"),
    ("osd pool delete", "pool"),
    ("osd crush rule create-replicated", "name"),
    ("osd crush rule create-erasure", "name"),
    ("osd crush rule rm", "name"),
    ("osd erasure-code-profile set", "name"),
    ("osd erasure-code-profile rm", "name"),
)
_ON_DISKS = (
    *("osd crush set-device-class", "osd crush rm-device-class", "osd in", "osd out"),
    *("osd new", "osd crush add"),
)
# Hosts have any name. What is removed has no dot, which every disk has: "osd.3"; Ceph removes only what is empty.
_ON_PLACES = (
    'allow command "osd crush move"',
    *(f'allow command "osd crush add-bucket" with type={level}' for level in LEVELS),
    'allow command "osd crush rm" with name regex "[A-Za-z0-9_-]+"',
)
_ON_FILESYSTEM = ("fs fail", "fs rm")
_ON_ITS_POOLS = ("fs add_data_pool", "fs rm_data_pool")
# Whoever holds an image and died, or cannot be reached, is shut out before another one takes it.
_FENCE = 'allow command "osd blocklist" with blocklistop=add addr regex "^[^/]+/[0-9]+$"'
# To make an image, and its snapshots.
_SNAPSHOTS = f'allow command "osd pool op unmanaged-snap" with poolname prefix {OWN}'
_MARKS = ("osd set-nearfull-ratio", "osd set-backfillfull-ratio", "osd set-full-ratio")
_OF_MANAGER = ("osd df", "osd perf", "pg dump", "osd safe-to-destroy", "osd purge")


def _on_filesystem() -> list[str]:
    """Commands on the panel's own file system alone.

    Ceph asks a second time, and then looks for a grant that may write and names no other file system; those of commands
    do not count there. So one names a service that does not exist: it answers this question and allows nothing.
    """
    made_of = f"metadata={FILES_METADATA} data={FILES_ROOT}"
    return [
        f'allow command "fs new" with fs_name={FILESYSTEM} {made_of}',
        *(f'allow command "{command}" with fs_name={FILESYSTEM}' for command in _ON_FILESYSTEM),
        *(f'allow command "{command}" with fs_name={FILESYSTEM} pool prefix {OWN}' for command in _ON_ITS_POOLS),
        f"allow service {OWN}none w",
    ]


def _mon() -> str:
    named = [f'allow command "{command}" with {word} prefix {OWN}' for command, word in _ON_OWN_NAMES]
    rename = f'allow command "osd pool rename" with srcpool prefix {OWN} destpool prefix {OWN}'
    options = [
        f'allow command "{command}" with who=osd name={name}'
        for command in ("config set", "config rm")
        for name in RECOVERY_OPTIONS
    ]
    plain = [f'allow command "{command}"' for command in (*_ON_DISKS, *_MARKS)]
    return ", ".join(["allow r", _FENCE, _SNAPSHOTS, *named, rename, *_on_filesystem(), *plain, *_ON_PLACES, *options])


# The least capabilities of the panel's user, as (of which daemons, what).
CAPABILITIES: tuple[tuple[str, str], ...] = (
    ("mon", _mon()),
    ("mgr", ", ".join(f'allow command "{command}"' for command in _OF_MANAGER)),
    # Objects of pools that carry the panel's mark, whatever its value: to list images and set where their data lies.
    ("osd", f"allow rwx tag rbd {MARK}=*"),
    # Directories of the panel's file system and their layouts (p); what lies in files is in pools it may not read.
    ("mds", f"allow rwp fsname={FILESYSTEM}"),
)


def capability_words(capabilities: Sequence[tuple[str, str]]) -> list[str]:
    """The capabilities as they follow the user in `ceph auth get-or-create client.mooring …` and `ceph auth caps`."""
    return [word for pair in capabilities for word in pair]


def conf(access: Access) -> dict[str, str]:
    """librados' options for a handle: nothing is read from files, nothing written to them. Holds the key."""
    return {
        "mon_host": ",".join(access.monitors),
        "key": access.key,
        "keyring": "",
        "client_mount_timeout": f"{CONNECT_SECONDS:g}",
        "client_mount_uid": "0",  # directories belong to root, whoever runs the panel
        "client_mount_gid": "0",
        "rados_mon_op_timeout": f"{OPERATION_SECONDS:g}",
        "rados_osd_op_timeout": f"{OPERATION_SECONDS:g}",
        "admin_socket": "",
        "log_file": "",
        "log_to_stderr": "false",
        "err_to_stderr": "false",
        "log_to_syslog": "false",
    }


def check(access: Access) -> None:
    """Refuse, before anything is dialled, what librados answers with a riddle: no monitors, and unusable keys.

    A key is base64 of: type (2 bytes, little endian), seconds and nanoseconds of its making, length, the secret.
    """
    if not access.monitors:
        raise Refused(
            f"{access.name} has no monitors", code="no-monitors", component="ceph", advice="Add the cluster anew."
        )
    try:
        kind = struct.unpack_from("<H", base64.b64decode(access.key, validate=True))[0]
    except (binascii.Error, ValueError, struct.error):
        raise Refused(
            f"The key of client.{access.user} is not a cephx key",
            code="bad-key",
            component="ceph",
            advice="Enter what `ceph auth print-key` prints for it.",
        ) from None
    if kind != _AES:
        raise NotSupported(
            f"The key of client.{access.user} is of type {kind}, which this machine's librados does not know",
            code="key-type",
            component="ceph",
            advice="Make the key again with the type aes, or install a newer librados.",
        )
