"""Adding, changing and removing nodes: the confirmed key counts, no machine is added twice, everything is audited."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from infrastructure.drivers import registry
from infrastructure.drivers.base import HostKey, Unreachable
from infrastructure.drivers.ssh import host_key
from infrastructure.models import VE, InventoryRevision, Node, Removal
from infrastructure.services import migration, nodes
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks.models import Task
from tests.infrastructure.fake_nodes import Cluster, lines_of, run

KEY = host_key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIENGgoNg4JxHR+0H7Jm8+35Ny7cXjvHB5CS+gVjKhkjq")
OTHER = "SHA256:" + "b" * 43


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, sent: Any) -> Callable[[HostKey | Exception], None]:
    """shown(key): what the machine at any address shows from now on."""

    def show(answer: HostKey | Exception) -> None:
        def fetch(*_: Any, **__: Any) -> HostKey:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(registry.ssh, "fetch_host_key", fetch)

    show(KEY)
    return show


def add(user: User, **changes: Any) -> tuple[Node, Task]:
    values = {"name": "primary", "address": "10.78.0.11", "ssh_port": 22, "fingerprint": KEY.fingerprint}
    return nodes.add(user=user, **values | changes)


def test_a_node_is_added_with_the_key_that_was_confirmed_and_set_up(shown: Any, administrator: User) -> None:
    node, task = add(administrator)
    assert (node.host_key, node.state) == (KEY.line, "new")
    assert (task.kind, task.title, task.state) == ("node.onboard", "Setting up node primary", "queued")
    assert AuditRecord.objects.filter(action="node.add", actor=administrator, target_name="primary").exists()


def test_another_key_than_the_confirmed_one_is_refused_with_both(shown: Any, administrator: User) -> None:
    with pytest.raises(InvalidInput) as refusal:
        add(administrator, fingerprint=OTHER)
    assert KEY.fingerprint in str(refusal.value) and OTHER in str(refusal.value)
    assert refusal.value.field == "fingerprint"
    assert not Node.objects.exists()
    assert AuditRecord.objects.filter(action="node.add", result="refused").exists()


def test_a_machine_that_does_not_answer_is_refused_with_the_cause(shown: Any, administrator: User) -> None:
    shown(Unreachable("10.78.0.11 cannot be reached over SSH", advice="Check its power."))
    with pytest.raises(InvalidInput, match=r"cannot be reached over SSH\. Check its power\."):
        add(administrator)


def test_the_same_machine_under_another_name_is_refused_with_the_fix(shown: Any, administrator: User) -> None:
    add(administrator)
    with pytest.raises(InvalidInput, match=r"This machine is primary \(10\.78\.0\.11\)") as refusal:
        add(administrator, name="again", address="10.78.0.12")
    assert "dpkg-reconfigure openssh-server" in refusal.value.advice
    assert Node.objects.count() == 1


@pytest.mark.parametrize(("changes", "field"), [({"address": "10.78.0.12"}, "name"), ({"name": "other"}, "address")])
def test_a_name_or_address_is_used_once(shown: Any, administrator: User, changes: dict[str, str], field: str) -> None:
    add(administrator)
    with pytest.raises(InvalidInput) as refusal:
        add(administrator, **changes)
    assert refusal.value.field == field


def test_an_operator_may_not_add_nodes_and_no_address_is_dialled(shown: Any, operator: User) -> None:
    shown(AssertionError("dialled"))
    with pytest.raises(PermissionDenied):
        add(operator)
    assert AuditRecord.objects.filter(action="node.add", actor=operator, result="refused").exists()


def test_location_and_maintenance_are_audited_and_seen_by_open_pages(
    cluster: Cluster, administrator: User, operator: User
) -> None:
    node = Node.objects.get(name="primary")
    before = InventoryRevision.current()
    nodes.set_location(user=administrator, node=node, room="R1", row="3", rack="A12")
    nodes.set_maintenance(user=operator, node=node, enabled=True)
    node.refresh_from_db()
    assert (node.location, node.maintenance) == ("R1 / 3 / A12", True)
    assert node.rev == InventoryRevision.current() == before + 2
    assert set(AuditRecord.objects.values_list("action", "detail")) == {
        ("node.set_location", "R1 / 3 / A12"),
        ("node.set_maintenance", "on"),
    }
    with pytest.raises(PermissionDenied):
        nodes.set_location(user=operator, node=node, room="", row="", rack="")


def test_a_removed_node_leaves_with_its_ves_and_its_settings(cluster: Cluster, administrator: User) -> None:
    node = Node.objects.get(name="primary")
    task = run(nodes.remove(user=administrator, node=node))
    assert task.state == "completed"
    assert not Node.objects.filter(name="primary").exists() and not VE.objects.exists()
    assert Removal.objects.filter(kind="node", object_id=node.pk).exists()
    assert cluster.where() == ["primary"], "its VEs run on"


def test_a_node_that_does_not_answer_is_removed_with_a_warning(cluster: Cluster, administrator: User) -> None:
    cluster.primary.fail("read_file", Unreachable("primary cannot be reached"))
    task = run(nodes.remove(user=administrator, node=Node.objects.get(name="primary")))
    assert task.state == "warning"
    assert "Its certificate stays valid" in task.reason and "/etc/pki/mooring" in task.reason
    assert not Node.objects.filter(name="primary").exists()


def test_a_node_in_use_by_a_task_is_not_removed(cluster: Cluster, administrator: User) -> None:
    node = Node.objects.get(name="secondnode1")
    task = migration.start(user=administrator, ve=cluster.vmtest, target=node)
    with pytest.raises(NotPossible, match=f"in use by task {task.pk}"):
        nodes.remove(user=administrator, node=node)


@pytest.mark.django_db
def test_the_command_does_what_the_form_does(shown: Any, administrator: User, capsys: Any) -> None:
    arguments = ["--user", "administrator", "--name", "primary", "--address", "10.78.0.11"]
    call_command("add_node", *arguments, "--fingerprint", KEY.fingerprint)
    assert Node.objects.get().name == "primary"
    assert "Setting up node primary" in capsys.readouterr().out
    assert AuditRecord.objects.filter(action="node.add", actor=administrator).exists()


@pytest.mark.django_db
def test_the_command_does_not_take_a_new_machine_for_the_node_it_knows(shown: Any, administrator: User) -> None:
    arguments = ["--user", "administrator", "--name", "primary", "--address", "10.78.0.11"]
    call_command("add_node", *arguments, "--fingerprint", KEY.fingerprint)
    with pytest.raises(CommandError, match=r"another host key.*remove_node --name primary"):
        call_command("add_node", *arguments, "--fingerprint", "SHA256:" + "A" * 43)


@pytest.mark.django_db
def test_the_command_shows_a_refusal_as_it_is(shown: Any, administrator: User, viewer: User) -> None:
    arguments = ["--name", "primary", "--address", "http://a", "--fingerprint", KEY.fingerprint]
    with pytest.raises(CommandError, match="neither an IP address nor a host name"):
        call_command("add_node", "--user", "administrator", *arguments)
    with pytest.raises(CommandError, match="lacks the permission"):
        call_command("add_node", "--user", "viewer", *arguments)
    with pytest.raises(CommandError, match="no active user"):
        call_command("add_node", "--user", "nobody", *arguments)


def test_the_log_of_a_removal_says_what_was_done(cluster: Cluster, administrator: User) -> None:
    task = run(nodes.remove(user=administrator, node=Node.objects.get(name="primary")))
    assert "primary is no longer managed; its Virtual Environments were not touched" in lines_of(task)
