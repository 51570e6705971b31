"""The one place where libvirt's errors become DriverError."""

from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from infrastructure.drivers.errors import (
    Aborted,
    Conflict,
    DriverError,
    NotFound,
    NotSupported,
    Refused,
    Unreachable,
)

CONNECTION_LOST = "connection-lost"
_BY_CODE: dict[int, type[DriverError]] = {
    libvirt.VIR_ERR_NO_DOMAIN: NotFound,
    libvirt.VIR_ERR_NO_NETWORK: NotFound,
    libvirt.VIR_ERR_NO_STORAGE_POOL: NotFound,
    libvirt.VIR_ERR_NO_STORAGE_VOL: NotFound,
    libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT: NotFound,
    libvirt.VIR_ERR_DEVICE_MISSING: NotFound,
    libvirt.VIR_ERR_NO_SUPPORT: NotSupported,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: NotSupported,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: NotSupported,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: NotSupported,
    libvirt.VIR_ERR_OPERATION_INVALID: Conflict,
    libvirt.VIR_ERR_RESOURCE_BUSY: Conflict,
    libvirt.VIR_ERR_DOM_EXIST: Conflict,
    libvirt.VIR_ERR_BLOCK_COPY_ACTIVE: Conflict,
    libvirt.VIR_ERR_OPERATION_TIMEOUT: Conflict,
    libvirt.VIR_ERR_OPERATION_ABORTED: Aborted,
    libvirt.VIR_ERR_OPERATION_DENIED: Refused,
    libvirt.VIR_ERR_ACCESS_DENIED: Refused,
    libvirt.VIR_ERR_AUTH_FAILED: Refused,
    libvirt.VIR_ERR_AUTH_CANCELLED: Refused,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: Refused,
    libvirt.VIR_ERR_INVALID_ARG: Refused,
    libvirt.VIR_ERR_XML_ERROR: Refused,
    libvirt.VIR_ERR_MIGRATE_UNSAFE: Refused,
    libvirt.VIR_ERR_CPU_INCOMPATIBLE: Refused,
    libvirt.VIR_ERR_GNUTLS_ERROR: Refused,
    libvirt.VIR_ERR_NO_CONNECT: Unreachable,
    libvirt.VIR_ERR_UNKNOWN_HOST: Unreachable,
    libvirt.VIR_ERR_INVALID_CONN: Unreachable,
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: Unreachable,
    libvirt.VIR_ERR_AGENT_UNSYNCED: Unreachable,
}

_ADVICE: dict[int, str] = {
    libvirt.VIR_ERR_NO_DOMAIN: "It may have moved to another node, or was undefined.",
    libvirt.VIR_ERR_OPERATION_TIMEOUT: "Another job holds the Virtual Environment; wait for it to end and retry.",
    libvirt.VIR_ERR_MIGRATE_UNSAFE: "Put the disks on storage that both nodes share.",
    libvirt.VIR_ERR_CPU_INCOMPATIBLE: "Choose a target whose CPU offers these features.",
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: "Check that qemu-guest-agent runs inside the guest.",
    libvirt.VIR_ERR_AUTH_FAILED: "Onboard the node again, so that its libvirtd accepts the panel's certificate.",
    libvirt.VIR_ERR_GNUTLS_ERROR: "Check the clock of the node, then onboard it again to renew its certificate.",
}
_AGENT_CODES = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED)
_RETRY_CODES = (libvirt.VIR_ERR_RESOURCE_BUSY, libvirt.VIR_ERR_OPERATION_TIMEOUT)
_NAMES = {
    value: name
    for name, value in vars(libvirt).items()
    # VIR_ERR_OK and the levels share small numbers with codes
    if name.startswith("VIR_ERR_") and name not in ("VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR")
}


def is_code(error: BaseException, *codes: int) -> bool:
    """Whether this is a libvirt error with one of ``codes``."""
    return isinstance(error, libvirt.libvirtError) and error.get_error_code() in codes


def broken_link(error: BaseException) -> bool:
    """Whether the text of a libvirt error is about a connection, of this process or between two daemons."""
    if not isinstance(error, libvirt.libvirtError):
        return False
    if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
        return False
    if error.get_error_domain() in (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE):
        return True
    return bool(error.get_error_code() == libvirt.VIR_ERR_RPC)


@contextmanager
def optional() -> Iterator[None]:
    """For what an engine may lack or cannot tell now: ignore its error, but never the loss of the connection."""
    try:
        yield
    except libvirt.libvirtError as error:
        if broken_link(error):
            raise


def driver_error(error: "libvirt.libvirtError", where: str, *, lost: bool = False) -> DriverError:
    """Translate one error.  ``where`` is the node's name; ``lost`` says that the connection to it is gone."""
    code = error.get_error_code()
    text = " ".join((error.get_error_message() or str(error)).split())
    name = _NAMES.get(code, f"libvirt-{code}")
    if lost:
        return Unreachable(
            f"The connection to libvirt on {where} was lost: {text}",
            code=CONNECTION_LOST,
            advice="Check that the node is up and that libvirtd runs on it.",
        )
    kind = _BY_CODE.get(code, DriverError)
    return kind(
        f"{where}: {text}",
        code=name,
        component="guest-agent" if code in _AGENT_CODES else "libvirt",
        retryable=True if code in _RETRY_CODES else None,
        advice=_ADVICE.get(code, ""),
    )


@contextmanager
def translating(where: str, connection: "libvirt.virConnect | None" = None) -> Iterator[None]:
    """Raise libvirt's errors as DriverError.

    With ``connection`` a dead one makes any error Unreachable: libvirt reports the loss under several codes.
    """
    try:
        yield
    except libvirt.libvirtError as error:
        lost = connection is not None and not alive(connection)
        # Frames of the traceback hold domain objects, and through them the connection: freeing the last of them
        # sends a message to the node and so could block whoever drops the exception.
        raise driver_error(error, where, lost=lost) from error.with_traceback(None)


def alive(connection: "libvirt.virConnect") -> bool:
    """Whether the connection's socket is open, as this side knows; asks nothing of the node."""
    try:
        return bool(connection.isAlive())
    except libvirt.libvirtError:
        return False
