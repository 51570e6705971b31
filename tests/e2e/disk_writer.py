"""A VM of the lab that writes known data to its disk from inside, and tells what is there and what went wrong."""

import hashlib
import time
from contextlib import suppress

from tests.e2e.lab import NODES, Lab

BLOCK = 64 << 10
# Writes block after block, each the hash of its number repeated, and says in /tmp/written how many are on the disk:
# written over in place, so that who reads it meanwhile never finds it empty.
_WRITER = """
rm -f /tmp/written /tmp/enough /tmp/ended /tmp/broken
( i=0
  while [ $i -lt {blocks} ] && [ ! -e /tmp/enough ]; do
    h=$(printf %s "$(printf 'block %s' $i | sha256sum | cut -c1-64)")
    yes "$h" | head -c {size} | dd of={device} bs={size} seek=$i conv=notrunc,fsync 2>/dev/null ||
      {{ echo $i >/tmp/broken; break; }}
    i=$((i+1)); printf '%-10d\\n' $i 1<>/tmp/written; {rest}
  done; echo $i >/tmp/ended ) >/dev/null 2>&1 &
"""


def content(number: int) -> bytes:
    """What the writer puts into a block."""
    line = hashlib.sha256(f"block {number}".encode()).hexdigest().encode() + b"\n"
    return (line * (BLOCK // len(line) + 1))[:BLOCK]


def digest(blocks: int) -> str:
    """SHA-256 of the first blocks of a written disk."""
    found = hashlib.sha256()
    for number in range(blocks):
        found.update(content(number))
    return found.hexdigest()


class DiskWriter:
    """A VM with a disk of so many MiB that is written to from inside."""

    def __init__(self, lab: Lab, node: str, name: str, *, mib: int = 64, device: str = "/dev/vda") -> None:
        self._seen = node
        self._lab = lab
        self.name = name
        self._device = device
        self.blocks = mib * (1 << 20) // BLOCK

    @property
    def node(self) -> str:
        """The node that runs it: the one where it was seen last, unless it moved."""
        names = (self._seen, *(name for name in NODES if name != self._seen))
        self._seen = next(name for name in names if self._runs_on(name))
        return self._seen

    def _runs_on(self, node: str) -> bool:
        with suppress(AssertionError):  # a node without power has none
            return self._lab.states(node).get(self.name) == "running"
        return False

    def run(self, script: str, timeout: float = 60) -> str:
        return self._lab.in_guest(self.node, self.name, script, timeout).strip()

    def begin(self, *, rest: float = 0) -> None:
        """Write from the first block on, with so many seconds between them, until told to stop or the disk is full."""
        pause = f"sleep {rest}" if rest else ""
        self.run(_WRITER.format(blocks=self.blocks, size=BLOCK, device=self._device, rest=pause))

    def written(self) -> int:
        return int(self.run("cat /tmp/written 2>/dev/null || true") or 0)

    def until_written(self, blocks: int, seconds: float = 120) -> int:
        end = time.monotonic() + seconds
        while (found := self.written()) < blocks:
            assert time.monotonic() < end, f"{self.name} wrote {found} of {blocks} blocks"
            time.sleep(0.5)
        return found

    def stop(self) -> int:
        """End the writing; the number of blocks that were written."""
        self.run("touch /tmp/enough; while [ ! -s /tmp/ended ]; do sleep 0.2; done", timeout=120)
        return int(self.run("cat /tmp/ended"))

    def errors(self) -> str:
        """What went wrong with the disk, as the writer and the guest's kernel tell it; empty when nothing did."""
        return self.run("cat /tmp/broken 2>/dev/null; dmesg | grep -iE 'I/O error|blk_update|vd[a-z].*error' || true")

    def check(self, blocks: int) -> None:
        """What is read back, past the guest's cache, is what was written."""
        script = (
            f"echo 3 >/proc/sys/vm/drop_caches; dd if={self._device} bs={BLOCK} count={blocks} 2>/dev/null | sha256sum"
        )
        assert self.run(script).split()[0] == digest(blocks)
