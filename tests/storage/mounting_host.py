"""A node in memory on which directories are mounted: the commands that attaching a datastore for files runs there."""

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

from infrastructure.drivers.base import Completed
from infrastructure.drivers.fake import FakeNode

OK = Completed(b"", b"", 0)
_DEAD = b"stat: cannot read file system information: Transport endpoint is not connected"


class MountingHost:
    """`mounts`: path → type; `dead`, `hung`: paths of mounts that are; `users`: path → {process id: name}."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.mounts: dict[str, str] = {}
        self.below: list[str] = []  # mounts under others at the same path
        self.folders: set[str] = set()
        self.dead: set[str] = set()
        self.hung: set[str] = set()
        self.users: dict[str, dict[str, str]] = {}
        self.installed = True
        self.mounted = 0  # how many times
        self.failure = b""
        self.ran: list[str] = []
        node.run = self.run  # type: ignore[method-assign]

    def run(self, argv: Collection[str], *, check: bool = True, **_: Any) -> Completed:
        words = list(argv)
        self.node._enter("run")
        self.ran.append(" ".join(words))
        limited = words[3:] if words[0] == "timeout" else words
        done: Completed = getattr(self, f"_{limited[0].replace('-', '_')}")(limited[1:])
        assert not check or done.code == 0, (words, done)
        return done

    def _cat(self, words: list[str]) -> Completed:
        assert words == ["/proc/mounts"]
        lines = ["proc /proc proc rw 0 0", *(f"ceph-fuse {path} {kind} rw 0 0" for path, kind in self.mounts.items())]
        return Completed("\n".join(lines).encode(), b"", 0)

    def _stat(self, words: list[str]) -> Completed:
        if words[-1] in self.hung:
            return Completed(b"", b"", 124)
        return Completed(b"", _DEAD, 1) if words[-1] in self.dead else OK

    def _install(self, words: list[str]) -> Completed:
        self.folders |= {word for word in words if word.startswith("/")}
        return OK

    def _flock(self, words: list[str]) -> Completed:
        once, path = words[words.index("-c") + 1 :], words[words.index("-c") + 3]
        assert "--close" in words and "/proc/mounts" in once[0]
        if self.mounts.get(path) == "fuse.ceph-fuse":
            return OK
        return self._ceph_fuse(once[4:])

    def _ceph_fuse(self, words: list[str]) -> Completed:
        if not self.installed:
            return Completed(b"", b"timeout: failed to run command", 127)
        if self.failure:
            return Completed(b"", self.failure, 1)
        assert words[-1] in self.folders
        assert all(path in self.node.files for path in words if path.startswith("/etc/"))
        if words[-1] in self.mounts:
            self.below.append(words[-1])
        self.mounts[words[-1]] = "fuse.ceph-fuse"
        self.mounted += 1
        return OK

    def _umount(self, words: list[str]) -> Completed:
        path, lazy = words[-1], "--lazy" in words
        if not lazy and (path in self.hung or path in self.dead or self.users.get(path)):
            code = 124 if path in self.hung else 32
            return Completed(b"", b"umount: target is busy.", code)
        self.dead.discard(path)
        if path in self.below:
            self.below.remove(path)
        else:
            del self.mounts[path]
        return OK

    def _find(self, words: list[str]) -> Completed:
        found = [pid for path, users in self.users.items() if path in words for pid in users]
        return Completed("".join(f"/proc/{pid}\n/proc/{pid}/fd\n/proc/self\n" for pid in found).encode(), b"", 1)

    def _ps(self, words: list[str]) -> Completed:
        named = {pid: name for users in self.users.values() for pid, name in users.items()}
        return Completed("".join(f"{named[pid]} {pid}\n" for pid in words[-1].split(",")).encode(), b"", 0)

    def _rmdir(self, words: list[str]) -> Completed:
        if not any(PurePosixPath(words[-1]) in PurePosixPath(other).parents for other in self.folders):
            self.folders.discard(words[-1])
        return OK

    def _rm(self, words: list[str]) -> Completed:
        for path in words[1:]:
            self.node.files.pop(path, None)
        return OK
