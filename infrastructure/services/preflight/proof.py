"""The proof that a folder is the same one on two nodes: a marker file with a random text, written here, read there.

libvirt knows some network file systems as shared and nothing else. Where it does not, this proof, and only it, lets a
migration go on with VIR_MIGRATE_UNSAFE.
"""

import contextvars
import secrets
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TypeVar

import structlog

from infrastructure.drivers.base import DriverError, HostCommands, within

MARKER = ".mooring-marker-"
REMOVAL_SECONDS = 5.0
T = TypeVar("T")
log = structlog.get_logger("mooring.preflight")


class SharedFolders:
    """What two nodes see under the same paths. Few commands, each asked once. Every method raises DriverError."""

    def __init__(self, source: HostCommands, target: HostCommands) -> None:
        self._source = source
        self._target = target
        self._paths: dict[str, tuple[str, str]] = {}
        self._same: dict[str, bool] = {}

    def look_up(self, paths: Collection[str]) -> None:
        """Ask where these paths lead, all at once; later questions about them cost nothing."""
        new = sorted(set(paths) - self._paths.keys())
        if new:
            here, there = self._both(lambda host: _resolve(host, new))
            self._paths |= {path: (here.get(path, ""), there.get(path, "")) for path in new}

    def same_file(self, path: str) -> bool:
        """Whether the path exists on both nodes and leads into one and the same folder."""
        self.look_up([path])
        here, there = self._paths[path]
        return here == there != "" and self.same(str(PurePosixPath(here).parent))

    def same_folder(self, path: str) -> bool:
        """Whether the path is one and the same folder on both nodes, and nothing else is mounted over it on one."""
        if not self.same_file(path):
            return False
        here, there = self._both(lambda host: host.run(["stat", "-c", "%i", "--", path]).text)
        return here == there

    def same(self, folder: str) -> bool:
        """Whether both nodes see one and the same folder there. One that cannot be written raises DriverError."""
        if folder not in self._same:
            self._same[folder] = self._prove(folder)
        return self._same[folder]

    def _prove(self, folder: str) -> bool:
        marker = str(PurePosixPath(folder) / f"{MARKER}{secrets.token_hex(8)}")
        text = secrets.token_hex(32).encode()
        try:
            self._source.run(["tee", "--", marker], input=text)
            return self._target.run(["cat", "--", marker], check=False).stdout == text
        finally:
            self._delete(marker)

    def _delete(self, marker: str) -> None:
        """Never raises: what went wrong before counts. A shared folder can be cleared from either node."""
        for host in (self._source, self._target):
            try:
                with within(REMOVAL_SECONDS):  # of its own: the question may have used up its time
                    host.run(["rm", "-f", "--", marker])
                return
            except DriverError as error:
                log.warning("a marker could not be deleted", path=marker, reason=str(error))

    def differing(self, paths: Collection[str]) -> list[str]:
        """Which of these small files (a kernel, an initrd) are missing on one node or have another content there."""
        if not paths:
            return []
        here, there = self._both(lambda host: _checksums(host, paths))
        return [path for path in paths if path not in here or here[path] != there.get(path)]

    def _both(self, ask: Callable[[HostCommands], T]) -> tuple[T, T]:
        """Ask both nodes at once: the commands take long to start and little to run."""
        with ThreadPoolExecutor(1, thread_name_prefix="preflight") as pool:
            # A copy of the context carries the deadline that `within` set in this thread.
            there = pool.submit(contextvars.copy_context().run, ask, self._target)
            here = ask(self._source)
            return here, there.result()


def _resolve(host: HostCommands, paths: list[str]) -> dict[str, str]:
    """Path → real path; those that do not exist are left out."""
    done = host.run(["realpath", "-e", "--", *paths], check=False)
    found = done.text.splitlines()
    if done.code == 0 and len(found) == len(paths):
        return dict(zip(paths, found, strict=True))
    if len(paths) == 1:
        return {}
    return {path: real for one in paths for path, real in _resolve(host, [one]).items()}


def _checksums(host: HostCommands, paths: Collection[str]) -> dict[str, str]:
    """Path → SHA-256; those that cannot be read are left out."""
    said = host.run(["sha256sum", "-b", "--", *paths], check=False).text
    pairs = (line.split(" *", 1) for line in said.splitlines() if " *" in line)
    return {path: digest for digest, path in pairs}
