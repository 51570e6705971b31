"""What using network storage asks of a node, as a Protocol; see ``base`` for what all calls have in common."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RbdPool:
    """A libvirt storage pool on a Ceph pool.

    ``monitors`` are "address:port"; ``secret`` is the UUID of the libvirt secret with the key of the cephx user
    ``user`` (without "client.").
    """

    name: str
    uuid: str
    source: str
    monitors: tuple[str, ...]
    user: str
    secret: str


class Attacher(Protocol):
    """All are idempotent: they ask libvirt first. What is there under the name with another UUID is a Conflict."""

    def keep_secret(self, uuid: str, usage: str, value: bytes) -> bool:
        """Define the Ceph secret and set its value, which nobody can read back. False when it was defined before."""

    def drop_secret(self, uuid: str) -> bool:
        """Forget the secret; False when there is none."""

    def secrets(self) -> frozenset[str]:
        """UUIDs of the secrets that the node's libvirt keeps."""

    def keep_pool(self, pool: RbdPool) -> bool:
        """Define the pool as said, and start it. False when it was like that and active.

        It does not start with libvirtd: libvirtd would wait for Ceph before it answers anybody.
        """

    def drop_pool(self, uuid: str) -> bool:
        """Stop and forget the pool, whatever it is called; its content stays. False when there is none."""
