"""The migration's steps, and every way in which one can end. Faults are scripted; tests/lab does it on real engines."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infrastructure.drivers.base import Conflict, MigrationProgress, TimedOut, Unreachable
from infrastructure.drivers.facts import VEState
from infrastructure.models import VE, Node
from infrastructure.services import migration, preflight
from infrastructure.services.migration import MigrationOptions, convergence, execution
from tasks.errors import JobFailed
from tasks.models import Task
from tasks.services import cancel, retry
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, die_in, lines_of, lost_worker, run, steps_of

STEPS = [
    "Starting the process",
    "Checking secondnode1",
    "Migrate Virtual Environment vmtest",
    "Recording the new placement",
    "Completing the process",
]
NESTED = [
    'Operation with the Virtual Machine "vmtest" is started',
    'migrating "vmtest" from "primary" to "secondnode1"',
    "Migrating virtual machine",
    'Operation with the Virtual Machine "vmtest" is finished',
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (
        ("POLL_SECONDS", 0.01),
        ("SETTLE_SECONDS", 2.0),
        ("ABORT_SECONDS", 2.0),
        ("SILENT_SECONDS", 0.1),
    ):
        monkeypatch.setattr(execution, name, seconds)
    monkeypatch.setattr("infrastructure.jobs.migrate.RECOVER_SECONDS", 0.1)


@pytest.fixture
def move(cluster: Cluster) -> Callable[..., Task]:
    def start(**options: Any) -> Task:
        target = Node.objects.get(name="secondnode1")
        return migration.start(user=None, ve=cluster.vmtest, target=target, options=MigrationOptions(**options))

    return start


def begun(task: Task, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt whose worker dies while libvirt moves the VE."""
    die_in(cluster.primary, "migrate", task, monkeypatch)


def test_its_steps_are_those_that_the_architecture_names(cluster: Cluster, move: Callable[..., Task]) -> None:
    task = run(move())
    assert (task.state, task.reason) == ("completed", "")
    assert steps_of(task) == [(title, "completed") for title in STEPS]
    lines = lines_of(task)
    assert sorted(lines.index(line) for line in NESTED) == [lines.index(line) for line in NESTED]
    assert cluster.where() == ["secondnode1"]
    assert (cluster.vmtest.node.name, cluster.vmtest.state) == ("secondnode1", "running")


def test_the_equivalent_command_is_shown_with_every_option(cluster: Cluster, move: Callable[..., Task]) -> None:
    task = run(move(bandwidth_mib=16, auto_converge=True))
    assert commands_of(task) == [
        "virsh -c qemu+tls://primary.lab/system migrate vmtest"
        " 'qemu+tls://secondnode1.lab/system?pkipath=/etc/pki/mooring' --p2p --persistent --undefinesource --verbose"
        " --tls --migrateuri tcp://secondnode1.lab --live --bandwidth 16 --auto-converge"
    ]


def test_libvirt_is_overruled_only_when_the_folders_were_proved_shared(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    original = cluster.primary.migrate

    def note(*args: Any, **options: Any) -> MigrationProgress:
        asked.append(options["unsafe"])
        return original(*args, **options)

    monkeypatch.setattr(cluster.primary, "migrate", note)
    run(move())
    assert asked == [False]


def test_autostart_goes_along(cluster: Cluster, move: Callable[..., Task]) -> None:
    cluster.show(cluster.primary, autostart=True)
    VE.objects.update(autostart=True)
    task = move()
    # libvirt forgets the flag on the way.
    cluster.show(cluster.primary, autostart=False)
    run(task)
    assert cluster.secondnode1.ves_by_uuid[VMTEST].autostart


def test_a_failed_check_ends_it_before_anything_is_moved(cluster: Cluster, move: Callable[..., Task]) -> None:
    Node.objects.filter(name="secondnode1").update(maintenance=True)
    task = run(move())
    assert (task.state, task.reason) == ("failed", "secondnode1 is in maintenance.")
    assert "choose another node" in task.advice
    assert "migrate" not in cluster.primary.calls


def test_the_engines_refusal_is_told_with_where_the_ve_is(cluster: Cluster, move: Callable[..., Task]) -> None:
    cluster.primary.fail("migrate", Conflict("Timed out during operation", advice="Wait for the other job."))
    task = run(move())
    assert task.state == "failed"
    assert task.reason == "Timed out during operation. vmtest runs on primary."
    assert task.advice == "Wait for the other job."
    assert cluster.where() == ["primary"]


def test_it_can_be_cancelled_in_the_middle(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move()
    original = cluster.primary.migrate

    def cancel_then_go_on(*args: Any, on_progress: Callable[[MigrationProgress], None], **options: Any) -> Any:
        cancel(Task.objects.get(pk=task.pk))
        monkeypatch.setattr("tasks.steps.LOOK_EVERY", 0)
        return original(*args, on_progress=on_progress, **options)

    monkeypatch.setattr(cluster.primary, "migrate", cancel_then_go_on)
    task = run(task)
    assert task.state == "cancelled"
    assert cluster.where() == ["primary"]
    assert cluster.vmtest.migrating_to is None
    assert "vmtest runs on primary" in lines_of(task)


def test_when_the_link_to_the_source_breaks_the_end_is_watched(cluster: Cluster, move: Callable[..., Task]) -> None:
    """Peer-to-peer: libvirt finishes although the panel is cut off."""
    task = move()

    def arrives() -> None:
        cluster.show(cluster.secondnode1)
        del cluster.primary.ves_by_uuid[VMTEST]
        raise Unreachable("The connection was lost", code="connection-lost")

    cluster.primary.fail("migrate", arrives)
    task = run(task)
    assert task.state == "completed"
    assert cluster.vmtest.node.name == "secondnode1"


@pytest.mark.parametrize("code", ["connection-lost", "connection-refused"])
def test_a_restart_of_the_sources_daemon_fails_it_and_a_retry_succeeds(
    cluster: Cluster, move: Callable[..., Task], code: str
) -> None:
    cluster.primary.fail("migrate", Unreachable("EOF", code=code))
    task = run(move())
    assert task.state == "failed"
    assert "libvirtd on primary was restarted or cut off" in task.reason
    assert "vmtest runs on primary" in task.reason
    retry(task)
    assert run(task).state == "completed"


def test_a_target_that_died_is_named_and_the_ve_stays(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move()

    def die() -> None:
        for method in ("state", "ve", "facts", "ves"):
            cluster.secondnode1.fail(method, TimedOut("secondnode1 did not answer"), times=1000)
        raise Unreachable("primary cannot reach libvirtd on secondnode1", code="peer-unreachable")

    cluster.primary.fail("migrate", die)
    task = run(task)
    assert task.state == "failed"
    assert "primary cannot reach libvirtd on secondnode1" in task.reason
    assert "vmtest runs on primary; secondnode1 does not answer" in task.reason
    assert "choose another node" in task.advice
    assert "Undoing was not complete" not in task.reason


def test_after_a_lost_worker_a_finished_move_is_completed_not_repeated(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move()
    begun(task, cluster, monkeypatch)
    cluster.show(cluster.secondnode1)
    del cluster.primary.ves_by_uuid[VMTEST]
    task = run(task)
    assert task.state == "completed"
    assert "migrate" not in cluster.primary.calls
    assert cluster.vmtest.node.name == "secondnode1"


def test_after_a_lost_worker_a_running_move_is_adopted(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move()
    begun(task, cluster, monkeypatch)
    cluster.primary.jobs[VMTEST] = MigrationProgress(percent=40.0, iteration=1)
    cluster.show(cluster.secondnode1, state=VEState.PAUSED, reason="migration")
    looks = 0

    def finish_later() -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            cluster.show(cluster.secondnode1, state=VEState.RUNNING, reason="migrated")
            cluster.primary.jobs.clear()
            del cluster.primary.ves_by_uuid[VMTEST]

    cluster.primary.fail("progress", finish_later, times=20)
    task = run(task)
    assert task.state == "completed"
    assert "migrate" not in cluster.primary.calls
    assert "primary is moving it already; that job is watched instead of starting another" in lines_of(task)


def test_after_a_lost_worker_an_aborted_move_is_failed_with_where_the_ve_is(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move()
    begun(task, cluster, monkeypatch)
    task = run(task)
    assert task.state == "failed"
    assert task.reason == "The worker was lost and libvirt aborted the migration; vmtest runs on primary."
    assert task.advice == "Retry the task."
    assert cluster.vmtest.migrating_to is None
    retry(task)
    assert run(task).state == "completed"


def test_a_move_that_ends_while_it_is_recovered_is_not_begun_again(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move()
    begun(task, cluster, monkeypatch)
    cluster.primary.jobs[VMTEST] = MigrationProgress(percent=40.0, iteration=1)
    # Seen once by the recovery, gone when the job looks again.
    cluster.primary.fail("progress", lambda: None)
    cluster.primary.fail("progress", cluster.primary.jobs.clear)
    task = run(task)
    assert task.state == "failed"
    assert task.reason == "The worker was lost and libvirt aborted the migration; vmtest runs on primary."
    assert "migrate" not in cluster.primary.calls


def test_a_worker_lost_before_the_move_began_is_simply_replaced(cluster: Cluster, move: Callable[..., Task]) -> None:
    task = move()
    lost_worker(task)
    Task.objects.update(attempt=1)
    assert run(task).state == "completed"
    assert cluster.primary.calls.count("migrate") == 1


def test_the_second_attempt_passes_what_is_done(cluster: Cluster, move: Callable[..., Task]) -> None:
    """The move succeeded and recording it failed: a retry records it and moves nothing."""
    task = move()

    def then_silent() -> None:
        cluster.secondnode1.fail("ve", Conflict("busy"), times=3)

    cluster.primary.fail("migrate", then_silent)
    task = run(task)
    assert task.state == "failed"
    cluster.secondnode1._faults.clear()
    retry(task)
    task = run(task)
    assert task.state == "completed"
    assert cluster.primary.calls.count("migrate") == 1


def test_a_ve_that_both_nodes_run_is_never_moved(cluster: Cluster, move: Callable[..., Task]) -> None:
    cluster.show(cluster.secondnode1)
    task = run(move())
    assert task.state == "failed"
    assert "migrate" not in cluster.primary.calls
    assert cluster.where() == ["primary", "secondnode1"]


def test_figures_are_reported_in_the_units_of_the_task_page(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = MigrationProgress(
        percent=50.0, total_bytes=128 << 20, processed_bytes=60 << 20, remaining_bytes=64 << 20, rate_mib_s=16.0,
        iteration=2, dirty_pages_s=256, expected_downtime_ms=250, elapsed_ms=4000,
    )  # fmt: skip
    kept: list[dict[str, Any]] = []

    def report(*args: Any, on_progress: Callable[[MigrationProgress], None], **options: Any) -> MigrationProgress:
        on_progress(seen)
        kept.append(Task.objects.values("progress", "progress_note", "figures").get())
        cluster.show(cluster.secondnode1)
        del cluster.primary.ves_by_uuid[VMTEST]
        return seen

    monkeypatch.setattr(cluster.primary, "migrate", report)
    run(move())
    assert kept[0]["progress"] == 50
    assert kept[0]["progress_note"] == "64 MiB left, about 4 s"
    figures = kept[0]["figures"]
    assert (figures["rate_mib"], figures["remaining_mib"], figures["copied_mib"]) == (16.0, 64.0, 60.0)
    assert (figures["dirty_mib"], figures["expected_pause_ms"], figures["iteration"]) == (1.0, 250, 2)


def test_where_the_checks_were_passed_over_no_move_is_begun(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = (Node.objects.get(name=name) for name in ("primary", "secondnode1"))
    plan = migration.plan(ve_id=cluster.vmtest.pk, source_id=source.pk, target_id=target.pk)
    moves: list[Any] = []
    monkeypatch.setattr(cluster.primary, "migrate", lambda *args, **_: moves.append(args))

    with pytest.raises(JobFailed, match="libvirt aborted the migration; vmtest runs on primary"):
        migration.execute(plan, checked=None, on_look=lambda seen, pause: None, tell=lambda text: None)

    assert not moves


def copying(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *paths: str) -> None:
    """As if the checks had found disks of primary's own."""
    copies = tuple(
        preflight.DiskCopy(f"vd{'abc'[n]}", path, "qcow2", 256 << 20, 64 << 20) for n, path in enumerate(paths)
    )
    found = [replace(check, state="passed", text="so") for check in preflight.planned()]
    found[-1] = replace(found[-1], copies=copies)
    monkeypatch.setattr(preflight, "run", lambda *_, **__: found)


def test_disks_of_the_sources_own_are_copied_into_empty_images(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    copying(cluster, monkeypatch, "/var/a.qcow2", "/var/b.qcow2")
    asked: list[Any] = []
    original = cluster.primary.migrate
    monkeypatch.setattr(
        cluster.primary,
        "migrate",
        lambda *args, **options: (asked.append(options["copy_disks"]), original(*args, **options))[1],
    )
    task = run(move(copy_disks=True, delete_source=True))
    assert (task.state, task.reason) == ("completed", "")
    assert asked == [["vda", "vdb"]]
    made = [argv for argv in cluster.secondnode1.commands if argv[0] == "qemu-img"]
    assert made == [
        ("qemu-img", "create", "-q", "-f", "qcow2", "--", path, str(256 << 20))
        for path in ("/var/a.qcow2", "/var/b.qcow2")
    ]
    deleted = [argv[-1] for argv in cluster.primary.commands if argv[:2] == ("rm", "-rf")]
    assert deleted == ["/var/a.qcow2", "/var/b.qcow2"]
    assert any("--copy-storage-all --migrate-disks vda,vdb" in line for line in commands_of(task))


def test_the_images_of_a_failed_copy_are_removed_and_the_originals_kept(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    copying(cluster, monkeypatch, "/var/a.qcow2")
    cluster.primary.fail("migrate", Conflict("No space left"))
    task = run(move(copy_disks=True, delete_source=True))
    assert task.state == "failed"
    assert any(argv[0] == "rm" and "/var/a.qcow2" in argv for argv in cluster.secondnode1.commands)
    assert not any(argv[:2] == ("rm", "-rf") for argv in cluster.primary.commands)


def test_a_retry_clears_what_a_dead_target_kept_of_the_copies(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    copying(cluster, monkeypatch, "/var/a.qcow2")

    def die() -> None:
        for method in ("state", "ve", "facts", "ves", "run"):
            cluster.secondnode1.fail(method, TimedOut("secondnode1 did not answer"), times=1000)
        raise Unreachable("primary cannot reach libvirtd on secondnode1", code="peer-unreachable")

    cluster.primary.fail("migrate", die)
    task = run(move(copy_disks=True))
    assert "/var/a.qcow2 may be left on secondnode1" in task.reason
    cluster.secondnode1._faults.clear()
    cluster.secondnode1.commands.clear()
    retry(task)
    assert run(task).state == "completed"
    names = [argv[0] for argv in cluster.secondnode1.commands if argv[0] in ("rm", "qemu-img")]
    assert names[:2] == ["rm", "qemu-img"]


def looks(*iterations: int, changing: int = 9) -> list[MigrationProgress]:
    return [
        MigrationProgress(
            iteration=number, dirty_pages_s=changing * 256, memory_rate_mib_s=8.0, memory_remaining_bytes=20 << 20,
            memory_total_bytes=128 << 20,
        )
        for number in iterations
    ]  # fmt: skip


def scripted(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, seen: list[MigrationProgress]) -> None:
    """A migration that shows these figures and then arrives."""

    def report(*_: Any, on_progress: Callable[[MigrationProgress], None], **__: Any) -> MigrationProgress:
        for each in seen:
            on_progress(each)
        cluster.show(cluster.secondnode1)
        del cluster.primary.ves_by_uuid[VMTEST]
        return seen[-1]

    monkeypatch.setattr(cluster.primary, "migrate", report)
    monkeypatch.setattr(convergence, "SETTLE_SECONDS", 0)


def test_a_longer_pause_is_announced_before_the_engine_is_told(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(cluster, monkeypatch, looks(1, 2, 3))
    told: list[list[str]] = []
    task = move(pause_limit_ms=1200)
    monkeypatch.setattr(cluster.primary, "set_max_downtime", lambda *_: told.append(lines_of(task)))
    assert run(task).state == "completed"
    assert [lines[-1].rpartition("; ")[2] for lines in told] == [
        "its pause at the switch may now be 600 ms instead of 300 ms"
    ]


def test_a_pause_that_cannot_be_set_does_not_abort_the_migration(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(cluster, monkeypatch, looks(1, 2, 3))
    cluster.primary.fail("set_max_downtime", Unreachable("no route"))
    task = run(move(pause_limit_ms=1200))
    assert task.state == "completed"
    assert "The pause was not changed: no route." in lines_of(task)


def test_a_guest_that_never_converges_fails_it_with_advice(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(cluster, monkeypatch, looks(*range(1, 12)))
    task = run(move())
    assert task.state == "failed"
    assert "changes 9 MiB of memory a second, and 8 MiB/s are copied" in task.reason
    assert "vmtest stays on primary." in task.reason
    assert "move it offline" in task.advice
    assert cluster.where() == ["primary"]


def test_the_phases_follow_disks_and_memory(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    copying(cluster, monkeypatch, "/var/a.qcow2")
    disk = MigrationProgress(disk_total_bytes=256 << 20, disk_processed_bytes=64 << 20, disk_remaining_bytes=192 << 20)
    scripted(cluster, monkeypatch, [disk, *looks(1, 2, changing=1)])
    task = run(move(copy_disks=True))
    assert [phase["name"] for phase in task.phases if "at" in phase] == [
        "Prepare",
        "Copy disks",
        "Copy memory",
        "Clean up",
    ]
