"""The part of the fake node that keeps secrets and storage pools."""

from infrastructure.drivers.attaching import RbdPool
from infrastructure.drivers.errors import Conflict


class FakeAttaching:
    """The Attacher protocol; FakeNode has the rest."""

    keys: dict[str, bytes]  # by the UUID of the secret
    pools: dict[str, RbdPool]

    def _enter(self, method: str) -> None:
        raise NotImplementedError

    def keep_secret(self, uuid: str, usage: str, value: bytes) -> bool:
        self._enter("keep_secret")
        fresh = uuid not in self.keys
        self.keys[uuid] = value
        return fresh

    def drop_secret(self, uuid: str) -> bool:
        self._enter("drop_secret")
        return self.keys.pop(uuid, None) is not None

    def secrets(self) -> frozenset[str]:
        self._enter("secrets")
        return frozenset(self.keys)

    def keep_pool(self, pool: RbdPool) -> bool:
        self._enter("keep_pool")
        self._refuse_other(pool.name, pool.uuid)
        fresh = self.pools.get(pool.name) != pool
        self.pools[pool.name] = pool
        return fresh

    def drop_pool(self, uuid: str) -> bool:
        self._enter("drop_pool")
        there = [name for name, pool in self.pools.items() if pool.uuid == uuid]
        for name in there:
            del self.pools[name]
        return bool(there)

    def _refuse_other(self, name: str, uuid: str) -> None:
        if name in self.pools and self.pools[name].uuid != uuid:
            raise Conflict(f"the node has another storage pool named {name}", code="pool-name-taken")
