"""A spare disk for a node: a loop device of the host on a sparse file in the node's folder.

The kernel shows all block devices to all nodes; a node has a device file for its own spare alone. A spare that a killed
run left is found by the path of its file.
"""

import json
import os
from pathlib import Path

from lab.errors import LabError
from lab.node import Node
from lab.shell import run

SPARE_BYTES = 4 << 30


def add(node: Node) -> str:
    """Gives the node an empty spare disk, or the one it has; the path of its device in the node."""
    file = _file(node)
    device = _attached(file)
    if device is None:
        file.unlink(missing_ok=True)
        with file.open("wb") as made:
            made.truncate(SPARE_BYTES)
        device = run(["losetup", "--find", "--show", str(file)]).strip()
    number = Path(device).stat().st_rdev
    inside = node.inside(device)
    if not inside.exists():
        node.run("mknod", "-m", "660", device, "b", str(os.major(number)), str(os.minor(number)))
    return device


def release(node: Node) -> None:
    """Takes the spare away with all that is on it. Nothing may use it any more: the node has no power."""
    file = _file(node)
    device = _attached(file)
    if device is not None:
        run(["losetup", "--detach", device])
    file.unlink(missing_ok=True)


def _file(node: Node) -> Path:
    return node.directory / "spare.img"


def _attached(file: Path) -> str | None:
    listed = run(["losetup", "--list", "--json", "--output", "NAME,BACK-FILE"])
    devices = json.loads(listed)["loopdevices"] if listed.strip() else []
    names = [str(device["name"]) for device in devices if device["back-file"] == str(file)]
    if len(names) > 1:
        raise LabError(f"{file} is the file of several loop devices: {', '.join(names)}. Detach them with losetup")
    return names[0] if names else None
