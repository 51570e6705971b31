"""What is wanted of target servers, and what they tell of themselves. Sizes in bytes."""

from dataclasses import dataclass, field
from datetime import datetime

from infrastructure.drivers.errors import DriverError

PORT = 3260
# What a node needs of Debian's packages; the last one asks whether an address is free and tells neighbours of it.
PACKAGES = ("tgt", "tgt-rbd", "iputils-arping")
# Numbers of servers are control ports of tgtd; 0 is left to a tgtd that somebody else runs.
NUMBERS = range(1, 32768)
# tgt keeps LUN 0 of every target for its controller.
LUN_NUMBERS = range(1, 256)


@dataclass(frozen=True, slots=True)
class CephAccess:
    """As whom the servers of a node open images. The key is a secret: it is in no repr and no message."""

    monitors: tuple[str, ...]  # "10.0.0.11:3300", as in mon_host
    user: str  # "mooring-iscsi", without "client."
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One tgtd: its number on the node and the addresses at which it answers, on port 3260. IPv6 without brackets."""

    number: int
    portals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LunSpec:
    """A LUN: an RBD image under a number. What the initiator takes for the disk's identity is made of the serial."""

    number: int  # 1..255
    pool: str
    image: str
    serial: str  # letters, digits and dashes, at most 32; the same wherever the image is shown


@dataclass(frozen=True, slots=True)
class Account:
    """Name and secret of CHAP. Another revision tells that the secret is another: engines show no secrets."""

    user: str
    secret: str = field(repr=False)
    revision: int = 0


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A target, whole. Without accounts no CHAP is asked; without initiators everybody may log in.

    ``mutual`` is what the target answers with when the initiator asks it to prove itself.
    """

    iqn: str
    luns: tuple[LunSpec, ...] = ()
    accounts: tuple[Account, ...] = ()
    mutual: Account | None = None
    initiators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LunFacts:
    """A LUN that a server shows. ``size`` is rounded by the server to a MB (10⁶)."""

    number: int
    pool: str
    image: str
    serial: str
    size: int
    online: bool = True


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """An initiator that is connected. Its name is its own claim; the address is where its connection comes from."""

    id: int
    initiator: str
    address: str
    connection: int = 0


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The target of a server. ``accounts``: user → revision, None when it was bound by hand.

    ``initiators`` None: nobody may log in (not opened yet, closed, or not ready); (): everybody may.
    """

    iqn: str
    ready: bool
    luns: tuple[LunFacts, ...] = ()
    accounts: dict[str, int | None] = field(default_factory=dict)
    mutual: tuple[str, int | None] | None = None
    initiators: tuple[str, ...] | None = None
    sessions: tuple[SessionFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server that the node keeps.

    ``running``: its process is there. ``instance`` names this very run of it: another one has forgotten everything.
    ``portals``: where it listens; () while it does not run. ``waiting``: why the node does not start it, or "".
    ``error``: why it did not tell of itself; then ``target`` says nothing.
    """

    number: int
    running: bool
    instance: str = ""
    portals: tuple[str, ...] = ()
    starts: int = 0  # how often it was started since it is kept
    waiting: str = ""
    target: TargetFacts | None = None
    error: DriverError | None = None


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """An address of the node: "10.0.0.5" of /24 on an interface."""

    address: str
    prefix: int
    interface: str


@dataclass(frozen=True, slots=True)
class NodeServers:
    """All servers of a node at one moment."""

    servers: tuple[ServerFacts, ...]
    at: datetime

    def server(self, number: int) -> ServerFacts | None:
        return next((server for server in self.servers if server.number == number), None)
