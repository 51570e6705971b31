"""The file system of the FakeCluster and its directories."""

from dataclasses import replace

from infrastructure.drivers.errors import Conflict, NotFound
from storage.drivers import matching
from storage.drivers.facts import FilesystemFacts
from storage.drivers.fake_pools import FakePools
from storage.drivers.matching import FILES_METADATA, FILES_ROOT, FILESYSTEM


class FakeFiles(FakePools):
    """FileKeeper in memory. `directories`: name → (pool, what lies in it). `server` False: no metadata server runs."""

    def __init__(self) -> None:
        super().__init__()
        self.files: FilesystemFacts | None = None
        self.directories: dict[str, tuple[str, list[str]]] = {}
        self.server = True

    def filesystem(self) -> FilesystemFacts | None:
        self._enter("filesystem")
        if self.files is None:
            return None
        matching.require_own_filesystem(self.files)
        return self._now()

    def make_filesystem(self) -> bool:
        self._enter("make_filesystem")
        if self.files is not None:
            matching.require_own_filesystem(self.files)
            return False
        self._use(FILES_METADATA, "metadata")
        self._use(FILES_ROOT, "data")
        self.files = FilesystemFacts(FILESYSTEM, FILES_METADATA, (FILES_ROOT,))
        return True

    def remove_filesystem(self) -> bool:
        self._enter("remove_filesystem")
        if self.files is None:
            return False
        matching.require_own_filesystem(self.files)
        matching.require_no_data_pools(self.files)
        self.files = None
        self.directories.clear()
        return True

    def add_data_pool(self, pool: str) -> bool:
        self._enter("add_data_pool")
        matching.check_name(pool)
        there = matching.require_filesystem(self.files)
        if pool in there.data_pools:
            return False
        self._use(pool, "data")
        self.files = replace(there, data_pools=(*there.data_pools, pool))
        return True

    def remove_data_pool(self, pool: str) -> bool:
        self._enter("remove_data_pool")
        matching.check_name(pool)
        if self.files is None or pool not in self.files.data_pools:
            return False
        self.files = replace(self.files, data_pools=tuple(name for name in self.files.data_pools if name != pool))
        return True

    def make_directory(self, name: str, *, pool: str) -> bool:
        self._enter("make_directory")
        path = matching.directory_of(name)
        matching.require_serving(self._now())
        if pool not in matching.require_filesystem(self.files).data_pools:
            raise NotFound(f"The file system has no pool {pool}", code="no-pool", component="ceph")
        there = self.directories.get(name)
        if there is not None and there[0] == pool:
            return False
        if there is not None and there[1]:
            raise matching.directory_differs(path)
        self.directories[name] = (pool, [])
        return True

    def entries(self, name: str) -> tuple[str, ...] | None:
        self._enter("entries")
        matching.directory_of(name)
        if self.files is None:
            return None
        matching.require_serving(self._now())
        there = self.directories.get(name)
        return None if there is None else tuple(sorted(there[1]))

    def remove_directory(self, name: str) -> bool:
        self._enter("remove_directory")
        path = matching.directory_of(name)
        if self.files is None:
            return False
        matching.require_serving(self._now())
        if name in self.directories and self.directories[name][1]:
            raise Conflict(f"{path} is not empty", code="ENOTEMPTY", component="ceph")
        return self.directories.pop(name, None) is not None

    def remove_pool(self, name: str, *, marks: dict[str, str]) -> bool:
        if self.files is not None and name in (self.files.metadata_pool, *self.files.data_pools):
            raise Conflict(f"The pool {name} is in use by CephFS", code="EBUSY", component="ceph")
        return super().remove_pool(name, marks=marks)

    def _use(self, pool: str, kind: str) -> None:
        """What Ceph notes of a pool that it takes for a file system; one that is used for images is refused."""
        there = self._require_pool(pool)
        if set(there.applications) - {"cephfs"}:
            raise Conflict(f"The pool {pool} has a non-CephFS application enabled", code="EINVAL", component="ceph")
        noted = dict(there.applications.get("cephfs", {})) | {kind: FILESYSTEM}
        self.pools_by_name[pool] = replace(there, applications={"cephfs": noted})

    def _now(self) -> FilesystemFacts | None:
        return replace(self.files, serving=self.server) if self.files is not None else None
