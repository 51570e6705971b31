"""The last lines of a node's service logs, read on the node when somebody asks for them."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone

from infrastructure.choices import Kind
from infrastructure.drivers.base import HostDriver, within
from infrastructure.models import VE, Node
from infrastructure.services.access import authorize
from infrastructure.services.endpoints import driver, require_set_up
from infrastructure.services.errors import NotPossible
from infrastructure.services.onboarding import libvirt_settings
from panel.accounts.models import User

LINES = 200
LINE_LENGTH = 2000
READ_SECONDS = 3.0
_FOLDERS = {Kind.VM: "/var/log/libvirt/qemu", Kind.CT: "/var/log/libvirt/lxc"}
# What a terminal or a browser would act on instead of showing it, and marks that turn the direction of the text.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class NodeLog:
    """At most LINES lines, oldest first, without control characters; `source` is the file or journal on the node."""

    source: str
    lines: tuple[str, ...]
    read_at: datetime


def read(*, user: User, node: Node, ve: VE | None = None, request: HttpRequest | None = None) -> NodeLog:
    """libvirtd's log, or that of one VE's process. Raises PermissionDenied, NotPossible, DriverError within 3 s."""
    authorize(user=user, permission="node.operate", action="node.read_log", obj=node, request=request)
    require_set_up(node)
    with within(READ_SECONDS):
        source, argv = _source(driver(node), ve)
        said = driver(node).run(argv, deadline=READ_SECONDS, check=False)
    if said.code != 0:
        raise NotPossible(f"{node} has no log {source}", advice="It is written when the service or VE first runs.")
    return NodeLog(source, tuple(clean(line) for line in said.text.splitlines()[-LINES:]), timezone.now())


def clean(line: str) -> str:
    """The line as it may be shown: no control characters, not longer than LINE_LENGTH."""
    shown = _CONTROL.sub("", line.expandtabs(4))
    return f"{shown[: LINE_LENGTH - 1]}…" if len(shown) > LINE_LENGTH else shown


def _source(host: HostDriver, ve: VE | None) -> tuple[str, list[str]]:
    if ve is not None:
        if "/" in ve.name:
            raise NotPossible(f"libvirt keeps no log for the name {ve.name}")
        path = f"{_FOLDERS[Kind(ve.kind)]}/{ve.name}.log"
    elif libvirt_settings.under_systemd(host):
        unit = ["--unit", "libvirtd.service", "--lines", str(LINES)]
        return "journal of libvirtd.service", ["journalctl", *unit, "--no-pager", "--output", "short-iso"]
    else:
        path = libvirt_settings.LOG
    return path, ["tail", "-n", str(LINES), "--", path]
