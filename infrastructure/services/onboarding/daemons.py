"""libvirt's daemons on a node: which of them run, and how each takes up a new program and new settings.

Guests are processes of their own and run on. virtlogd and virtlockd hold what running guests need, their logs and the
locks of their disks, so they are never stopped: told by SIGUSR1 they start themselves anew and keep all of it.
"""

import time
from dataclasses import dataclass

from infrastructure.drivers.base import DriverError, HostCommands
from infrastructure.services.onboarding import libvirt_settings

LIBVIRTD = "libvirtd"
HOLDERS = ("virtlogd", "virtlockd")
SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon; `commands` restart it."""

    name: str
    commands: tuple[tuple[str, ...], ...]


def running(host: HostCommands, *, systemd: bool) -> list[Daemon]:
    """The daemons to restart, in the order to do it: the holders that run, then libvirtd, whether it runs or not."""
    found = [
        Daemon(name, (_anew_command(name, systemd=systemd),)) for name in HOLDERS if _runs(host, name, systemd=systemd)
    ]
    commands = libvirt_settings.restart_commands(systemd=systemd)
    return [*found, Daemon(LIBVIRTD, tuple(map(tuple, commands)))]


def restart(host: HostCommands, daemon: Daemon, *, systemd: bool) -> None:
    """Restart one daemon and see to it that it runs. DriverError with the cause when it does not."""
    if daemon.name == LIBVIRTD:
        libvirt_settings.restart(host, systemd=systemd)
        return
    for argv in daemon.commands:
        host.run(argv)
    end = time.monotonic() + SETTLE_SECONDS
    while not _runs(host, daemon.name, systemd=systemd):
        if time.monotonic() > end:
            start = _start_command(daemon.name, systemd=systemd)
            raise DriverError(
                f"{daemon.name} does not run any more",
                code="daemon-gone",
                component="host",
                advice=f"Run `{' '.join(start)}` on the node. Its guests run on, maybe without a log.",
            )
        time.sleep(0.5)


def _runs(host: HostCommands, name: str, *, systemd: bool) -> bool:
    argv = ["systemctl", "is-active", "--quiet", f"{name}.service"] if systemd else ["service", name, "status"]
    return host.run(argv, check=False).code == 0


def _anew_command(name: str, *, systemd: bool) -> tuple[str, ...]:
    if systemd:
        return ("systemctl", "reload", f"{name}.service")  # the unit's reload sends SIGUSR1
    # Debian's script sends SIGHUP, which only reads the settings again.
    pidfile, program = f"/run/{name}.pid", f"/usr/sbin/{name}"
    return ("start-stop-daemon", "--stop", "--signal", "USR1", "--quiet", "--pidfile", pidfile, "--exec", program)


def _start_command(name: str, *, systemd: bool) -> list[str]:
    return ["systemctl", "start", f"{name}.service"] if systemd else ["service", name, "start"]
