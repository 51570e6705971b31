"""Restarting libvirt's daemons: in which way, in which order, and that what ran before runs on."""

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from infrastructure.drivers import registry
from infrastructure.drivers.base import DriverError, Unreachable
from infrastructure.models import Node
from infrastructure.services import node_work
from infrastructure.services.endpoints import endpoint_for
from infrastructure.services.errors import NotPossible
from infrastructure.services.onboarding import daemons, libvirt_settings
from panel.accounts.models import User
from tasks.models import Task
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, lines_of, run, steps_of
from tests.infrastructure.node_host import Host

ANEW = "start-stop-daemon --stop --signal USR1 --quiet --pidfile /run/virtlogd.pid --exec /usr/sbin/virtlogd"


@pytest.fixture
def node(debian: Host) -> Node:
    Node.objects.update(onboarded_at=timezone.now())
    return Node.objects.get(name="primary")


def restart(node: Node) -> Task:
    return run(node_work.restart_services(user=None, node=node))


def test_its_steps_and_the_commands_it_shows(node: Node, debian: Host) -> None:
    task = restart(node)

    assert (task.state, task.reason) == ("completed", "")
    assert [title for title, _ in steps_of(task)] == [
        "Checking primary",
        "Restarting virtlogd",
        "Restarting libvirtd",
        "Waiting for libvirt",
        "Checking that the VEs run on",
    ]
    assert commands_of(task)[:2] == [ANEW, "service libvirtd restart"]
    assert ANEW in debian.ran and "service libvirtd restart" in debian.ran
    assert "Run on as before: 1 VE: vmtest" in lines_of(task)


def test_virtlogd_is_never_stopped_for_running_guests_write_to_it(node: Node, debian: Host) -> None:
    debian.running.add("virtlockd")
    restart(node)
    assert not [line for line in debian.ran if line in ("service virtlogd restart", "service virtlockd restart")]
    assert any("--signal USR1" in line and "virtlockd" in line for line in debian.ran)


def test_a_daemon_that_does_not_run_is_left_alone(node: Node, debian: Host) -> None:
    debian.running.discard("virtlogd")
    task = restart(node)
    assert "Restarting virtlogd" not in dict(steps_of(task))
    assert task.state == "completed"


def test_under_systemd_the_units_are_used(node: Node, debian: Host) -> None:
    debian.systemd = True
    task = restart(node)
    assert commands_of(task)[0] == "systemctl reload virtlogd.service"
    assert "systemctl start libvirtd.service" in debian.ran
    assert not [line for line in debian.ran if line.startswith("service ")]


def test_a_ve_that_stopped_meanwhile_is_a_warning_that_names_it(
    cluster: Cluster, node: Node, debian: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any, **__: Any) -> None:
        cluster.show(cluster.primary, state="stopped")

    monkeypatch.setattr(libvirt_settings, "restart", lose)
    task = restart(node)
    assert task.state == "warning"
    assert "On primary, vmtest stopped meanwhile" in task.reason


def test_a_ve_that_was_started_anew_is_told_from_one_that_ran_on(
    cluster: Cluster, node: Node, debian: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew(*_: Any, **__: Any) -> None:
        known = cluster.primary.ves_by_uuid[VMTEST]
        cluster.primary.ves_by_uuid[VMTEST] = replace(known, domain_id=99)

    monkeypatch.setattr(libvirt_settings, "restart", renew)
    assert "vmtest started anew" in restart(node).reason


def test_a_libvirtd_that_does_not_start_fails_the_task_with_what_to_do(node: Node, debian: Host) -> None:
    debian.faults["service libvirtd restart"] = DriverError(
        "libvirtd did not start again: no such key", advice="Look into /var/log/libvirt/libvirtd.log."
    )
    task = restart(node)
    assert task.state == "failed"
    assert task.reason == "libvirtd did not start again: no such key."
    assert task.advice == "Look into /var/log/libvirt/libvirtd.log."


def test_a_virtlogd_that_dies_is_said_with_how_to_start_it(
    node: Node, debian: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemons, "SETTLE_SECONDS", 0)
    answered = debian.run

    def run_and_die(argv: Any, **options: Any) -> Any:
        done = answered(argv, **options)
        if "USR1" in argv:
            debian.running.discard("virtlogd")
        return done

    monkeypatch.setattr(debian, "run", run_and_die)
    monkeypatch.setattr(registry.driver_for(endpoint_for(node)), "run", debian.run)
    task = restart(node)
    assert task.state == "failed"
    assert task.reason == "virtlogd does not run any more."
    assert "service virtlogd start" in task.advice


def test_a_libvirtd_that_hangs_is_restarted_all_the_same(cluster: Cluster, node: Node, debian: Host) -> None:
    cluster.primary.fail("ves", Unreachable("primary does not answer"))
    task = restart(node)
    assert task.state == "completed"
    assert any("does not answer now" in line for line in lines_of(task))
    assert any("What ran before could not be asked" in line for line in lines_of(task))


def test_an_operator_may_and_a_viewer_may_not(node: Node, operator: User, viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        node_work.restart_services(user=viewer, node=node)
    with pytest.raises(PermissionDenied):
        node_work.reissue_certificates(user=operator, node=node)
    assert node_work.restart_services(user=operator, node=node).state == "queued"


def test_a_node_that_is_not_set_up_is_refused(cluster: Cluster) -> None:
    Node.objects.update(onboarded_at=None)
    with pytest.raises(NotPossible, match="not set up yet"):
        node_work.restart_services(user=None, node=Node.objects.get(name="primary"))
