"""The host's connection to a lab's monitors, as client.admin, over librados."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from lab import ceph_conf
from lab.errors import LabError
from lab.instance import Instance

_COMMAND_LIMIT = 30  # seconds for the monitors' answer to one command


class NoQuorum(LabError):
    """No quorum of monitors answers."""


class Client:
    """Asks the monitors. Safe to use from several threads."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def ask(
        self, prefix: str, *, data: bytes = b"", more: Mapping[str, object] | None = None, **arguments: object
    ) -> Any:
        """One monitor command; returns its JSON output, or None when it has none. Raises LabError with Ceph's words.

        `more` holds the arguments that have words of Python for names.
        """
        import rados

        command = json.dumps({"prefix": prefix, "format": "json", **arguments, **(more or {})})
        try:
            code, output, text = self._handle.mon_command(command, data)
        except rados.Error as error:
            raise LabError(f"ceph {prefix}: {error}") from error
        if code != 0:
            raise LabError(f"ceph {prefix} failed ({code}): {text}")
        return json.loads(output) if output.strip() else None


@contextlib.contextmanager
def connected(instance: Instance, *, timeout: float) -> Iterator[Client]:
    """A connection for the time of the block. Raises NoQuorum when none answers within `timeout` seconds."""
    try:
        import rados
    except ImportError:
        raise LabError("python3-rados is not installed: install the packages of setup/packages-panel.txt") from None
    settings = {
        "mon_host": ceph_conf.monitor_host(instance),
        "key": ceph_conf.keys(instance)[ceph_conf.ADMIN],
        "keyring": "",
        "auth_client_required": "cephx",
        "client_mount_timeout": str(round(timeout)),
        "rados_mon_op_timeout": str(_COMMAND_LIMIT),
        # As many daemons come up at once, the first answer may be late; ask another monitor soon.
        "mon_client_hunt_interval": "1",
        "mon_client_hunt_interval_backoff": "1",
        "log_to_stderr": "false",
        "err_to_stderr": "false",
    }
    handle = rados.Rados(rados_id="admin", conf=settings)
    try:
        handle.connect()
    except rados.Error as error:
        handle.shutdown()
        raise NoQuorum(
            f"the storage's monitors do not answer within {timeout:.0f} s ({error}):"
            f" see {instance.directory}/nodes/NODE/root/var/log/ceph/ceph-mon.NODE.log"
        ) from error
    try:
        yield Client(handle)
    finally:
        handle.shutdown()
