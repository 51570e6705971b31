"""The lab's nodes with the panel's trust installed, through the panel's own onboarding code."""

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
from tests.e2e.lab import NODES, Lab

ROOT = Path(__file__).resolve().parents[2]
_ADD_LINE = 'grep -qxF "$1" /root/.ssh/authorized_keys || echo "$1" >> /root/.ssh/authorized_keys'


@contextmanager
def onboarded() -> Iterator[dict[str, Endpoint]]:
    """Bring the lab up and yield its nodes by name, reachable over SSH and mutual TLS."""
    lab = Lab(ROOT, instances.LAB)
    lab.run("up")
    ca.ensure_ca()
    ca.ensure_panel_certificate()
    ssh_key.ensure_ssh_key()
    nodes = {name: _node(lab, name) for name in NODES}
    for node in nodes.values():
        _install(node)
    try:
        yield {name: endpoint_for(node) for name, node in nodes.items()}
    finally:
        registry.drop_all()


def _node(lab: Lab, name: str) -> Node:
    address = lab.exec(name, "hostname", "-I").split()[0]
    key = registry.ssh.fetch_host_key(address)
    lab.exec(name, "sh", "-c", _ADD_LINE, "sh", ssh_key.public_line().strip())
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
