"""What onboarding refuses, and that it does nothing twice. tests/lab/test_onboarding.py does it on real nodes."""

from typing import Any

import pytest

from infrastructure.drivers.base import Completed, DriverError, MigrationProgress, Refused
from infrastructure.models import Node
from infrastructure.services import nodes
from infrastructure.services.onboarding import certificates, libvirt_settings
from panel.accounts.models import User
from panel.trust import ca
from tasks.models import Task
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, lines_of, run, steps_of
from tests.infrastructure.inventory_facts import uuid_of
from tests.infrastructure.node_host import CERTIFICATE, Host

STEPS = [
    "Connecting to primary",
    "Installing packages",
    "Writing certificates",
    "Configuring libvirt",
    "Connecting over TLS",
    "Discovering primary",
]


@pytest.fixture
def host(debian: Host) -> Host:
    """primary before it was set up."""
    Node.objects.filter(name="primary").update(uuid=None, onboarded_at=None)
    return debian


def onboard() -> Task:
    return run(nodes.onboard(user=None, node=Node.objects.get(name="primary")))


def test_its_steps_and_what_it_leaves(cluster: Cluster, host: Host) -> None:
    task = onboard()
    assert (task.state, task.reason) == ("completed", "")
    assert steps_of(task) == [(title, "completed") for title in STEPS]
    node = Node.objects.get(name="primary")
    assert str(node.uuid) == uuid_of("host primary")
    assert node.onboarded_at and node.certificate_expires_at and node.state == "online"
    assert b"O=Mooring" in host.files[libvirt_settings.LIBVIRTD_CONF]
    assert "service libvirtd restart" in host.ran


def test_a_second_time_changes_nothing_and_restarts_nothing(cluster: Cluster, host: Host) -> None:
    onboard()
    files = dict(host.files)
    host.ran.clear()
    task = onboard()
    assert task.state == "completed"
    assert host.files == files
    assert not [command for command in host.ran if "restart" in command]
    assert sum(line.startswith("already done") for line in lines_of(task)) == 3


def test_the_private_key_is_in_no_line_of_the_log(cluster: Cluster, host: Host) -> None:
    task = onboard()
    key = host.files[f"{certificates.LIBVIRT_DIR}/serverkey.pem"].decode().splitlines()[1]
    assert key not in "".join(lines_of(task))
    assert not [command for command in host.ran if key in command]


def test_missing_packages_are_installed_and_nothing_else(cluster: Cluster, host: Host) -> None:
    host.installed.discard("qemu-utils")
    task = onboard()
    assert task.state == "completed"
    installs = [command for command in host.ran if "apt-get" in command and " install " in command]
    assert len(installs) == 1 and installs[0].endswith("install qemu-utils")
    assert any(command.endswith("install qemu-utils") for command in commands_of(task))


def test_a_login_without_roots_rights_is_refused(cluster: Cluster, host: Host) -> None:
    host.uid = "1000"
    task = onboard()
    assert task.state == "failed" and "not as root" in task.reason


def test_a_key_that_is_not_installed_is_told_with_the_fix(cluster: Cluster, host: Host) -> None:
    def refuse(*_: Any, **__: Any) -> Completed:
        raise Refused("primary does not accept the panel's SSH key", advice="Install the panel's public key.")

    cluster.primary.run = refuse  # type: ignore[method-assign]
    task = onboard()
    assert (task.state, task.advice) == ("failed", "Install the panel's public key.")


def test_a_duplicate_host_uuid_is_refused_with_the_fix(cluster: Cluster, host: Host) -> None:
    Node.objects.filter(name="secondnode1").update(uuid=uuid_of("host primary"))
    task = onboard()
    assert task.state == "failed"
    assert (
        task.reason == f"libvirt on primary has the host UUID {uuid_of('host primary')}, which is that of secondnode1."
    )
    assert "set host_uuid in /etc/libvirt/libvirtd.conf" in task.advice
    assert Node.objects.get(name="primary").uuid is None


def test_another_machine_at_a_known_address_is_refused(cluster: Cluster, host: Host) -> None:
    Node.objects.filter(name="primary").update(uuid=uuid_of("the old machine"))
    task = onboard()
    assert task.state == "failed" and "this is another machine" in task.reason


def test_libvirtd_is_not_restarted_under_a_migration_that_somebody_began_by_hand(cluster: Cluster, host: Host) -> None:
    cluster.primary.jobs[VMTEST] = MigrationProgress(percent=40)
    task = onboard()
    assert task.state == "failed"
    assert "libvirt is moving vmtest" in task.reason and "would abort" in task.reason
    assert not [command for command in host.ran if "restart" in command]
    assert not host.files, "nothing is written that only a restart would take up"


def test_a_restart_that_failed_is_made_up_for_by_the_next_attempt(cluster: Cluster, host: Host) -> None:
    host.faults["service libvirtd restart"] = DriverError("libvirtd did not start again")
    assert onboard().state == "failed"
    host.ran.clear()
    assert onboard().state == "completed"
    assert "service libvirtd restart" in host.ran
    assert libvirt_settings.RESTART_MARK not in host.files


def test_a_certificate_cut_off_before_the_restart_is_taken_up_by_the_next_attempt(
    cluster: Cluster, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    onboard()
    del host.files[f"{certificates.LIBVIRT_DIR}/servercert.pem"]
    with monkeypatch.context() as patch:
        patch.setattr(libvirt_settings, "pending", lambda *_, **__: (_ for _ in ()).throw(DriverError("cut off")))
        assert onboard().state == "failed"
    host.ran.clear()
    assert onboard().state == "completed"
    assert "service libvirtd restart" in host.ran


def remove(user: User) -> Task:
    return run(nodes.remove(user=user, node=Node.objects.get(name="primary")))


def test_a_removal_restarts_libvirtd_without_the_settings_and_leaves_no_key(
    cluster: Cluster, host: Host, administrator: User
) -> None:
    onboard()
    host.ran.clear()
    assert remove(administrator).state == "completed"
    assert "service libvirtd restart" in host.ran
    assert not [path for path in host.files if path.startswith("/etc/pki")]


def test_a_removal_cut_off_before_the_restart_does_it_at_the_next_attempt(
    cluster: Cluster, host: Host, administrator: User
) -> None:
    onboard()
    host.faults["service libvirtd restart"] = DriverError("libvirtd did not start again")
    task = remove(administrator)
    assert task.state == "failed" and "did not start again" in task.reason
    assert Node.objects.filter(name="primary").exists()
    host.ran.clear()
    assert remove(administrator).state == "completed"
    assert "service libvirtd restart" in host.ran


def test_a_removal_does_not_restart_libvirtd_under_a_migration_that_somebody_began_by_hand(
    cluster: Cluster, host: Host, administrator: User
) -> None:
    onboard()
    cluster.primary.jobs[VMTEST] = MigrationProgress(percent=40)
    files = dict(host.files)
    task = remove(administrator)
    assert task.state == "failed" and "libvirt is moving vmtest" in task.reason
    assert host.files == files and Node.objects.filter(name="primary").exists()


def test_a_node_that_trusts_another_panel_is_set_up_all_the_same(cluster: Cluster, host: Host) -> None:
    cluster.primary.fail("ves", Refused("The certificate of primary is not valid: unable to get local issuer"), times=2)
    assert onboard().state == "completed"


def test_the_facts_of_the_certificate_are_recorded(cluster: Cluster, host: Host) -> None:
    onboard()
    node = Node.objects.get(name="primary")
    described = ca.describe(host.files[CERTIFICATE])
    assert (node.certificate_serial, node.certificate_expires_at) == (described.serial, described.expires_at)
    assert node.certificate_issuer.startswith("O=Mooring CA,CN=Mooring")
    assert node.certificate_issued_at == described.issued_at
    assert not [path for path in host.files if ".old/" in path or ".new/" in path]
