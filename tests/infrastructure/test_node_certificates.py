"""A new certificate for a node: proved before the old one goes, and the old one back when it is not."""

from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers.base import DriverError, Refused
from infrastructure.models import Node
from infrastructure.services import node_work
from infrastructure.services.onboarding import certificates, libvirt_settings
from panel.trust import ca
from tasks.models import Task
from tests.infrastructure.fake_nodes import Cluster, commands_of, die_in, lines_of, run, steps_of
from tests.infrastructure.node_host import CERTIFICATE, Host

RESTART = "service libvirtd restart"


@pytest.fixture
def node(cluster: Cluster, debian: Host, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node with a certificate, whose libvirtd shows the one that was in place at its last restart."""
    Node.objects.update(onboarded_at=timezone.now())
    row = Node.objects.get(name="primary")
    certificates.write(cluster.primary, row)
    certificates.forget_old(cluster.primary)
    libvirt_settings.restart(cluster.primary, systemd=False)
    taking_up = libvirt_settings.restart

    def restart(host: Any, *, systemd: bool) -> None:
        taking_up(host, systemd=systemd)
        cluster.primary.certificate = debian.files[CERTIFICATE]

    cluster.primary.certificate = debian.files[CERTIFICATE]
    monkeypatch.setattr(libvirt_settings, "restart", restart)
    debian.ran.clear()
    return row


def reissue(node: Node) -> Task:
    return run(node_work.reissue_certificates(user=None, node=node))


def serial(host: Host) -> str:
    return ca.describe(host.files[CERTIFICATE]).serial


def kept(host: Host) -> list[str]:
    return [path for path in host.files if ".old/" in path or ".new/" in path]


def test_the_node_gets_a_new_key_and_certificate_and_the_old_ones_go(node: Node, debian: Host) -> None:
    before = dict(debian.files)

    task = reissue(node)

    assert (task.state, task.reason) == ("completed", "")
    assert [title for title, _ in steps_of(task)] == [
        "Checking primary",
        "Writing the new key and certificate",
        "Restarting libvirtd",
        "Connecting over TLS",
        "Deleting the old key and certificate",
        "Checking that the VEs run on",
    ]
    for name in ("servercert.pem", "serverkey.pem", "clientcert.pem", "clientkey.pem"):
        path = f"{certificates.LIBVIRT_DIR}/{name}"
        assert debian.files[path] != before[path]
    assert not kept(debian)
    node.refresh_from_db()
    assert node.certificate_serial == serial(debian)
    assert RESTART in commands_of(task)


def test_no_key_is_in_the_log(node: Node, debian: Host) -> None:
    task = reissue(node)
    secret = debian.files[f"{certificates.LIBVIRT_DIR}/serverkey.pem"].decode().splitlines()[1]
    assert secret not in "".join(lines_of(task)) + "".join(debian.ran)


@pytest.mark.parametrize("fault", ["restart", "tls", "shown"])
def test_the_old_one_is_put_back_when_the_new_one_is_not_proved(
    fault: str, cluster: Cluster, node: Node, debian: Host
) -> None:
    before = serial(debian)
    if fault == "restart":
        debian.faults[RESTART] = DriverError("libvirtd did not start again")
    elif fault == "tls":
        cluster.primary.fail("facts", Refused("The certificate of primary is not valid"))
    else:
        cluster.primary.fail("shown_certificate", lambda: setattr(cluster.primary, "certificate", ca.load_ca().pem))

    task = reissue(node)

    assert task.state == "failed"
    assert serial(debian) == before
    assert ca.describe(cluster.primary.certificate).serial == before, "libvirtd took it up again"
    assert not kept(debian)
    assert any(f"The old certificate {before} is in use again" in line for line in lines_of(task))
    node.refresh_from_db()
    assert node.certificate_serial == before


def test_a_fault_before_the_swap_touches_nothing(
    cluster: Cluster, node: Node, debian: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(debian.files)
    monkeypatch.setattr(certificates, "swap", lambda host: (_ for _ in ()).throw(DriverError("cut off")))

    task = reissue(node)

    assert task.state == "failed"
    assert debian.files == before
    assert RESTART not in debian.ran
    assert "The certificate in use was not touched" in lines_of(task)


def test_a_worker_that_died_after_the_swap_is_followed_by_one_that_goes_on(
    cluster: Cluster, node: Node, debian: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = node_work.reissue_certificates(user=None, node=node)
    die_in(libvirt_settings, "restart", task, monkeypatch)
    staged = serial(debian)
    assert kept(debian)

    assert run(task).state == "completed"

    assert serial(debian) == staged, "no third certificate was issued"
    assert ca.describe(cluster.primary.certificate).serial == staged
    assert not kept(debian)


def test_what_was_never_proved_does_not_replace_what_was(node: Node, debian: Host, cluster: Cluster) -> None:
    """An undo that could not reach the node leaves the unproved set in place and the proved one beside it."""
    proved = serial(debian)
    certificates.write(cluster.primary, node)
    assert serial(debian) != proved
    debian.faults[RESTART] = DriverError("libvirtd did not start again")

    task = reissue(node)

    assert task.state == "failed"
    assert serial(debian) == proved
