"""The lab's nodes with the panel's trust installed, through the panel's own onboarding code."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from infrastructure.drivers import registry
from infrastructure.drivers.base import DriverError, Endpoint, HostDriver, Unreachable
from infrastructure.models import Node
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.onboarding import certificates, libvirt_settings
from panel.trust import ca, ssh_key
from tests import instances

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("primary", "secondnode1", "secondnode2")
_ADD_LINE = 'grep -qxF "$1" /root/.ssh/authorized_keys || echo "$1" >> /root/.ssh/authorized_keys'


def lab(*argv: str) -> str:
    """Run bin/lab on the instance of the tests."""
    command = [str(ROOT / "bin" / "lab"), "--instance", instances.LAB, *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def onboarded() -> Iterator[dict[str, Endpoint]]:
    """Bring the lab up and yield its nodes by name, reachable over SSH and mutual TLS."""
    lab("up")
    ca.ensure_ca()
    ca.ensure_panel_certificate()
    ssh_key.ensure_ssh_key()
    nodes = {name: _node(name) for name in NAMES}
    for node in nodes.values():
        _install(node)
    try:
        yield {name: endpoint_for(node) for name, node in nodes.items()}
    finally:
        registry.drop_all()


def _node(name: str) -> Node:
    address = lab("exec", name, "hostname", "-I").split()[0]
    key = registry.ssh.fetch_host_key(address)
    lab("exec", name, "sh", "-c", _ADD_LINE, "sh", ssh_key.public_line().strip())
    return Node(name=name, address=address, ssh_port=22, host_key=key.line)


def _install(node: Node) -> None:
    endpoint = endpoint_for(node)
    assert str(settings.PKI_DIR) == endpoint.pki_dir
    with registry.driver_for(endpoint) as host:
        changed = certificates.present(host, node).expires_at is None
        if changed:
            certificates.write(host, node)
        changes = libvirt_settings.pending(host, systemd=False)
        if changed or changes:
            libvirt_settings.apply(host, changes)
            libvirt_settings.restart(host, systemd=False)
        _await(host)


def _await(host: HostDriver) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            host.facts()
        except Unreachable as error:
            if time.monotonic() > end:
                raise AssertionError(f"{host.endpoint.name} did not come up") from error
            time.sleep(0.5)
        except DriverError:
            raise
        else:
            return
