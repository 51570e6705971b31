"""Checks about what a VE reads and writes: each file must be the same one on the target."""

from dataclasses import replace
from pathlib import PurePosixPath

from infrastructure.drivers.base import DiskFacts, DriverError, Unreachable
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import Check, failed, passed, warning

_MEDIA = ("cdrom", "floppy")
_SHARE = "Put it on storage that both nodes see under the same path."


def disks(context: Context) -> Check:
    """Disks with all files below them, and the kernel and initrd of a direct boot."""
    guest = context.guest()
    wanted = [disk for disk in guest.disks if disk.device not in _MEDIA and disk.source]
    context.folders.look_up([path for disk in guest.disks for path in _paths(disk)])
    for disk in wanted:
        if (problem := _disk_problem(context, disk)) is not None:
            return problem
    for path in context.folders.differing([path for path in (guest.kernel, guest.initrd) if path]):
        missing = f"{path} is missing on {context.target}, or another file there"
        return failed("disks", missing, f"Copy it from {context.source}: QEMU needs it to start.")
    files = [disk for disk in wanted if disk.type == "file"]
    text = "; ".join(_shown(disk) for disk in wanted) or "No disks"
    if files:
        folders = sorted({_folder(disk.source) for disk in files})
        text += f". Both nodes see the same {', '.join(folders)}"
    blocks = [disk.target for disk in wanted if disk.type == "block"]
    if blocks:
        doubt = f"{text}. That {', '.join(blocks)} is one device on both nodes cannot be proved"
        return replace(warning("disks", doubt, "Compare the serial numbers."), shared_by_proof=bool(files))
    return replace(passed("disks", text), shared_by_proof=bool(files))


def media(context: Context) -> Check:
    """CDs and floppies: an image that only the source has would be missing at the next read."""
    inserted = [disk for disk in context.guest().disks if disk.device in _MEDIA and disk.source]
    for disk in inserted:
        local = f"{disk.target} holds {disk.source}, which only {context.source} has"
        if disk.type == "file" and _differs(context, disk.source):
            return failed("media", local, f"Eject it: `virsh change-media {context.ve} {disk.target} --eject`.")
        if disk.type == "block":
            return failed("media", f"{disk.target} is a drive of {context.source}: {disk.source}", "Detach it first.")
    there = ", ".join(disk.source for disk in inserted)
    return passed("media", f"{there} on both nodes" if there else "no local media inserted")


def _disk_problem(context: Context, disk: DiskFacts) -> Check | None:
    if disk.type == "network":
        return None
    if disk.type == "block":
        if context.target_driver.run(["test", "-b", disk.source], check=False).code:
            return failed("disks", f"{disk.target}: {context.target} has no device {disk.source}", _SHARE)
        return None
    if disk.type != "file":
        return failed("disks", f"{disk.target} is of type {disk.type}, which cannot be moved", "Detach it first.")
    for path in _paths(disk):
        if _differs(context, path):
            return failed(
                "disks",
                f"{disk.target}: {path} ({disk.format or 'format not stated'}) is not on {context.target}",
                _SHARE,
            )
    return None


def _paths(disk: DiskFacts) -> list[str]:
    return [disk.source, *disk.backing] if disk.type == "file" and disk.source else []


def _differs(context: Context, path: str) -> bool:
    """Whether the path is missing on the target or leads into another folder there. Unreachable.

    A folder that cannot be written cannot be proved shared, and counts as different.
    """
    try:
        return not context.folders.same_file(path)
    except Unreachable:
        raise
    except DriverError:
        return True


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _shown(disk: DiskFacts) -> str:
    return (
        f"{disk.target} {disk.source} ({', '.join(part for part in (disk.format, disk.protocol) if part) or disk.type})"
    )
