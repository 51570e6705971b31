"""The QEMU guest agent, through libvirt.  Commands and answers are JSON (QEMU guest agent protocol reference)."""

import base64
import binascii
import json
import time
from collections.abc import Collection
from typing import Any

import libvirt_qemu

from infrastructure.drivers.base import remaining
from infrastructure.drivers.errors import Conflict, DriverError, NotSupported, TimedOut, Unreachable
from infrastructure.drivers.facts import GuestResult, VEKind
from infrastructure.drivers.libvirt_inventory import lookup
from infrastructure.drivers.libvirt_links import Links

PING_SECONDS = 2
COMMAND_SECONDS = 5
_CHUNK = 48 << 10
_POLL_SECONDS = 0.1


class LibvirtAgent:
    """The GuestAgent protocol."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def agent_ping(self, uuid: str) -> bool:
        try:
            self._ask(uuid, "guest-ping", seconds=PING_SECONDS)
        except (Conflict, NotSupported):
            return False
        except Unreachable as error:
            if error.component != "guest-agent":
                raise
            return False
        return True

    def guest_run(self, uuid: str, argv: Collection[str], *, deadline: float = 10.0) -> GuestResult:
        path, *arguments = argv
        end = time.monotonic() + remaining(deadline)
        pid = self._ask(uuid, "guest-exec", {"path": path, "arg": arguments, "capture-output": True})["pid"]
        while True:
            answer = self._ask(uuid, "guest-exec-status", {"pid": pid})
            if answer.get("exited"):
                return GuestResult(
                    code=int(answer.get("exitcode", -int(answer.get("signal", 1)))),
                    stdout=_bytes(answer.get("out-data", "")),
                    stderr=_bytes(answer.get("err-data", "")),
                )
            if time.monotonic() > end:
                raise TimedOut(
                    f"{path} did not end inside the guest within {deadline:g} s",
                    code="guest-exec-timeout",
                    component="guest-agent",
                )
            time.sleep(_POLL_SECONDS)

    def guest_read(self, uuid: str, path: str, *, limit: int = 1 << 20) -> bytes:
        handle = self._ask(uuid, "guest-file-open", {"path": path, "mode": "r"})
        data = b""
        try:
            while len(data) < limit:
                part = self._ask(uuid, "guest-file-read", {"handle": handle, "count": min(_CHUNK, limit - len(data))})
                data += _bytes(part.get("buf-b64", ""))
                if part.get("eof") or not part.get("count"):
                    break
        finally:
            self._ask(uuid, "guest-file-close", {"handle": handle})
        return data

    def _ask(
        self, uuid: str, command: str, arguments: dict[str, object] | None = None, *, seconds: int = COMMAND_SECONDS
    ) -> Any:
        link = self._links.holding(uuid)
        if link.kind is VEKind.CT or link.endpoint.uri.startswith("test:"):
            raise NotSupported(
                "Only a QEMU virtual machine has a guest agent", code="no-agent", component="guest-agent"
            )
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        answer = link.call(
            lambda conn: str(libvirt_qemu.qemuAgentCommand(lookup(conn, uuid), json.dumps(request), seconds, 0)),
            deadline=seconds + 2.0,
            doing="pass a request to the guest agent",
        )
        try:
            return json.loads(answer)["return"]
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable() from error


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _unreadable() from error


def _unreadable() -> DriverError:
    return DriverError("The guest agent's answer cannot be read", code="agent-answer", component="guest-agent")
