"""The file system on Ceph, and its directories. Each function is one round's work, asks first and may be repeated."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import cephfs

from storage.drivers import matching
from storage.drivers.ceph_errors import translating
from storage.drivers.ceph_json import numbers, rows, table, text, whole
from storage.drivers.ceph_round import Round
from storage.drivers.facts import FilesystemFacts
from storage.drivers.matching import FILES_METADATA, FILES_ROOT, FILESYSTEM, MOST_ENTRIES, VOLUMES

_MODE = 0o755
_POOL, _FIELD_BYTES = "ceph.dir.layout.pool", 1024
_ACTIVE = "up:active"


class Files:
    """The panel's file system, over one handle."""

    def __init__(self, ask: Round) -> None:
        self._round = ask

    def filesystem(self) -> FilesystemFacts | None:
        """See FileKeeper."""
        for row in rows(self._round.ask("fs dump"), "filesystems"):
            told = table(row, "mdsmap")
            if text(told, "fs_name") == FILESYSTEM:
                found = self._described(told)
                matching.require_own_filesystem(found)
                return found
        return None

    def _described(self, told: dict[str, Any]) -> FilesystemFacts:
        listed = rows(self._round.ask_one("osd dump"), "pools")
        names = {whole(row, "pool"): text(row, "pool_name") for row in listed}
        servers = table(told, "info").values()
        return FilesystemFacts(
            FILESYSTEM,
            metadata_pool=names.get(whole(told, "metadata_pool", default=-1), ""),
            data_pools=tuple(names.get(number, "") for number in numbers(told, "data_pools")),
            serving=any(text(server, "state") == _ACTIVE for server in servers),
        )

    def make(self) -> bool:
        if self.filesystem() is not None:
            return False
        self._round.do("fs new", fs_name=FILESYSTEM, metadata=FILES_METADATA, data=FILES_ROOT)
        return True

    def remove(self) -> bool:
        if (there := self.filesystem()) is None:
            return False
        matching.require_no_data_pools(there)
        self._round.do("fs fail", fs_name=FILESYSTEM)
        self._round.do("fs rm", fs_name=FILESYSTEM, yes_i_really_mean_it=True)
        return True

    def add_data_pool(self, pool: str) -> bool:
        matching.check_name(pool)
        if pool in matching.require_filesystem(self.filesystem()).data_pools:
            return False
        self._round.do("fs add_data_pool", fs_name=FILESYSTEM, pool=pool)
        return True

    def remove_data_pool(self, pool: str) -> bool:
        matching.check_name(pool)
        there = self.filesystem()
        if there is None or pool not in there.data_pools:
            return False
        self._round.do("fs rm_data_pool", fs_name=FILESYSTEM, pool=pool)
        return True

    def make_directory(self, name: str, *, pool: str) -> bool:
        path = matching.directory_of(name)
        with self._mounted(f"make the directory {path}") as files:
            self._round.check()
            files.mkdirs(VOLUMES, _MODE)
            self._round.check()
            made = _make(files, path)
            if _pool_of(files, path) == pool:
                return made
            if _entries(files, path):
                raise matching.directory_differs(path)
            self._round.check()
            files.setxattr(path, _POOL, pool.encode(), 0)
        return True

    def entries(self, name: str) -> tuple[str, ...] | None:
        path = matching.directory_of(name)
        if self.filesystem() is None:
            return None
        with self._mounted(f"list the directory {path}") as files:
            try:
                return _entries(files, path)
            except cephfs.ObjectNotFound:
                return None

    def remove_directory(self, name: str) -> bool:
        path = matching.directory_of(name)
        if self.filesystem() is None:
            return False
        with self._mounted(f"remove the directory {path}") as files:
            self._round.check()
            try:
                files.rmdir(path)
            except cephfs.ObjectNotFound:
                return False
        return True

    @contextmanager
    def _mounted(self, doing: str) -> "Iterator[cephfs.LibCephFS]":
        """The file system for a few calls. It shares the options and the key of the handle, and nothing else."""
        matching.require_serving(self.filesystem())
        with translating(self._round.where, doing):
            # A pool that was just given to the file system is unknown to one who has an older map.
            self._round.handle.wait_for_latest_osdmap()
            files = cephfs.LibCephFS(rados_inst=self._round.handle)
            try:
                files.mount(filesystem_name=FILESYSTEM.encode())
                yield files
            finally:
                files.shutdown()


def _make(files: "cephfs.LibCephFS", path: str) -> bool:
    try:
        files.mkdir(path, _MODE)
    except cephfs.ObjectExists:
        return False
    return True


def _pool_of(files: "cephfs.LibCephFS", path: str) -> str:
    """The pool that was set for the directory itself; "" when it has what the one above has."""
    try:
        return bytes(files.getxattr(path, _POOL, _FIELD_BYTES)).decode()
    except cephfs.NoData:
        return ""


def _entries(files: "cephfs.LibCephFS", path: str) -> tuple[str, ...]:
    found: list[str] = []
    opened = files.opendir(path)
    try:
        for entry in iter(partial(files.readdir, opened), None):
            name = entry.d_name.decode(errors="replace")
            if name not in (".", ".."):
                found.append(name)
            if len(found) == MOST_ENTRIES:
                break
    finally:
        files.closedir(opened)
    return tuple(sorted(found))
