"""What the panel asks of the target servers of one node.

A server is one tgtd with one target. It forgets everything when it ends; the node starts it again at once, empty.
Every call raises a DriverError of infrastructure.drivers.errors within its deadline (component "tgt", "ssh" or "host"):
Unreachable or TimedOut when nobody answers, NotFound when there is no such server, target or LUN, Conflict while
something is in use, Refused for what can never be. A call whose effect is there already returns False and does nothing,
so that every step may be repeated.
"""

from typing import Protocol

from iscsi.drivers.facts import (
    Account,
    AddressFacts,
    CephAccess,
    LunSpec,
    NodeServers,
    ServerFacts,
    ServerSpec,
)


class ServerKeeper(Protocol):
    """Servers of a node, kept running there without the panel."""

    def prepare(self, access: CephAccess) -> bool:
        """Put on the node what servers need: what keeps them running, and as whom they open images.

        NotFound when tgt or its RBD store is not installed. Servers that run go on with what they have.
        """
        ...

    def forget(self) -> bool:
        """Take it off again; Conflict while a server is kept."""
        ...

    def start(self, spec: ServerSpec) -> bool:
        """Keep a server running from now on, and wait until it answers. Other portals than before restart it.

        TimedOut when it does not come up; it is kept nevertheless. Conflict when its addresses are not on the node.
        """
        ...

    def stop(self, number: int) -> bool:
        """End it, whoever is connected, and keep it no more. What was under way is not answered."""
        ...

    def servers(self) -> NodeServers:
        """All servers that are kept, each with its target, in one go; one that does not answer has its error."""
        ...

    def look(self, number: int) -> ServerFacts:
        """One of them."""
        ...


class TargetKeeper(Protocol):
    """The target of a server. A new one is closed: nobody may log in before ``open`` says who."""

    def make_target(self, number: int, iqn: str) -> bool:
        """Conflict when the server has a target of another name."""
        ...

    def remove_target(self, number: int) -> bool:
        """Close it, end its sessions and remove it with its LUNs. Conflict when commands do not end."""
        ...

    def set_accounts(self, number: int, accounts: tuple[Account, ...], mutual: Account | None = None) -> bool:
        """Ask for CHAP with these and no others; counts for new logins and for discovery.

        While they change, nobody may log in; who is connected stays.
        """
        ...

    def open(self, number: int, initiators: tuple[str, ...] = ()) -> bool:
        """Let these initiators log in and no others; () is everybody. Who is connected stays."""
        ...

    def close_target(self, number: int) -> bool:
        """Let nobody log in. Who is connected stays."""
        ...

    def add_lun(self, number: int, lun: LunSpec) -> bool:
        """Show an image. Conflict when the number shows another one."""
        ...

    def remove_lun(self, number: int, lun: int) -> bool:
        """Show it no more. Conflict when commands on it do not end, as when Ceph is blocked."""
        ...

    def reload_lun(self, number: int, lun: LunSpec) -> bool:
        """Open the image anew, for a size that changed or content that was rolled back.

        Initiators find the LUN not ready meanwhile, about a second.
        """
        ...

    def end_sessions(self, number: int) -> int:
        """Disconnect all initiators; how many. They may come back unless the target is closed."""
        ...


class AddressKeeper(Protocol):
    """IP addresses of the node."""

    def addresses(self) -> tuple[AddressFacts, ...]:
        """Those that a portal can have: no loopback, no link-local ones."""
        ...

    def add_address(self, address: str, prefix: int, interface: str) -> bool:
        """Give the interface an address, until the node is switched off, and tell its neighbours.

        Conflict when another interface has it or another machine answers at it.
        """
        ...

    def remove_address(self, address: str, prefix: int, interface: str) -> bool: ...

    def is_answered(self, address: str, interface: str) -> bool:
        """Whether another machine answers at it, in the interface's network; takes seconds. IPv6 is never seen.

        DriverError when that could not be found out.
        """
        ...


class TargetServers(ServerKeeper, TargetKeeper, AddressKeeper, Protocol):
    """The target servers of one node."""

    def close(self) -> None:
        """Let go of what this object holds; never raises, never waits."""
        ...
