"""Where a VM's display listens, what it shows, and whether a VE has a text console."""

import libvirt

from infrastructure.drivers.errors import Conflict, NotSupported
from infrastructure.drivers.facts import ConsoleEndpoint, GraphicsFacts, Screenshot, VEState
from infrastructure.drivers.libvirt_answers import status
from infrastructure.drivers.libvirt_inventory import lookup
from infrastructure.drivers.libvirt_links import Links
from infrastructure.drivers.libvirt_xml import domain_facts, parse, text

MAX_SCREENSHOT = 64 << 20
_CHUNK = 64 << 10


class LibvirtConsole:
    """The ConsoleSource protocol."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def console(self, uuid: str) -> ConsoleEndpoint:
        return self._links.holding(uuid).call(
            lambda conn: _console(lookup(conn, uuid)), doing="tell where the display listens"
        )

    def text_console(self, uuid: str) -> ConsoleEndpoint:
        return self._links.holding(uuid).call(
            lambda conn: _text_console(lookup(conn, uuid)), doing="tell whether there is a text console"
        )

    def screenshot(self, uuid: str) -> Screenshot:
        return self._links.holding(uuid).call(lambda conn: _screenshot(conn, uuid), doing="send a screenshot")


def display_of(graphics: tuple[GraphicsFacts, ...], name: str) -> ConsoleEndpoint:
    """The VNC server among a live VE's displays; NotSupported without one."""
    for item in graphics:
        if item.type != "vnc":
            continue
        if item.socket:
            return ConsoleEndpoint("vnc", socket=item.socket)
        if item.port:
            # A server that listens everywhere is reached by the node's loopback too.
            return ConsoleEndpoint("vnc", host=item.address or "0.0.0.0", port=item.port)  # noqa: S104
    raise NotSupported(
        f"{name} has no VNC display",
        code="no-vnc",
        advice="Add a VNC display that listens on a socket, then restart the VE.",
    )


def _console(domain: "libvirt.virDomain") -> ConsoleEndpoint:
    _require_running(domain)
    return display_of(domain_facts(domain.XMLDesc()).graphics, domain.name())


def _text_console(domain: "libvirt.virDomain") -> ConsoleEndpoint:
    _require_running(domain)
    return text_console_of(domain.XMLDesc())


def text_console_of(xml: str) -> ConsoleEndpoint:
    """The console that libvirt opens for a live domain: its first <console>, else its first <serial>.

    NotSupported without one, or when it goes elsewhere than to libvirt (a file, a network port).
    """
    domain = parse(xml)
    device = domain.find("devices/console")
    device = device if device is not None else domain.find("devices/serial")
    name = text(domain, "name")
    if device is None:
        raise NotSupported(
            f"{name} has no serial console", code="no-console", advice="Add one of type pty, then restart the VE."
        )
    if device.get("type") not in ("pty", "unix"):
        raise NotSupported(
            f"The serial console of {name} goes to a {device.get('type')}",
            code="console-elsewhere",
            advice="Change its type to pty, then restart the VE.",
        )
    return ConsoleEndpoint("console" if domain.get("type") == "lxc" else "serial")


def _require_running(domain: "libvirt.virDomain") -> None:
    if status(domain).state in (VEState.STOPPED, VEState.CRASHED):
        raise Conflict(f"{domain.name()} is not running", code="not-running", advice="Start it first.")


def _screenshot(connection: "libvirt.virConnect", uuid: str) -> Screenshot:
    domain = lookup(connection, uuid)
    _require_running(domain)
    stream = connection.newStream(0)
    mime = domain.screenshot(stream, 0)
    data = bytearray()
    while chunk := stream.recv(_CHUNK):
        data += chunk
        if len(data) > MAX_SCREENSHOT:
            stream.abort()
            raise NotSupported(f"The screenshot is larger than {MAX_SCREENSHOT >> 20} MiB", code="screenshot-size")
    stream.finish()
    return Screenshot(bytes(data), str(mime))
