"""Checks about what a VE reads and writes: each file must be the same one on the target, or be copied."""

from dataclasses import replace
from pathlib import PurePosixPath

from infrastructure.drivers.base import DiskFacts, DriverError, Unreachable
from infrastructure.services import figures
from infrastructure.services.preflight import copies
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import Check, failed, passed, used_bytes, warning

_MEDIA = ("cdrom", "floppy")
_SHARE = "Put it on storage that both nodes see under the same path."
_COPY = "Choose “Copy disks”, or put it on storage that both nodes see under the same path."


def disks(context: Context) -> Check:
    """Disks with all files below them, a container's file systems, and the kernel and initrd of a direct boot."""
    guest = context.guest()
    wanted = [disk for disk in guest.disks if disk.device not in _MEDIA and disk.source]
    context.folders.look_up([path for disk in guest.disks for path in _paths(disk)])
    local: dict[str, DiskFacts] = {}
    for disk in wanted:
        if (problem := _type_problem(context, disk)) is not None:
            return problem
        local |= dict.fromkeys(_differing(context, disk), disk)
    shared = [disk for disk in wanted if disk not in local.values()]
    found = _copied(context, shared, local) if local else _shared(shared)
    boots_from = context.folders.differing([path for path in (guest.kernel, guest.initrd) if path])
    return _lacking(context, boots_from, found) if boots_from else found


def _lacking(context: Context, paths: list[str], found: Check) -> Check:
    """Files that QEMU starts the guest with are never copied; what else is wrong with the disks is told with them."""
    text = f"{' and '.join(paths)} is missing on {context.target}, or another file there"
    fix = f"Copy it from {context.source}: QEMU needs it to start."
    if found.state == "failed":
        text, fix = f"{found.text}; {text}", f"{found.fix} {fix}"
    return replace(failed("disks", text, fix), copies=found.copies)


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


def _type_problem(context: Context, disk: DiskFacts) -> Check | None:
    if disk.type == "block":
        if context.target_driver.run(["test", "-b", disk.source], check=False).code:
            return failed("disks", f"{disk.target}: {context.target} has no device {disk.source}", _SHARE)
        return None
    if disk.secret and disk.secret not in context.target_driver.secrets():
        text = f"{disk.target}: {context.target} lacks the key that {disk.source} is opened with"
        return failed(
            "disks", text, f"Attach its storage there: the secret {disk.secret} of {context.source}'s libvirt."
        )
    if disk.type not in ("file", "network") and not _is_folder(disk):
        return failed("disks", f"{disk.target} is of type {disk.type}, which cannot be moved", "Detach it first.")
    return None


def _differing(context: Context, disk: DiskFacts) -> list[str]:
    """Which of its files, or its folder, the target lacks or has another of."""
    if _is_folder(disk):
        return [disk.source] if _differs(context, disk.source, folder=True) else []
    return [path for path in _paths(disk) if disk.type == "file" and _differs(context, path)]


def _shared(wanted: list[DiskFacts]) -> Check:
    files = [disk for disk in wanted if disk.type == "file" or _is_folder(disk)]
    text = "; ".join(_shown(disk) for disk in wanted) or "No disks"
    if files:
        folders = sorted({_folder(disk.source) for disk in files})
        text += f". Both nodes see the same {', '.join(folders)}"
    blocks = [disk.target for disk in wanted if disk.type == "block"]
    if blocks:
        doubt = f"{text}. That {', '.join(blocks)} is one device on both nodes cannot be proved"
        return replace(warning("disks", doubt, "Compare the serial numbers."), shared_by_proof=bool(files))
    return replace(passed("disks", text), shared_by_proof=bool(files))


def _copied(context: Context, shared: list[DiskFacts], local: dict[str, DiskFacts]) -> Check:
    """Disks of which only the source has these files: whether they can be copied, how much that is, whether it fits."""
    missing = ", ".join(f"{disk.target} {path}" for path, disk in local.items())
    disks = list({disk.target: disk for disk in local.values()}.values())
    for disk in disks:
        if (problem := copies.obstacle(context, disk)) is not None:
            return problem
    found = copies.measured(context, disks)
    size = figures.memory(used_bytes(found))
    names = ", ".join(f"{copy.disk} {copy.path}" for copy in found)
    if not context.copy_disks:
        text = f"Not on {context.target}, or another one there: {missing} ({size})"
        return replace(failed("disks", text, _COPY), copies=found)
    if (problem := copies.no_place(context, found)) is not None:
        return problem
    base = _shared(shared)
    free = figures.memory(copies.free_bytes(context, found))
    text = f"{size} to copy: {names}; {free} free on {context.target}"
    if shared:
        text = f"{text}. {base.text}"
    return replace(base, text=text, copies=found)


def _paths(disk: DiskFacts) -> list[str]:
    if _is_folder(disk):
        return [disk.source]
    return [disk.source, *disk.backing] if disk.type == "file" and disk.source else []


def _differs(context: Context, path: str, *, folder: bool = False) -> bool:
    """Whether the path is missing on the target or leads into another folder there. Unreachable.

    A folder that cannot be written cannot be proved shared, and counts as different.
    """
    try:
        return not (context.folders.same_folder(path) if folder else context.folders.same_file(path))
    except Unreachable:
        raise
    except DriverError:
        return True


def _is_folder(disk: DiskFacts) -> bool:
    return disk.device == "filesystem" and disk.type == "mount"


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _shown(disk: DiskFacts) -> str:
    kind = ", ".join(part for part in (disk.format, disk.protocol) if part)
    return f"{disk.target} {disk.source} ({kind or ('folder' if _is_folder(disk) else disk.type)})"
