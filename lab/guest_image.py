"""What the lab's guests are made of: Debian's cloud kernel with a busybox initramfs for VMs, a busybox root for CTs.

The kernel and the guest agent come from Debian's packages, unpacked into a cache; nothing is installed on the host.
"""

import gzip
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.instance import CACHE, PROJECT
from lab.shell import run

_FILES = PROJECT / "lab" / "files"
_BUSYBOX = Path("/bin/busybox")
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_balloon", "virtio_console", "virtio_rng", "evdev", "button"),
)


@dataclass(frozen=True)
class GuestImage:
    """Kernel and initramfs of the VMs, files of the cache."""

    kernel: Path
    initramfs: Path


def build() -> GuestImage:
    """Returns the image, from the cache when nothing it is made of has changed.

    Raises LabError when a package is neither cached nor downloadable.
    """
    packages = [_package("linux-image-*-cloud-amd64", _kernel_package), _package("qemu-guest-agent", None)]
    folder = CACHE / f"guest-{_key(packages)}"
    image = GuestImage(folder / "vmlinuz", folder / "initramfs.gz")
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            unpacked, fresh = Path(scratch, "unpacked"), Path(scratch, "image")
            for package in packages:
                run(["dpkg-deb", "-x", package, unpacked])
            fresh.mkdir()
            shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), fresh / "vmlinuz")
            _pack_initramfs(unpacked, Path(scratch, "tree"), fresh / "initramfs.gz")
            for stale in CACHE.glob("guest-*"):
                shutil.rmtree(stale)
            fresh.rename(folder)
    return image


def build_container_root(root: Path) -> None:
    """Makes a CT's root folder: busybox, and an init that counts, serves the console and stops when told to."""
    fresh = root.with_name(f"{root.name}.new")
    for folder in ("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "tmp", "var"):
        (fresh / folder).mkdir(parents=True, exist_ok=True)
    _install_busybox(fresh)
    shutil.copytree(_FILES / "ct", fresh, dirs_exist_ok=True)
    shutil.copytree(_FILES / "guest" / "etc" / "udhcpc", fresh / "etc" / "udhcpc", dirs_exist_ok=True)
    fresh.rename(root)


def _kernel_package() -> str:
    """The versioned package behind linux-image-cloud-amd64."""
    found = re.search(
        r"Depends: (linux-image-\S+-cloud-amd64)", run(["apt-cache", "depends", "linux-image-cloud-amd64"])
    )
    if not found:
        raise LabError("apt knows no package linux-image-cloud-amd64: run apt-get update")
    return found[1]


def _package(pattern: str, resolve: Callable[[], str] | None) -> Path:
    """The .deb in the cache, downloaded first when there is none. The newest one, should there be several."""
    folder = CACHE / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"{pattern}_*.deb")):
        name = resolve() if resolve else pattern
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _download(name, Path(scratch))
            for file in Path(scratch).glob("*.deb"):
                file.rename(folder / file.name)
    return max(folder.glob(f"{pattern}_*.deb"), key=lambda file: file.stat().st_mtime)


def _download(name: str, folder: Path) -> None:
    done = subprocess.run(["apt-get", "download", name], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"apt-get download {name} failed: {done.stderr.strip()}. Run apt-get update and try again.")


def _key(packages: list[Path]) -> str:
    digest = hashlib.sha256()
    for package in packages:
        digest.update(package.name.encode())
    for file in [_BUSYBOX, Path(__file__), *sorted(path for path in (_FILES / "guest").rglob("*") if path.is_file())]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _pack_initramfs(unpacked: Path, tree: Path, target: Path) -> None:
    for folder in ("bin", "dev", "lib/modules", "mnt", "proc", "root", "run", "sbin", "sys", "tmp", "usr/sbin", "var"):
        (tree / folder).mkdir(parents=True)
    _install_busybox(tree)
    shutil.copytree(_FILES / "guest", tree, dirs_exist_ok=True)
    order = [module.name for module in _copy_modules(unpacked, tree / "lib" / "modules")]
    (tree / "etc" / "modules").write_text("".join(f"{name}\n" for name in order))
    agent = unpacked / "usr" / "sbin" / "qemu-ga"
    shutil.copy(agent, tree / "usr" / "sbin")
    for library in re.findall(r"(/\S+) \(0x", run(["ldd", agent])):
        (tree / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, tree / library.lstrip("/"))
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
        cwd=tree,
        input=names.encode(),
        capture_output=True,
        check=True,
    )
    target.write_bytes(gzip.compress(packed.stdout, compresslevel=1, mtime=0))


def _copy_modules(unpacked: Path, target: Path) -> list[Path]:
    """Copies the kernel modules the guests need; returns them with each after those it depends on."""
    tree = next((unpacked / "lib" / "modules").iterdir())
    run(["depmod", "-b", unpacked, tree.name])
    dependencies = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        module, _, needs = line.partition(":")
        dependencies[Path(module).stem.replace("-", "_")] = [tree / module, *(tree / need for need in needs.split())]
    order: list[Path] = []
    for name in _MODULES:
        # modules.dep lists the direct need first, what that one needs after it.
        order += [path for path in reversed(dependencies[name]) if path not in order]
    for path in order:
        shutil.copy(path, target)
    return order


def _install_busybox(root: Path) -> None:
    shutil.copy(_BUSYBOX, root / "bin" / "busybox")
    for applet in run([_BUSYBOX, "--list"]).split():
        link = root / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
