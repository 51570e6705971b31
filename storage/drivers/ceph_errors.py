"""The one place where errors of librados, librbd and libcephfs become DriverError."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import cephfs
import rados
import rbd

from infrastructure.drivers.errors import (
    Conflict,
    DriverError,
    NotFound,
    NotSupported,
    Refused,
    TimedOut,
    Unreachable,
)

_BY_NUMBER: dict[int, type[DriverError]] = {
    errno.EPERM: Refused,
    errno.EACCES: Refused,
    errno.EINVAL: Refused,
    errno.ERANGE: Refused,
    errno.ENOSPC: Refused,
    errno.EDQUOT: Refused,
    errno.ENOENT: NotFound,
    errno.EEXIST: Conflict,
    errno.EBUSY: Conflict,
    errno.ENOTEMPTY: Conflict,
    errno.EAGAIN: Conflict,
    errno.EOPNOTSUPP: NotSupported,
    errno.ENOSYS: NotSupported,
    errno.ETIMEDOUT: TimedOut,
    errno.EINTR: TimedOut,
    errno.ECONNREFUSED: Unreachable,
    errno.ECONNRESET: Unreachable,
    errno.EHOSTUNREACH: Unreachable,
    errno.ENETUNREACH: Unreachable,
    errno.ENOTCONN: Unreachable,
    errno.ESHUTDOWN: Unreachable,
    errno.EPIPE: Unreachable,
}
_RETRY = (errno.EBUSY, errno.EAGAIN)
CHECK_MONITORS = "Check that most of the monitors run and that the panel can reach them."
_CAPABILITIES = "Give the panel's user its capabilities again: connect the cluster once more."
# Words of Ceph's own messages, before the advice that goes by the number alone.
_BY_WORDS = (
    ("mon_allow_pool_delete", "Allow it with `ceph config set mon mon_allow_pool_delete true`, then retry."),
    ("pool size as 1 is disabled", "Allow it with `ceph config set global mon_allow_pool_size_one true`, then retry."),
    ("mon_max_pg_per_osd", "Remove pools that nobody needs, add disks, or raise mon_max_pg_per_osd."),
    ("device class", "Add a disk of this tier first."),
)
_BY_ADVICE = {
    errno.EPERM: _CAPABILITIES,
    errno.EACCES: _CAPABILITIES,
    errno.ETIMEDOUT: CHECK_MONITORS,
    errno.EINTR: CHECK_MONITORS,
    errno.ENOTCONN: CHECK_MONITORS,
    errno.ESHUTDOWN: CHECK_MONITORS,
}


def failure(number: int, said: str, where: str, doing: str) -> DriverError:
    """The error for a command that ended with this number (errno, positive).

    ``where`` is the cluster's name, ``doing`` the command, ``said`` Ceph's own words, "" when there are none.
    """
    name = errno.errorcode.get(number, f"ceph-{number}")
    words = " ".join(said.split()).removeprefix(f"{name}: ") or name
    advice = next((advice for part, advice in _BY_WORDS if part in words), _BY_ADVICE.get(number, ""))
    return _BY_NUMBER.get(number, DriverError)(
        f"{where}: {doing}: {words}",
        code=name,
        component="ceph",
        retryable=True if number in _RETRY else None,
        advice=advice,
    )


def connecting(error: "rados.Error", where: str, user: str) -> DriverError:
    """The error for a connection that was not made."""
    number = _number(error)
    if number == errno.EINVAL:  # the key was looked at before
        return Refused(
            f"The addresses of the monitors of {where} cannot be used",
            code="EINVAL",
            component="ceph",
            advice="They are IP addresses with ports, such as 10.0.0.11:3300.",
        )
    if number in (errno.EPERM, errno.EACCES):
        return Refused(
            f"{where} does not accept the key of client.{user}",
            code=errno.errorcode[number],
            component="ceph",
            advice=f"Connect the cluster once more, with the key that `ceph auth print-key client.{user}` prints.",
        )
    return Unreachable(
        f"No monitor of {where} answers ({errno.errorcode.get(number, str(error))})",
        code="no-monitor",
        component="ceph",
        advice=CHECK_MONITORS,
    )


@contextmanager
def translating(where: str, doing: str) -> Iterator[None]:
    """Raise errors of the three libraries as DriverError."""
    try:
        yield
    except (rados.Error, rbd.Error, cephfs.Error) as error:
        # Frames of the traceback hold the handle: whoever keeps the error must not keep the connection.
        raise failure(_number(error), _said(error), where, doing) from error.with_traceback(None)


def _number(error: Exception) -> int:
    # Pacific's rbd.Error without a number, and errors of state, have none.
    number = getattr(error, "errno", None)
    return abs(number) if isinstance(number, int) else 0


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
