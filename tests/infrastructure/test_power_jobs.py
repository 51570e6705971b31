"""Power operations: each asks the engine first, verifies the end, and says what to do when it did not happen."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.base import Conflict, Outcome, Unreachable
from infrastructure.drivers.facts import VEKind, VEState
from infrastructure.jobs import power as jobs
from infrastructure.jobs import power_steps, restart
from infrastructure.models import VE
from infrastructure.services import guest_stop, power
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks.errors import TaskConflict
from tasks.models import Task
from tasks.services import cancel
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, lines_of, run, status, steps_of

OPERATIONS: list[tuple[Callable[..., Task], VEState, VEState, str]] = [
    (power.start, VEState.STOPPED, VEState.RUNNING, "start"),
    (power.stop, VEState.RUNNING, VEState.STOPPED, "shutdown"),
    (power.force_off, VEState.RUNNING, VEState.STOPPED, "destroy"),
    (power.pause, VEState.RUNNING, VEState.PAUSED, "suspend"),
    (power.resume, VEState.PAUSED, VEState.RUNNING, "resume"),
    (power.restart, VEState.RUNNING, VEState.RUNNING, "reboot"),
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_steps, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(guest_stop, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(jobs, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(restart, "RESTART_SECONDS", 0.1)
    monkeypatch.setattr(restart, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(restart, "DOWN_SECONDS", 0.02)
    monkeypatch.setattr(power_steps, "SETTLE_SECONDS", 0.05)


def deaf(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The guest takes the request and does nothing."""

    def ignore(uuid: str, *_: Any) -> Outcome:
        cluster.primary.calls.append(method)
        return Outcome.REQUESTED

    monkeypatch.setattr(cluster.primary, method, ignore)


@pytest.mark.parametrize(("service", "before", "after", "command"), OPERATIONS)
def test_it_does_it_records_it_and_shows_the_command(
    cluster: Cluster,
    operator: User,
    service: Callable[..., Task],
    before: VEState,
    after: VEState,
    command: str,
) -> None:
    cluster.show(cluster.primary, state=before)
    task = run(service(user=operator, ve=cluster.vmtest))
    assert (task.state, task.reason) == ("completed", "")
    assert status(cluster.primary).state is after
    assert cluster.vmtest.state == after.value
    assert commands_of(task) == [f"virsh -c qemu+tls://primary.lab/system {command} vmtest"]


@pytest.mark.parametrize(("service", "before", "after", "command"), OPERATIONS[:5])
def test_what_is_so_already_is_said_and_completes(
    cluster: Cluster, service: Callable[..., Task], before: VEState, after: VEState, command: str
) -> None:
    cluster.show(cluster.primary, state=after)
    task = run(service(user=None, ve=cluster.vmtest))
    assert task.state == "completed"
    assert any(line.startswith("already done") for line in lines_of(task))


def test_a_guest_that_does_not_shut_down_fails_with_the_next_step(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(cluster, monkeypatch, "shutdown")
    task = run(power.stop(user=None, ve=cluster.vmtest))
    assert task.state == "failed"
    assert "still runs" in task.reason and "Force off" in task.advice
    assert status(cluster.primary).state is VEState.RUNNING


@pytest.mark.parametrize("refusal", [None, Conflict("vmtest is busy")], ids=["heard", "refused at first"])
def test_a_guest_that_missed_the_request_while_it_booted_is_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, refusal: Conflict | None
) -> None:
    real = cluster.primary.shutdown
    requests: list[str] = []

    def hears_the_third(uuid: str, *_: Any) -> Outcome:
        requests.append(uuid)
        if len(requests) == 2 and refusal:
            raise refusal
        return real(uuid) if len(requests) == 3 else Outcome.REQUESTED

    monkeypatch.setattr(cluster.primary, "shutdown", hears_the_third)
    monkeypatch.setattr(jobs, "STOP_SECONDS", 30)
    monkeypatch.setattr(guest_stop, "AGAIN_SECONDS", 0)
    task = run(power.stop(user=None, ve=cluster.vmtest))
    assert (task.state, len(requests)) == ("completed", 3)
    told = [line for line in lines_of(task) if ("asked" in line and "again" in line) or "once more" in line]
    assert len(told) == 2
    assert ("could not be asked again" in told[0] and "vmtest is busy" in told[0]) is (refusal is not None)


def test_a_guest_that_went_down_meanwhile_is_not_said_to_have_been_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[str] = []

    def goes_down_late(uuid: str, *_: Any) -> Outcome:
        requests.append(uuid)
        if len(requests) == 1:
            return Outcome.REQUESTED
        cluster.show(cluster.primary, state=VEState.STOPPED)
        return Outcome.ALREADY

    monkeypatch.setattr(cluster.primary, "shutdown", goes_down_late)
    monkeypatch.setattr(jobs, "STOP_SECONDS", 30)
    monkeypatch.setattr(guest_stop, "AGAIN_SECONDS", 0)
    task = run(power.stop(user=None, ve=cluster.vmtest))
    assert (task.state, len(requests)) == ("completed", 2)
    assert not any("once more" in line for line in lines_of(task))


def test_it_is_forced_off_only_with_consent_and_the_task_warns(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(cluster, monkeypatch, "shutdown")
    monkeypatch.setattr(guest_stop, "LOOK_EVERY", 0.3)
    task = run(power.stop(user=None, ve=cluster.vmtest, force_after=1))
    assert task.state == "warning"
    assert "was forced off" in task.reason
    assert status(cluster.primary).state is VEState.STOPPED
    assert [title for title, _ in steps_of(task)][1] == "Forcing vmtest off"


def test_waiting_for_a_guest_can_be_cancelled(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf(cluster, monkeypatch, "shutdown")
    monkeypatch.setattr(jobs, "STOP_SECONDS", 30)
    monkeypatch.setattr(guest_stop, "LOOK_EVERY", 0.3)
    task = power.stop(user=None, ve=cluster.vmtest)
    cluster.primary.fail(
        "state", lambda: None if Task.objects.get().cancel_requested_at else cancel(Task.objects.get())
    )
    task = run(task)
    assert (task.state, status(cluster.primary).state) == ("cancelled", VEState.RUNNING)


def test_a_guest_that_ignores_a_restart_fails_with_the_next_step(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf(cluster, monkeypatch, "reboot")
    task = run(power.restart(user=None, ve=cluster.vmtest))
    assert task.state == "failed"
    assert "did not restart" in task.reason and task.advice
    assert cluster.primary.subscriptions == []


@pytest.mark.parametrize("refusal", [None, Conflict("vmtest is not running")], ids=["heard", "went down meanwhile"])
def test_a_container_whose_init_missed_the_signal_is_asked_once_more(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, refusal: Conflict | None
) -> None:
    cluster.show(cluster.primary, kind=VEKind.CT, domain_id=7)
    VE.objects.update(kind="ct")

    def hears_the_second(uuid: str, *_: Any) -> Outcome:
        cluster.primary.calls.append("reboot")
        if cluster.primary.calls.count("reboot") == 2:
            cluster.show(cluster.primary, domain_id=8)
            if refusal:
                raise refusal
        return Outcome.REQUESTED

    monkeypatch.setattr(cluster.primary, "reboot", hears_the_second)
    task = run(power.restart(user=None, ve=cluster.vmtest))
    assert (task.state, task.reason) == ("completed", "")
    assert cluster.primary.calls.count("reboot") == 2
    assert any("asked once more" in line for line in lines_of(task)) is (refusal is None)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.SIGNALLED, "does not know the init of vmtest; it was signalled past libvirt, over SSH"),
        (
            Outcome.FOUND_ENDED,
            "did not know that vmtest has ended; it was told by forcing vmtest off",
        ),
    ],
)
@pytest.mark.parametrize(("service", "method"), [(power.stop, "shutdown"), (power.restart, "reboot")])
def test_what_was_done_past_libvirt_is_told(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    service: Callable[..., Task],
    method: str,
    outcome: Outcome,
    words: str,
) -> None:
    real = getattr(cluster.primary, method)
    monkeypatch.setattr(cluster.primary, method, lambda uuid: real(uuid) and outcome)
    task = run(service(user=None, ve=cluster.vmtest))
    assert task.state == "completed"
    assert lines_of(task, "warning") == [f"libvirt on primary {words}"]


def test_a_guest_that_ends_instead_of_restarting_is_started(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(uuid: str, *_: Any) -> Outcome:
        cluster.show(cluster.primary, state=VEState.STOPPED, domain_id=None)
        return Outcome.REQUESTED

    monkeypatch.setattr(cluster.primary, "reboot", end)
    task = run(power.restart(user=None, ve=cluster.vmtest))
    assert (task.state, status(cluster.primary).state) == ("completed", VEState.RUNNING)
    assert [title for title, _ in steps_of(task)] == [
        "Asking vmtest to restart",
        "Starting vmtest on primary",
        "Recording the new state",
    ]


def test_a_refusal_of_the_engine_is_the_reason_of_the_task(cluster: Cluster) -> None:
    cluster.primary.fail("suspend", Conflict("vmtest is not running", advice="Start it first."))
    task = run(power.pause(user=None, ve=cluster.vmtest))
    assert (task.state, task.reason, task.advice) == ("failed", "vmtest is not running.", "Start it first.")


def test_a_dead_node_fails_the_task_with_its_cause(cluster: Cluster) -> None:
    cluster.primary.fail("start", Unreachable("primary cannot be reached", advice="Check its power."))
    task = run(power.start(user=None, ve=cluster.vmtest))
    assert (task.state, task.reason, task.advice) == ("failed", "primary cannot be reached.", "Check its power.")


def test_a_lost_worker_is_followed_by_asking_the_engine(cluster: Cluster) -> None:
    cluster.show(cluster.primary, state=VEState.STOPPED)
    task = power.start(user=None, ve=cluster.vmtest)
    cluster.show(cluster.primary, state=VEState.RUNNING)
    Task.objects.update(recovering=True, attempt=1)
    assert run(task).state == "completed"


def test_a_restart_is_not_repeated_after_its_worker_was_lost(cluster: Cluster) -> None:
    task = power.restart(user=None, ve=cluster.vmtest)
    Task.objects.update(recovering=True, attempt=1)
    task = run(task)
    assert task.state == "failed" and "is not known" in task.reason
    assert "reboot" not in cluster.primary.calls


def test_a_viewer_may_not_and_the_attempt_is_audited(cluster: Cluster, viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        power.stop(user=viewer, ve=cluster.vmtest)
    assert AuditRecord.objects.filter(action="ve.stop", result="refused", target_name="vmtest").exists()
    assert not Task.objects.exists()


def test_a_second_identical_request_finds_the_first(cluster: Cluster, operator: User) -> None:
    first = power.stop(user=operator, ve=cluster.vmtest)
    assert power.stop(user=operator, ve=cluster.vmtest).pk == first.pk


def test_a_conflicting_request_names_the_task_that_runs(cluster: Cluster, operator: User) -> None:
    first = power.stop(user=operator, ve=cluster.vmtest)
    with pytest.raises(TaskConflict, match=rf"vmtest is being stopped \(task {first.pk}\)"):
        power.pause(user=operator, ve=cluster.vmtest)


def test_a_ve_that_no_node_has_is_refused(cluster: Cluster) -> None:
    VE.objects.filter(uuid=VMTEST).update(node=None)
    with pytest.raises(NotPossible, match="No node has vmtest"):
        power.start(user=None, ve=cluster.vmtest)


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_the_wait_before_forcing_has_limits(cluster: Cluster, seconds: int) -> None:
    with pytest.raises(InvalidInput):
        power.stop(user=None, ve=cluster.vmtest, force_after=seconds)
