"""The proof that a folder is the same one on two nodes: a marker file with a random text, written here, read there.

libvirt knows some network file systems as shared and nothing else. Where it does not, this proof, and only it, lets a
migration go on with VIR_MIGRATE_UNSAFE.
"""

import secrets
from pathlib import PurePosixPath

from infrastructure.drivers.base import HostCommands, NotFound

MARKER = ".mooring-marker-"


class SharedFolders:
    """Asks each folder once. Every method raises DriverError."""

    def __init__(self, source: HostCommands, target: HostCommands) -> None:
        self._source = source
        self._target = target
        self._known: dict[str, bool] = {}

    def real_paths(self, paths: list[str]) -> dict[str, tuple[str, str]]:
        """For each path: where it leads on the source and on the target, "" where it does not exist."""
        return {path: (_resolve(self._source, path), _resolve(self._target, path)) for path in paths}

    def same(self, folder: str) -> bool:
        """Whether both nodes see one and the same folder there."""
        if folder not in self._known:
            self._known[folder] = self._prove(folder)
        return self._known[folder]

    def _prove(self, folder: str) -> bool:
        marker = str(PurePosixPath(folder) / f"{MARKER}{secrets.token_hex(8)}")
        text = secrets.token_hex(32).encode()
        try:
            self._source.write_file(marker, text, mode=0o600)
            return self._target.read_file(marker, limit=256) == text
        except NotFound:
            return False
        finally:
            self._source.run(["rm", "-f", "--", marker], check=False)

    def same_content(self, path: str) -> bool:
        """Whether a small file (a kernel, an initrd) exists on both nodes with the same content."""
        sums = [_checksum(host, path) for host in (self._source, self._target)]
        return sums[0] == sums[1] != ""


def _resolve(host: HostCommands, path: str) -> str:
    return host.run(["realpath", "-e", "--", path], check=False).text.strip()


def _checksum(host: HostCommands, path: str) -> str:
    done = host.run(["sha256sum", "-b", "--", path], check=False)
    return done.text.split(" ", 1)[0] if done.code == 0 else ""
