"""What onboarding refuses, and that it does nothing twice. tests/lab/test_onboarding.py does it on real nodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.drivers.base import Completed, DriverError, Refused
from infrastructure.models import Node
from infrastructure.services import migration, nodes
from infrastructure.services.onboarding import certificates, libvirt_settings
from infrastructure.services.onboarding.packages import PACKAGES
from panel.accounts.models import User
from panel.trust import ca
from tasks.models import Task
from tests.infrastructure.fake_nodes import Cluster, commands_of, lines_of, run, steps_of
from tests.infrastructure.inventory_facts import uuid_of

STEPS = [
    "Connecting to primary",
    "Installing packages",
    "Writing certificates",
    "Configuring libvirt",
    "Connecting over TLS",
    "Discovering primary",
]


class Host:
    """The commands that onboarding runs on a Debian without systemd."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.ran: list[str] = []
        self.uid = "0"
        self.installed = set(PACKAGES)
        self.faults: dict[str, Exception] = {}

    def run(self, argv: list[str], **_: Any) -> Completed:
        self.ran.append(" ".join(argv))
        if (fault := self.faults.pop(self.ran[-1], None)) is not None:
            raise fault
        code, text = 0, ""
        if argv[0] == "id":
            text = self.uid
        elif argv[0] == "uname":
            text = "primary 6.1.0 x86_64"
        elif argv[0] == "dpkg-query":
            text = "".join(f"{name} installed\n" for name in PACKAGES if name in self.installed)
        elif argv[0] == "stat":
            code = 0 if all(path in self.files for path in argv[3:]) else 1
        elif argv[0] in ("test", "getent"):
            code = 1
        elif argv[0] == "rm":
            for path in [path for path in self.files if path.startswith(tuple(argv[3:]))]:
                del self.files[path]
        elif "install" in argv and "apt-get" in argv:
            self.installed |= set(argv[argv.index("install") + 1 :])
        return Completed(text.encode(), b"", code)


@pytest.fixture
def host(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> Iterator[Host]:
    settings.KEYS_DIR = tmp_path
    settings.PKI_DIR = tmp_path / "pki"
    ca.ensure_ca()
    Node.objects.filter(name="primary").update(uuid=None, onboarded_at=None)
    made = Host(cluster.primary.files)
    monkeypatch.setattr(cluster.primary, "run", made.run)
    yield made


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


def test_libvirtd_is_not_restarted_under_a_migration(cluster: Cluster, host: Host) -> None:
    moving = migration.start(user=None, ve=cluster.vmtest, target=Node.objects.get(name="secondnode1"))
    task = onboard()
    assert task.state == "failed"
    assert f"(task {moving.pk})" in task.reason and "would abort" in task.reason
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


def test_a_removal_does_not_restart_libvirtd_under_a_migration_that_came_later(
    cluster: Cluster, host: Host, administrator: User
) -> None:
    onboard()
    queued = nodes.remove(user=administrator, node=Node.objects.get(name="primary"))
    moving = migration.start(user=None, ve=cluster.vmtest, target=Node.objects.get(name="secondnode1"))
    files = dict(host.files)
    task = run(queued)
    assert task.state == "failed" and f"(task {moving.pk})" in task.reason
    assert host.files == files and Node.objects.filter(name="primary").exists()
