"""libvirt's settings on a node: what the files must hold, and how libvirtd takes them up."""

import time
from dataclasses import dataclass

from infrastructure.drivers.base import DriverError, HostCommands, NotFound
from infrastructure.services.onboarding.certificates import LIBVIRT_DIR, MARK_TEXT, QEMU_CONF, QEMU_DIR, RESTART_MARK
from infrastructure.services.onboarding.settings_file import value_of, with_block, without_block
from panel.trust import ca

LIBVIRTD_CONF = "/etc/libvirt/libvirtd.conf"
DEFAULTS = "/etc/default/libvirtd"
LOG = "/var/log/libvirt/libvirtd.log"
TLS_SOCKET = "libvirtd-tls.socket"
RESTART_SECONDS = 90.0
START_SECONDS = 15.0
_LIBVIRTD = {
    "listen_tls": "1",
    "listen_tcp": "0",
    "auth_tls": '"none"',  # the certificate is the authentication, and no password is asked on top
    "tls_no_verify_certificate": "0",
    "key_file": f'"{LIBVIRT_DIR}/serverkey.pem"',
    "cert_file": f'"{LIBVIRT_DIR}/servercert.pem"',
    "ca_file": f'"{LIBVIRT_DIR}/cacert.pem"',
    "tls_allowed_dn_list": "[" + ", ".join(f'"{name}"' for name in ca.ALLOWED_DNS) + "]",
}
_QEMU = {
    "migrate_tls_x509_cert_dir": f'"{QEMU_DIR}"',
    "migrate_tls_x509_verify": "1",
    # A peer that died in the middle of a migration is given up after 12 s instead of 30.
    "keepalive_interval": "3",
    "keepalive_count": "3",
}


@dataclass(frozen=True)
class Change:
    """A file whose text must become `wanted`."""

    path: str
    wanted: str


def under_systemd(host: HostCommands) -> bool:
    return host.run(["test", "-d", "/run/systemd/system"], check=False).code == 0


def pending(host: HostCommands, *, systemd: bool) -> list[Change]:
    """The files that are not yet as they must be."""
    return [change for change in _wanted(host, systemd=systemd) if change.wanted != _read(host, change.path)]


def mark_restart(host: HostCommands) -> None:
    """Note on the node that libvirtd must be restarted; `restart` and `release` delete the note. Before any change."""
    host.run(["install", "-d", "-m", "0700", LIBVIRT_DIR])
    host.write_file(RESTART_MARK, MARK_TEXT)


def restart_needed(host: HostCommands) -> bool:
    """Whether libvirtd has yet to take up a change, also one of an attempt that was cut off."""
    try:
        host.read_file(RESTART_MARK)
    except NotFound:
        return False
    return True


def apply(host: HostCommands, changes: list[Change]) -> None:
    """Write the files; libvirtd takes them up with `restart` or `release`."""
    if changes:
        mark_restart(host)
    for change in changes:
        host.write_file(change.path, change.wanted.encode("utf-8", "surrogateescape"), mode=0o644)


def restart_commands(*, systemd: bool) -> list[list[str]]:
    """How libvirtd takes the settings up. Guests run on: they are processes of their own."""
    if not systemd:
        return [["service", "libvirtd", "restart"]]
    # With systemd the sockets are systemd's, and none can be opened while the service runs. Stopping the plain ones too
    # keeps a client that connects in between from starting the service early.
    sockets = ["libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket"]
    return [
        ["systemctl", "enable", TLS_SOCKET],
        ["systemctl", "stop", "libvirtd.service", *sockets],
        ["systemctl", "start", *sockets, TLS_SOCKET],
        ["systemctl", "start", "libvirtd.service"],
    ]


def release_commands(*, systemd: bool) -> list[list[str]]:
    """How libvirtd goes on without the settings."""
    if not systemd:
        return restart_commands(systemd=False)
    return [
        ["systemctl", "disable", "--now", TLS_SOCKET],
        ["systemctl", "restart", "libvirtd.service"],
    ]


def restart(host: HostCommands, *, systemd: bool) -> None:
    """Restart libvirtd and see to it that it runs. DriverError with its own words when it does not start."""
    _carry_out(host, restart_commands(systemd=systemd), systemd=systemd)


def release(host: HostCommands, *, systemd: bool) -> None:
    """Have libvirtd go on without the settings. DriverError when it does not start."""
    _carry_out(host, release_commands(systemd=systemd), systemd=systemd)


def _carry_out(host: HostCommands, commands: list[list[str]], *, systemd: bool) -> None:
    for argv in commands:
        host.run(argv, deadline=RESTART_SECONDS)
    if not systemd:
        _ensure_started(host)
    host.run(["rm", "-f", "--", RESTART_MARK])


def _ensure_started(host: HostCommands) -> None:
    """Debian's init script says 0 whatever happens, and skips the start when the old daemon is slow to end."""
    end = time.monotonic() + START_SECONDS
    while host.run(["service", "libvirtd", "status"], check=False).code != 0:
        if time.monotonic() > end:
            said = host.run(["tail", "-n", "1", LOG], check=False).text.strip()
            raise DriverError(
                f"libvirtd did not start again{': ' if said else ''}{said}",
                code="libvirtd-start",
                component="host",
                advice=f"Look into {LOG} and run `libvirtd --listen` on the node to see why.",
            )
        time.sleep(1)
        host.run(["service", "libvirtd", "start"], check=False, deadline=RESTART_SECONDS)


def remove(host: HostCommands) -> list[Change]:
    """Take Mooring's block out of every file; returns what was changed."""
    changed = []
    for path in (LIBVIRTD_CONF, QEMU_CONF, DEFAULTS):
        text = _read(host, path)
        if (before := without_block(text)) != text:
            changed.append(Change(path, before))
    apply(host, changed)
    return changed


def _wanted(host: HostCommands, *, systemd: bool) -> list[Change]:
    changes = [
        Change(
            path, with_block(_read(host, path), [f"{name} = {value}" for name, value in values.items()], values.keys())
        )
        for path, values in ((LIBVIRTD_CONF, _LIBVIRTD), (QEMU_CONF, _QEMU))
    ]
    if not systemd:
        changes.append(_listening_default(_read(host, DEFAULTS)))
    return changes


def _listening_default(text: str) -> Change:
    """Without systemd libvirtd opens its TLS port only when started with --listen."""
    arguments = value_of(without_block(text), "LIBVIRTD_ARGS").split()
    if not {"-l", "--listen"} & set(arguments):
        arguments.append("--listen")
    return Change(DEFAULTS, with_block(text, [f'LIBVIRTD_ARGS="{" ".join(arguments)}"'], ["LIBVIRTD_ARGS"]))


def _read(host: HostCommands, path: str) -> str:
    try:
        return host.read_file(path).decode("utf-8", "surrogateescape")
    except NotFound:
        return ""
