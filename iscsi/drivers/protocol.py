"""tgt's control protocol: requests as bytes, and what they are answered with. Nothing here talks to anybody.

Source: usr/tgtadm.h, usr/tgtadm_error.h and usr/mgmt.c of tgt 1.0.85. A request is a fixed header in the byte order of
the machine, then text that ends with a zero byte; an answer is an error number, the length of all, then text. tgtd
serves one request for each connection.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, NotSupported, Refused
from iscsi.drivers.facts import PORT, Account, LunSpec

# mode, operation, driver, length, target, session, LUN, connection, host, type of device, direction, pack, force
_HEADER = struct.Struct("<ii64sIiQQIIIIII")
_ANSWER = struct.Struct("<II")
ANSWER_HEAD = _ANSWER.size
_DRIVER = b"iscsi"
# tgtd takes no more text, and what it shows of a target with 255 LUNs and many initiators is far below the second.
_MOST_TEXT, _MOST_ANSWER = 8 << 10, 8 << 20
# In place of a target: accounts for discovery, and everything when it shows.
ALL = -1


class Mode(IntEnum):
    SYSTEM, TARGET, DEVICE, PORTAL, LLD, SESSION, CONNECTION, ACCOUNT = range(8)


class Do(IntEnum):
    NEW, DELETE, SHOW, BIND, UNBIND, UPDATE, STATS, START, STOP = range(9)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. The text may hold a secret: it is in no repr."""

    mode: Mode
    do: Do
    target: int = ALL
    text: str = field(default="", repr=False)
    session: int = 0
    lun: int = 0
    connection: int = 0
    outgoing: bool = False
    force: bool = False


def encode(request: Request) -> bytes:
    """Refused for text that tgtd would cut or not take."""
    text = request.text.encode()
    if b"\0" in text or b"\n" in text or len(text) >= _MOST_TEXT:
        raise Refused("A request to the target server is too long or has line breaks", code="bad-text", component="tgt")
    body = text + b"\0" if text else b""
    head = _HEADER.pack(
        request.mode,
        request.do,
        _DRIVER,
        _HEADER.size + len(body),
        request.target,
        request.session,
        request.lun,
        request.connection,
        0,
        0,
        int(request.outgoing),
        0,
        int(request.force),
    )
    return head + body


def decode(data: bytes) -> Request:
    """The request that ``encode`` made of; ValueError for anything else."""
    if len(data) < _HEADER.size:
        raise ValueError("the header is cut")
    mode, do, driver, length, target, session, lun, connection, _, _, outgoing, _, force = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if driver.rstrip(b"\0") != _DRIVER or length != len(data) or (body and body[-1]):
        raise ValueError("not a request for an iSCSI target")
    return Request(
        Mode(mode),
        Do(do),
        target,
        body[:-1].decode(),
        session=session,
        lun=lun,
        connection=connection,
        outgoing=bool(outgoing),
        force=bool(force),
    )


def answer(text: str = "", error: int = 0) -> bytes:
    """What tgtd answers, for those who play its part."""
    body = text.encode() + b"\0" if text else b""
    return _ANSWER.pack(error, _ANSWER.size + len(body)) + body


def head_of(data: bytes) -> tuple[int, int]:
    """(error number, bytes that follow) of the first ANSWER_HEAD bytes. DriverError when it cannot be."""
    error, length = _ANSWER.unpack(data)
    if not ANSWER_HEAD <= length <= _MOST_ANSWER:
        raise DriverError("The target server answers something else than tgt does", code="protocol", component="tgt")
    return error, length - ANSWER_HEAD


# The requests


def show_all() -> Request:
    return Request(Mode.TARGET, Do.SHOW)


def show_accounts() -> Request:
    return Request(Mode.ACCOUNT, Do.SHOW)


def show_portals() -> Request:
    return Request(Mode.PORTAL, Do.SHOW)


def new_target(target: int, iqn: str) -> Request:
    return Request(Mode.TARGET, Do.NEW, target, f"targetname={iqn}")


def delete_target(target: int) -> Request:
    return Request(Mode.TARGET, Do.DELETE, target)


def set_state(target: int, state: str) -> Request:
    """state: "ready" or "offline"."""
    return Request(Mode.TARGET, Do.UPDATE, target, f"state={state}")


def new_portal(address: str) -> Request:
    return Request(Mode.PORTAL, Do.NEW, text=f"portalOps {portal_words(address)},")


def delete_portal(address: str) -> Request:
    return Request(Mode.PORTAL, Do.DELETE, text=f"portalOps {portal_words(address)},")


def portal_words(address: str) -> str:
    return f"portal=[{address}]:{PORT}" if ":" in address else f"portal={address}:{PORT}"


def new_account(account: Account) -> Request:
    return Request(Mode.ACCOUNT, Do.NEW, text=f"user={account.user},password={account.secret}")


def delete_account(user: str) -> Request:
    return Request(Mode.ACCOUNT, Do.DELETE, text=f"user={user}")


def bind_account(target: int, user: str, *, outgoing: bool = False) -> Request:
    return Request(Mode.ACCOUNT, Do.BIND, target, f"user={user}", outgoing=outgoing)


def unbind_account(target: int, user: str, *, outgoing: bool = False) -> Request:
    return Request(Mode.ACCOUNT, Do.UNBIND, target, f"user={user}", outgoing=outgoing)


def bind_initiator(target: int, name: str) -> Request:
    return Request(Mode.TARGET, Do.BIND, target, f"initiator-name={name}")


def unbind_initiator(target: int, name: str) -> Request:
    return Request(Mode.TARGET, Do.UNBIND, target, f"initiator-name={name}")


def bind_address(target: int, address: str) -> Request:
    return Request(Mode.TARGET, Do.BIND, target, f"initiator-address={address}")


def unbind_address(target: int, address: str) -> Request:
    return Request(Mode.TARGET, Do.UNBIND, target, f"initiator-address={address}")


def new_lun(target: int, number: int, store_options: str) -> Request:
    """Without an image yet: it is not ready until ``change_lun`` names one."""
    return Request(Mode.DEVICE, Do.NEW, target, f"bstype=rbd,bsopts={store_options}", lun=number)


def change_lun(target: int, number: int, **words: str) -> Request:
    text = ",".join(f"{key}={value}" for key, value in words.items())
    return Request(Mode.DEVICE, Do.UPDATE, target, f"targetOps {text},", lun=number)


def path_of(lun: LunSpec) -> str:
    return f"{lun.pool}/{lun.image}"


def delete_lun(target: int, number: int) -> Request:
    return Request(Mode.DEVICE, Do.DELETE, target, lun=number)


def end_connection(target: int, session: int, connection: int) -> Request:
    return Request(Mode.CONNECTION, Do.DELETE, target, session=session, connection=connection)


# Error numbers


class Failure(IntEnum):
    """The numbers that somebody decides by."""

    NO_TARGET = 4
    NO_LUN = 5
    NO_SESSION = 6
    NO_CONNECTION = 7
    ACL_EXISTS = 12
    NO_ACL = 13
    USER_EXISTS = 14
    NO_USER = 15
    INVALID = 17
    LUN_ACTIVE = 20


_MEANING: dict[int, tuple[type[DriverError], str]] = {
    1: (DriverError, "unknown error"),
    2: (DriverError, "out of memory"),
    3: (DriverError, "the iSCSI driver does not run"),
    4: (NotFound, "no such target"),
    5: (NotFound, "no such LUN"),
    6: (NotFound, "no such session"),
    7: (NotFound, "no such connection"),
    8: (NotFound, "no such binding"),
    9: (Conflict, "this target exists already"),
    10: (Conflict, "this LUN exists already"),
    11: (Conflict, "this binding exists already"),
    12: (Conflict, "this access rule exists already"),
    13: (NotFound, "no such access rule"),
    14: (Conflict, "this user exists already"),
    15: (NotFound, "no such user"),
    16: (Conflict, "too many users"),
    17: (Refused, "the request is not valid"),
    18: (Conflict, "the target has a user for the other direction already"),
    19: (Conflict, "the target has sessions"),
    20: (Conflict, "commands on the LUN are under way"),
    21: (Conflict, "the driver is in use"),
    22: (NotSupported, "not supported"),
    23: (Refused, "unknown parameter"),
    24: (Conflict, "an initiator forbids the removal of the medium"),
}


def failure(error: int, where: str, doing: str) -> DriverError:
    """The error for what tgtd answered; ``doing`` is told and has no secret in it."""
    kind, words = _MEANING.get(error, (DriverError, f"error {error}"))
    return kind(f"{where} did not {doing}: {words}", code=f"tgt-{error}", component="tgt")
