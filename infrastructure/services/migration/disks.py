"""Disks that only the source has: made ready or copied on the target, taken back, deleted on the source."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from infrastructure.drivers.base import DriverError, HostCommands, HostDriver
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.migration.plan import Plan
from infrastructure.services.preflight import DiskCopy
from infrastructure.services.preflight.proof import SharedFolders
from tasks.errors import JobFailed

LONG_SECONDS = 300.0  # for deleting or flushing a large disk
WRITER_SECONDS = 10.0  # until a transfer that was cut off has ended on its node
_TAR = ("tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner")
OnBytes = Callable[[int], None]
Show = Callable[[Sequence[str]], None]


def to_json(copies: Sequence[DiskCopy]) -> list[dict[str, Any]]:
    """As an undo's arguments carry them."""
    return [asdict(copy) for copy in copies]


def from_json(rows: Sequence[dict[str, Any]]) -> tuple[DiskCopy, ...]:
    return tuple(DiskCopy(**row) for row in rows)


def make_empty(plan: Plan, copy: DiskCopy, *, show: Show) -> None:
    """Make the image on the target into which libvirt copies the disk. DriverError."""
    argv = ["qemu-img", "create", "-q", "-f", copy.format, "--", copy.path, str(copy.virtual_bytes)]
    show(["ssh", plan.target.name, *argv])
    plan.target_driver.run(argv)


def is_there(plan: Plan, copy: DiskCopy) -> bool:
    """Whether the whole copy is in place on the target: it gets its name when it is complete."""
    return plan.target_driver.run(["test", "-e", copy.path], check=False).code == 0


def transfer(plan: Plan, copy: DiskCopy, *, show: Show, on_bytes: OnBytes) -> int:
    """Copy the disk of a stopped VE through the panel and return the bytes moved. DriverError.

    It is written beside its place under another name and renamed when it is complete and flushed.
    """
    target, path = plan.target_driver, PurePosixPath(copy.path)
    staging = _staging(plan, copy)
    _remove(target, [staging])
    target.run(["mkdir", "-m", "700", "--", staging])
    send = [*_TAR, "--create", "--sparse", "--one-file-system", "--file=-"]
    send += [f"--directory={path.parent}", "--", path.name]
    take = [*_TAR, "--extract", "--preserve-permissions", "--same-owner", "--file=-", f"--directory={staging}"]
    show(["ssh", plan.source.name, *send])
    show(["ssh", plan.target.name, *take])
    moved = plan.source_driver.pipe_to(
        send,
        endpoint_for(plan.target),
        take,
        bytes_per_second=plan.options.bandwidth_mib << 20,
        on_bytes=on_bytes,
    )
    _compare(plan, copy, f"{staging}/{path.name}")
    target.run(["sync", "-f", staging], deadline=LONG_SECONDS)
    target.run(["mv", "-T", "--", f"{staging}/{path.name}", copy.path])
    target.run(["rmdir", "--", staging])
    return moved


def discard(plan: Plan, copies: Sequence[DiskCopy]) -> None:
    """Remove from the target what was made there; only to be called while the VE is not there. DriverError.

    What lies there by now may be no copy: the original, where the target mounted its storage meanwhile, or another
    VE's. It stays.
    """
    host, folders = plan.target_driver, SharedFolders(plan.source_driver, plan.target_driver)
    used = _in_use(host)
    for copy in copies:
        paths = [_staging(plan, copy)]
        if not _user(copy, used) and not _is_original(plan, copy, folders):
            paths.append(copy.path)
        _remove(host, paths)


def _remove(host: HostCommands, paths: Sequence[str]) -> None:
    """Delete the paths of copies that were never finished. DriverError.

    A transfer that was cut off goes on writing there until its node notices, and a folder that is being filled cannot
    be deleted. Once it is gone nothing comes back: who fills it works inside the deleted folder.
    """
    argv = ["rm", "-rf", "--one-file-system", "--", *paths]
    end = time.monotonic() + WRITER_SECONDS
    while host.run(argv, deadline=LONG_SECONDS, check=time.monotonic() > end).code:
        time.sleep(0.2)


def delete_at_source(plan: Plan, copies: Sequence[DiskCopy]) -> list[str]:
    """Delete the disks on the source, which no longer has the VE; returns why some were left, in words.

    The copies may have been found necessary long ago, by an earlier attempt, so each is proved once more: that the
    target has it, and that it is not the original, on storage that both nodes see by now.
    """
    folders = SharedFolders(plan.source_driver, plan.target_driver)
    left = []
    for copy in copies:
        try:
            reason = _why_kept(plan, copy, folders)
            if not reason:
                plan.source_driver.run(["rm", "-rf", "--one-file-system", "--", copy.path], deadline=LONG_SECONDS)
        except DriverError as error:
            reason = error.message
        if reason:
            left.append(f"{copy.path} was left on {plan.source}: {reason}")
    return left


def _why_kept(plan: Plan, copy: DiskCopy, folders: SharedFolders) -> str:
    if user := _user(copy, _in_use(plan.source_driver)):
        return f"{user} uses it too"
    if not is_there(plan, copy):
        return f"{plan.target} does not have it"
    return f"{plan.target} sees this very one" if _is_original(plan, copy, folders) else ""


def _is_original(plan: Plan, copy: DiskCopy, folders: SharedFolders) -> bool:
    """Whether what the target has under this path is the source's own."""
    if not is_there(plan, copy):
        return False
    return folders.same(str(PurePosixPath(copy.path).parent)) or (copy.is_folder and folders.same(copy.path))


def _in_use(host: HostDriver) -> dict[str, str]:
    """Path → name of a VE of this node that uses it, the files below its disks included."""
    return {path: ve.name for ve in host.ves() for disk in ve.disks for path in (disk.source, *disk.backing) if path}


def _user(copy: DiskCopy, used: dict[str, str]) -> str:
    """The VE that uses the copy, something in it, or a folder that it lies in; "" for none."""
    path = PurePosixPath(copy.path)
    for other, name in used.items():
        if path.is_relative_to(other) or PurePosixPath(other).is_relative_to(path):
            return name
    return ""


def _staging(plan: Plan, copy: DiskCopy) -> str:
    path = PurePosixPath(copy.path)
    return str(path.parent / f".mooring-incoming-{plan.uuid}-{path.name}")


def _compare(plan: Plan, copy: DiskCopy, arrived: str) -> None:
    """JobFailed when the copy is not as large as the original."""
    if copy.is_folder:
        return
    here, there = _length(plan.source_driver, copy.path), _length(plan.target_driver, arrived)
    if here != there:
        raise JobFailed(
            f"{copy.path} has {here:,} bytes on {plan.source}, its copy {there:,}.",
            "See what writes to it, then retry the task.",
        )


def _length(host: HostCommands, path: str) -> int:
    return int(host.run(["stat", "-c", "%s", "--", path]).text)
