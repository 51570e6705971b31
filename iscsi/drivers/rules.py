"""What every driver of target servers refuses before an engine is asked, and the errors they share."""

import re
from ipaddress import ip_address

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from iscsi.drivers.facts import LUN_NUMBERS, NUMBERS, Account, LunSpec, ServerSpec

# What tgt takes as a target's name (letters, digits and these), and RFC 3720's longest one.
_IQN = re.compile(r"(?:iqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9.-]+(?::[a-z0-9.:-]+)?|eui\.[0-9a-f]{16})")
_LONGEST_NAME = 223
# A comma ends a name in tgt's requests; what it prints of names ends with the line.
_USER = re.compile(r"[A-Za-z0-9._@:-]{1,64}")
_SECRET = re.compile(r"[\x20-\x7e]{12,16}")
_INITIATOR = re.compile(r"[a-z0-9][a-z0-9.:-]{0,222}")
_POOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SERIAL = re.compile(r"[A-Za-z0-9-]{1,32}")


def check_server(spec: ServerSpec) -> None:
    check_number(spec.number)
    if not spec.portals:
        raise _refused("A target server needs an address", "no-portals")
    for portal in spec.portals:
        check_address(portal)


def check_address(address: str) -> None:
    if not is_address(address):
        raise _refused(f"{address[:60]!r} is no IP address", "bad-address")


def is_address(address: str) -> bool:
    """Whether it is an IP address as everybody writes it: without brackets, zone or needless zeros."""
    try:
        return str(ip_address(address)) == address and "%" not in address
    except ValueError:
        return False


def check_number(number: int) -> None:
    if number not in NUMBERS:
        raise _refused(f"{number} is no number of a target server", "bad-number")


def check_iqn(iqn: str) -> None:
    if len(iqn) > _LONGEST_NAME or not _IQN.fullmatch(iqn):
        raise _refused(f"{iqn[:80]!r} is no name for a target", "bad-iqn")


def check_account(account: Account) -> None:
    """The secret itself is told nowhere."""
    if not _USER.fullmatch(account.user):
        raise _refused(f"{account.user[:80]!r} is no name for a CHAP user", "bad-user")
    if not _SECRET.fullmatch(account.secret):
        raise _refused(f"The password of {account.user} is not one of 12 to 16 plain characters", "bad-secret")


def check_accounts(accounts: tuple[Account, ...], mutual: Account | None) -> None:
    named = [*accounts, *([mutual] if mutual else [])]
    for account in named:
        check_account(account)
    if len({account.user for account in named}) != len(named):
        raise _refused("A CHAP user can be asked for once only, and not for both directions", "user-twice")


def check_initiator(name: str) -> None:
    if not _INITIATOR.fullmatch(name):
        raise _refused(f"{name[:80]!r} is no name of an initiator", "bad-initiator")


def check_lun(lun: LunSpec) -> None:
    check_lun_number(lun.number)
    if not _POOL.fullmatch(lun.pool) or not _POOL.fullmatch(lun.image):
        raise _refused(f"{lun.pool[:80]!r}/{lun.image[:80]!r} is no name of an image", "bad-image")
    if not _SERIAL.fullmatch(lun.serial):
        raise _refused(f"{lun.serial[:80]!r} is no serial of a disk", "bad-serial")


def check_lun_number(number: int) -> None:
    if number not in LUN_NUMBERS:
        raise _refused(f"A LUN's number is 1 to {LUN_NUMBERS[-1]}, not {number}", "bad-lun")


def _refused(message: str, code: str) -> Refused:
    return Refused(message, code=code, component="tgt")


def no_server(number: int) -> NotFound:
    return NotFound(
        f"The node keeps no target server {number}",
        code="no-server",
        component="tgt",
        advice="Start the target.",
    )


def no_target(number: int) -> NotFound:
    return NotFound(f"Target server {number} has no target", code="no-target", component="tgt")


def no_lun(lun: int) -> NotFound:
    return NotFound(f"The target has no LUN {lun}", code="no-lun", component="tgt")


def other_target(number: int, found: str) -> Conflict:
    return Conflict(f"Target server {number} has the target {found}", code="other-target", component="tgt")


def other_lun(number: int, found: str) -> Conflict:
    return Conflict(f"LUN {number} shows another image, {found}", code="other-lun", component="tgt")


def busy_lun(number: int) -> Conflict:
    return Conflict(
        f"Commands on LUN {number} do not end",
        code="lun-busy",
        component="tgt",
        retryable=True,
        advice="Disconnect its initiators, or wait until Ceph answers.",
    )


def not_prepared(where: str) -> DriverError:
    return DriverError(
        f"{where} is not prepared for target servers",
        code="not-prepared",
        component="host",
        retryable=True,
        advice="Give the node the iSCSI role once more.",
    )


def missing_address(address: str) -> Conflict:
    return Conflict(
        f"The node does not have the address {address}",
        code="no-address",
        component="host",
        retryable=True,
        advice="Add it to one of the node's interfaces, or choose another portal address.",
    )


def busy_target(number: int) -> Conflict:
    return Conflict(
        f"The target of server {number} is in use and does not end",
        code="target-busy",
        component="tgt",
        retryable=True,
        advice="Stop the target: that ends its server whatever is under way.",
    )


def no_image(lun: LunSpec) -> NotFound:
    return NotFound(
        f"The target server cannot open {lun.pool}/{lun.image}",
        code="no-image",
        component="tgt",
        advice="Check that the image exists and that the node reaches Ceph; the server's log on the node says more.",
    )
