"""The one place where SSH's errors become DriverError."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import (
    DriverError,
    IdentityChanged,
    NotFound,
    Refused,
    TimedOut,
    Unreachable,
)
from infrastructure.drivers.facts import HostKey


@contextmanager
def translating(endpoint: Endpoint, doing: str, deadline: float) -> Iterator[None]:
    """Raise what goes wrong on the way to a node as DriverError; ``doing`` completes "NODE did not …"."""
    try:
        yield
    except DriverError:
        raise
    except TimeoutError as error:
        raise TimedOut(
            f"{endpoint.name} did not {doing} within {deadline:g} s",
            code="ssh-deadline",
            component="ssh",
            advice="Check that the node is up and not overloaded.",
        ) from error
    except asyncssh.PermissionDenied as error:
        raise Refused(
            f"{endpoint.name} does not accept the panel's SSH key for {endpoint.ssh_user}",
            code="ssh-auth",
            component="ssh",
            advice=f"Install the panel's public key in /root/.ssh/authorized_keys of {endpoint.name}.",
        ) from error
    except asyncssh.SFTPError as error:
        raise _file_error(endpoint, error) from error
    except asyncssh.ChannelOpenError as error:
        raise _channel_error(endpoint, error) from error
    except socket.gaierror as error:
        raise Unreachable(
            f"{endpoint.address} cannot be resolved",
            code="ssh-resolve",
            component="ssh",
            advice="Correct the node's address, or add the name to the resolver.",
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise Unreachable(
            f"{endpoint.name} ({endpoint.address}:{endpoint.ssh_port}) cannot be reached over SSH: {_text(error)}",
            code="ssh-lost",
            component="ssh",
            advice="Check the node's power, its network and its SSH port.",
        ) from error


def identity_changed(endpoint: Endpoint, pinned: str, found: HostKey | None) -> IdentityChanged:
    """The node answers with another host key than the pinned one, both named by fingerprint."""
    offered = found.fingerprint if found else "none of the pinned type"
    return IdentityChanged(
        f"The SSH host key of {endpoint.name} has changed: pinned {pinned}, offered {offered}",
        code="ssh-identity",
        component="ssh",
        advice=(
            f"If {endpoint.name} was reinstalled, compare the fingerprint on its own console and onboard it again; "
            "otherwise another machine answers at its address."
        ),
    )


def key_unreadable(path: str, error: Exception) -> Refused:
    return Refused(
        f"The panel's SSH key {path} cannot be read: {error}",
        code="ssh-key",
        component="ssh",
        advice="Restore the panel's key folder, then restart the panel.",
    )


def _channel_error(endpoint: Endpoint, error: asyncssh.ChannelOpenError) -> DriverError:
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return Refused(
            f"The SSH server of {endpoint.name} does not allow this: {error.reason}",
            code="ssh-forwarding",
            component="ssh",
            advice="Set AllowStreamLocalForwarding and AllowTcpForwarding to yes in its sshd_config.",
        )
    if error.reason == "SSH connection closed":
        return Unreachable(
            f"The SSH connection to {endpoint.name} was lost",
            code="ssh-lost",
            component="ssh",
            advice="Check the node's power, its network and its SSH port.",
        )
    return NotFound(
        f"Nothing answers there on {endpoint.name}: {error.reason}",
        code="ssh-connect",
        component="ssh",
        advice="Check that the Virtual Environment or service still runs on this node.",
    )


def _file_error(endpoint: Endpoint, error: asyncssh.SFTPError) -> DriverError:
    text = f"{endpoint.name}: {error.reason}"
    if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
        return NotFound(text, code="no-file", component="host")
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return Refused(text, code="file-permission", component="host")
    return DriverError(text, code="file", component="host")


def _text(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return getattr(error, "reason", "") or str(error)
