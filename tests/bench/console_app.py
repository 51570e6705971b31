"""The console's websocket in a web process of its own, led to displays that the bench has made.

A VE's name is the name of its display's socket in the folder; all of them are behind one SSH server on the loopback.
"""

import json
import os
from pathlib import Path

import django

django.setup()

from infrastructure.choices import ConsoleKind  # noqa: E402
from infrastructure.consumers import ConsoleSocket  # noqa: E402
from infrastructure.drivers.base import ConsoleEndpoint, Endpoint  # noqa: E402
from infrastructure.models import VE  # noqa: E402
from infrastructure.services.console import Location  # noqa: E402


def endpoint() -> Endpoint:
    """The SSH server of the bench."""
    return Endpoint(**json.loads(Path(os.environ["MOORING_VAR"], "endpoint.json").read_text()))


def display_of(name: str) -> str:
    """The socket of a display."""
    return str(Path(os.environ["MOORING_VAR"], f"{name}.sock"))


async def locate(ve: VE, kind: ConsoleKind) -> Location:
    """No node is asked: finding the console is no part of what is measured."""
    return Location("bench", endpoint(), ConsoleEndpoint("vnc", socket=display_of(ve.name)))


application = ConsoleSocket(locate=locate)
