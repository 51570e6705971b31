"""What a round-robin file holds, and whether a file on the disk is one.

librrd ends the whole process ("double free or corruption") on a file that is cut short or has a damaged definition.
So a file reaches it only when its size and all the bytes of its definition equal those of a fresh one.
"""

import struct
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import rrdtool

STEP = 10  # seconds
HEARTBEAT = 35  # seconds without a sample until the value counts as unknown
_MACHINE = (
    "cpu",  # percent of all threads of the node, of all vCPUs of the VE
    "memory",  # bytes in use
    "disk_read",  # bytes per second
    "disk_write",
    "read_ops",  # requests per second
    "write_ops",
    "net_in",  # bytes per second received by the VE; a node: the sum of its VEs
    "net_out",
)
_CLUSTER = (
    "read_bytes",  # bytes per second, by all clients
    "write_bytes",
    "read_ops",  # requests per second
    "write_ops",
    "write_ms",  # the mean of the disks' commit latencies, milliseconds
    "used",  # raw bytes
    "available",
)
# Of what series are kept, and the columns of each. A kind whose columns change begins its files anew.
COLUMNS: Mapping[str, tuple[str, ...]] = {"node": _MACHINE, "ve": _MACHINE, "cluster": _CLUSTER}


class Archive(NamedTuple):
    """``rows`` consolidated values, each over ``step`` seconds."""

    function: str
    step: int
    rows: int

    @property
    def span(self) -> int:
        return self.step * self.rows


# 1.2 MiB a file, reached at its creation and never exceeded.
ARCHIVES = (
    Archive("AVERAGE", 10, 720),  # 2 h
    Archive("AVERAGE", 60, 1440),  # 24 h
    Archive("AVERAGE", 600, 4320),  # 30 d
    Archive("AVERAGE", 7200, 4380),  # 1 y
    Archive("MAX", 600, 4320),
    Archive("MAX", 7200, 4380),
)


class Shape(NamedTuple):
    """Size in bytes of each file with some columns, and the bytes that all of them begin with."""

    size: int
    definition: bytes


def create(path: Path, start: int, columns: tuple[str, ...]) -> None:
    """Make an empty file of these columns whose first sample may be after ``start`` (seconds since 1970).

    Raises rrdtool's errors.
    """
    sources = [f"DS:{name}:GAUGE:{HEARTBEAT}:0:U" for name in columns]
    archives = [f"RRA:{archive.function}:0.5:{archive.step // STEP}:{archive.rows}" for archive in ARCHIVES]
    rrdtool.create(str(path), "--start", str(start), "--step", str(STEP), *sources, *archives)


@cache
def shape(columns: tuple[str, ...]) -> Shape:
    """The shape of a file made by this library in this version."""
    start = 1_000_000_000
    with tempfile.TemporaryDirectory(prefix="mooring-rrd-") as folder:
        path = Path(folder) / "fresh.rrd"
        create(path, start, columns)
        data = path.read_bytes()
    # The definition is followed by the time of the last sample: the first part that differs from file to file.
    return Shape(len(data), data[: data.index(struct.pack("@q", start))])


def is_sound(path: Path, columns: tuple[str, ...]) -> bool:
    """Whether the file has these columns and is safe to hand to librrd. Raises OSError when it cannot be read."""
    size, definition = shape(columns)
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell() != size:
            return False
        file.seek(0)
        return file.read(len(definition)) == definition
