"""What it takes to copy a disk that only the source has: its size there, and room for it on the target."""

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from infrastructure.drivers.base import DiskFacts, HostCommands
from infrastructure.services import figures
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import Check, DiskCopy, failed, used_bytes

FORMATS = ("raw", "qcow2")
_ANOTHER = "Put it on storage that both nodes see under the same path."


def obstacle(context: Context, disk: DiskFacts) -> Check | None:
    """Why this disk cannot be copied, None when it can."""
    path = PurePosixPath(disk.source)
    # It is written to and deleted as root, and read from what commands print line by line.
    if not path.is_absolute() or ".." in path.parts or not disk.source.isprintable():
        return failed("disks", f"{disk.target}: {disk.source!a} cannot be copied: it is not a plain path", _ANOTHER)
    if context.source_driver.run(["test", "-L", disk.source], check=False).code == 0:
        link = f"{disk.target}: {disk.source} is a symbolic link, and cannot be copied"
        return failed("disks", link, f"Have {context.ve} use what it leads to.")
    if disk.device == "filesystem":
        if disk.type != "mount" or len(PurePosixPath(disk.source).parts) < 3:
            return failed("disks", f"{disk.target}: {disk.source} cannot be copied", _ANOTHER)
        return None
    if disk.shareable:
        return failed("disks", f"{disk.target}: {disk.source} is shared with other VEs and cannot be copied", _ANOTHER)
    if disk.type != "file" or disk.format not in FORMATS:
        return failed(
            "disks", f"{disk.target}: {disk.source} is {disk.format or disk.type}; only raw and qcow2 files are copied",
            _ANOTHER,
        )  # fmt: skip
    if disk.readonly and context.live:
        return failed("disks", f"{disk.target} is read-only, which libvirt does not copy live", "Choose Offline.")
    if not context.live and (below := disk.backing[0] if disk.backing else _below(context.source_driver, disk)):
        return failed(
            "disks", f"{disk.target} builds upon {below}, which only {context.source} has",
            "Move it live: that copies both into one image.",
        )  # fmt: skip
    return None


def measured(context: Context, disks: Sequence[DiskFacts]) -> tuple[DiskCopy, ...]:
    """The disks with their sizes on the source. DriverError."""
    host = context.source_driver
    used = _used_by_files(host, [disk.source for disk in disks if disk.device != "filesystem"])
    found = []
    for disk in disks:
        if disk.device == "filesystem":
            size = _used_by_folder(host, disk.source)
            found.append(DiskCopy(disk.target, disk.source, "", size, size))
        else:
            size = used.get(disk.source, disk.size_bytes)
            found.append(DiskCopy(disk.target, disk.source, disk.format, disk.size_bytes or size, size))
    return tuple(found)


def no_place(context: Context, copies: Sequence[DiskCopy]) -> Check | None:
    """Why the target cannot take the copies: something is there already, no folder, no room. None when it can."""
    host, target = context.target_driver, context.target
    there = host.run(["stat", "-c", "%n", "--", *(copy.path for copy in copies)], check=False).text.splitlines()
    if there:
        return failed(
            "disks", f"{target} has another {there[0]} already", "Look what it is; move it away if nothing uses it."
        )
    folders = sorted({str(PurePosixPath(copy.path).parent) for copy in copies})
    room = _room(host, folders)
    for folder in folders:
        if folder not in room:
            return failed("disks", f"{target} has no folder {folder}", f"Make it there: mkdir -p {folder}")
    for mount in {mount for mount, _free in room.values()}:
        inside = [copy for copy in copies if room[str(PurePosixPath(copy.path).parent)][0] == mount]
        free = next(free for at, free in room.values() if at == mount)
        if used_bytes(inside) > free:
            need = figures.memory(used_bytes(inside))
            return failed(
                "disks", f"{target}: {figures.memory(free)} free in {mount}, {need} needed",
                f"Free {figures.memory(used_bytes(inside) - free)} there, or choose another node.",
            )  # fmt: skip
    return None


def free_bytes(context: Context, copies: Sequence[DiskCopy]) -> int:
    """Room in the folder of the first copy on the target."""
    room = _room(context.target_driver, [str(PurePosixPath(copies[0].path).parent)])
    return next((free for _mount, free in room.values()), 0)


def _below(host: HostCommands, disk: DiskFacts) -> str:
    """The file that the image builds upon, which libvirt does not tell of a stopped VE; "" for none. DriverError."""
    if disk.format == "raw":
        return ""
    said = host.run(["qemu-img", "info", "-U", "--output=json", "-f", disk.format, "--", disk.source]).text
    return str(json.loads(said).get("backing-filename", ""))


def _used_by_files(host: HostCommands, paths: list[str]) -> dict[str, int]:
    if not paths:
        return {}
    # A file that is missing on the source too has no size; the checks of its folder name it.
    lines = host.run(["stat", "-c", "%b %B %n", "--", *paths], check=False).text.splitlines()
    return {path: int(blocks) * int(size) for blocks, size, path in (line.split(" ", 2) for line in lines)}


def _used_by_folder(host: HostCommands, path: str) -> int:
    return int(host.run(["du", "-sx", "-B1", "--", path]).text.split()[0])


def _room(host: HostCommands, folders: list[str]) -> dict[str, tuple[str, int]]:
    """Folder → (mount point, free bytes); folders that do not exist are left out."""
    found = {}
    for folder in folders:
        said = host.run(["df", "-B1", "--output=avail,target", "--", folder], check=False)
        if said.code == 0:
            free, mount = said.text.splitlines()[-1].split(None, 1)
            found[folder] = (mount.strip(), int(free))
    return found
