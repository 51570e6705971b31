"""The Debian packages a node needs."""

from collections.abc import Sequence

from infrastructure.drivers.base import HostCommands

PACKAGES = (
    "libvirt-daemon-system",
    "libvirt-daemon-driver-qemu",
    "libvirt-daemon-driver-lxc",
    "libvirt-daemon-driver-storage-rbd",
    "libvirt-clients",
    "qemu-system-x86",
    "qemu-utils",
    "qemu-block-extra",
    "ceph-fuse",
)
INSTALL_SECONDS = 900.0
_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--no-install-recommends")
# The admin's own files win over the package's; the lock of another apt is waited for.
_OPTIONS = ("-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=120")


def install_command(packages: Sequence[str]) -> list[str]:
    return [*_APT, *_OPTIONS, "install", *packages]


def missing(host: HostCommands, packages: Sequence[str] = PACKAGES) -> list[str]:
    """Which of the packages are not installed. DriverError when the node has no dpkg: it is not a Debian."""
    said = host.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *packages], check=False)
    if said.code not in (0, 1):  # 1: some are not known
        host.run(["dpkg-query", "--version"])
    installed = {
        name for name, _, status in (line.partition(" ") for line in said.text.splitlines()) if status == "installed"
    }
    return [name for name in packages if name not in installed]


def install(host: HostCommands, packages: Sequence[str]) -> None:
    """Install them with what they need. DriverError with apt's last words."""
    host.run([*_APT, "update"], deadline=INSTALL_SECONDS)
    host.run(install_command(packages), deadline=INSTALL_SECONDS)
