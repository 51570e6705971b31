"""An offline move: stopped, copied, defined, started; every way in which it can end. tests/lab does it for real."""

from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.choices import Kind
from infrastructure.drivers.base import Completed, Conflict, DiskFacts, DriverError, Outcome, TimedOut
from infrastructure.drivers.facts import VEKind, VEState
from infrastructure.drivers.fake import FakeNode
from infrastructure.models import VE, Node
from infrastructure.services import guest_stop, migration
from infrastructure.services.migration import MigrationOptions, execution, offline
from infrastructure.services.preflight.proof import MARKER, SharedFolders
from tasks.models import Task
from tasks.services import cancel, retry
from tests.infrastructure.fake_nodes import VMTEST, Cluster, commands_of, die_in, lines_of, run, steps_of

ROOT = "/var/lib/ct/vmtest"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, seconds in (
        (offline, "LOOK_EVERY", 0.01),
        (guest_stop, "LOOK_EVERY", 0.01),
        (offline, "STOP_SECONDS", 0.1),
        (offline, "SETTLE_SECONDS", 0.1),
        (offline, "ANSWER_SECONDS", 0.1),
        (execution, "POLL_SECONDS", 0.01),
        (execution, "SETTLE_SECONDS", 2.0),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
def move(cluster: Cluster) -> Callable[..., Task]:
    def start(**options: Any) -> Task:
        target = Node.objects.get(name="secondnode1")
        chosen = MigrationOptions(**options)
        return migration.start(user=None, ve=cluster.vmtest, target=target, live=False, options=chosen)

    return start


@pytest.fixture
def container(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """vmtest is a container whose root only primary has, 3 MiB of it."""
    VE.objects.filter(uuid=VMTEST).update(kind=Kind.CT)
    root = DiskFacts("/", ROOT, "mount", device="filesystem")
    cluster.show(cluster.primary, kind=VEKind.CT, disks=(root,))
    for node, has_it in ((cluster.primary, True), (cluster.secondnode1, False)):
        _give_files(node, monkeypatch, {ROOT} if has_it else set())


def _give_files(node: FakeNode, monkeypatch: pytest.MonkeyPatch, paths: set[str]) -> None:
    """Answer the commands of checks and copies as a host with these files would."""

    def answer(argv: list[str], *, input: bytes | None = None, check: bool = True, **_: Any) -> Completed:
        node.commands.append(tuple(argv))
        if node._faults["run"]:
            node._enter("run")
        name, path = argv[0], argv[-1]
        if name == "mv":
            paths.add(path)
        if name == "rm":
            paths.difference_update(argv)
        found = {
            "realpath": f"{path}\n" if path in paths else "",
            "du": f"{3 << 20}\t{path}\n",
            "df": f"Avail Mounted on\n{1 << 30} /\n",
            "stat": f"{path}\n" if path in paths else "",
        }.get(name, "")
        failed = (name in ("realpath", "test", "stat") and path not in paths) or argv[:2] == ["test", "-L"]
        return Completed(found.encode(), b"", 1 if failed else 0)

    monkeypatch.setattr(node, "run", answer)


def commands(node: FakeNode, name: str) -> list[tuple[str, ...]]:
    return [argv for argv in node.commands if argv[0] == name and MARKER not in argv[-1]]


def test_a_running_vm_is_shut_down_moved_and_started_again(cluster: Cluster, move: Callable[..., Task]) -> None:
    task = run(move())
    assert (task.state, task.reason) == ("completed", "")
    assert [title for title, _ in steps_of(task)] == [
        "Starting the process",
        "Checking secondnode1",
        "Migrate Virtual Environment vmtest",
        "Recording the new placement",
        "Completing the process",
    ]
    assert cluster.where() == ["secondnode1"]
    assert VMTEST not in cluster.primary.ves_by_uuid
    assert (cluster.vmtest.node.name, cluster.vmtest.state) == ("secondnode1", "running")
    assert any("--offline" in line for line in commands_of(task))
    assert any(line.startswith("vmtest did not run for") for line in lines_of(task))
    assert task.figures["pause_ms"] > 0


def test_a_stopped_one_moves_and_stays_stopped(cluster: Cluster, move: Callable[..., Task]) -> None:
    cluster.show(cluster.primary, state=VEState.STOPPED)
    task = run(move())
    assert task.state == "completed"
    assert cluster.where() == []
    assert cluster.secondnode1.ves_by_uuid[VMTEST].state is VEState.STOPPED
    assert VMTEST not in cluster.primary.ves_by_uuid
    assert "start" not in cluster.secondnode1.calls


def test_it_never_runs_on_both_and_the_source_would_not_start_it(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.show(cluster.primary, autostart=True)
    VE.objects.update(autostart=True)
    seen: list[tuple[Any, bool]] = []
    original = cluster.secondnode1.start

    def start(uuid: str) -> Any:
        there = cluster.primary.ves_by_uuid[uuid]
        seen.append((there.state, there.autostart))
        return original(uuid)

    monkeypatch.setattr(cluster.secondnode1, "start", start)
    assert run(move()).state == "completed"
    assert seen == [(VEState.STOPPED, False)]
    assert cluster.secondnode1.ves_by_uuid[VMTEST].autostart


@pytest.mark.usefixtures("container")
def test_a_containers_root_is_copied_and_the_sources_deleted_when_asked(
    cluster: Cluster, move: Callable[..., Task]
) -> None:
    task = run(move(copy_disks=True, delete_source=True))
    assert (task.state, task.reason) == ("completed", "")
    [(*_, last)] = commands(cluster.secondnode1, "mv")
    assert last == ROOT
    assert ("rm", "-rf", "--one-file-system", "--", ROOT) in cluster.primary.commands
    assert cluster.where() == ["secondnode1"]


@pytest.mark.usefixtures("container")
def test_the_sources_copy_stays_and_is_named_unless_its_deletion_was_asked_for(
    cluster: Cluster, move: Callable[..., Task]
) -> None:
    task = run(move(copy_disks=True))
    assert f"primary keeps its copy of {ROOT}" in lines_of(task)
    assert not any(ROOT in argv for argv in commands(cluster.primary, "rm"))


@pytest.mark.usefixtures("container")
def test_what_another_ve_of_the_source_uses_is_not_deleted(cluster: Cluster, move: Callable[..., Task]) -> None:
    other = cluster.show(cluster.primary)
    cluster.primary.ves_by_uuid["another"] = type(other)(
        "another", "ct9", VEKind.CT, VEState.STOPPED, disks=other.disks
    )
    task = run(move(copy_disks=True, delete_source=True))
    assert task.state == "warning"
    assert f"{ROOT} was left on primary: ct9 uses it too" in task.reason


@pytest.mark.usefixtures("container")
def test_what_another_ve_keeps_inside_it_is_not_deleted(cluster: Cluster, move: Callable[..., Task]) -> None:
    other = cluster.show(cluster.primary)
    disk = DiskFacts("vda", f"{ROOT}/vm9.raw", "file", "raw")
    cluster.primary.ves_by_uuid["another"] = type(other)("another", "vm9", VEKind.VM, VEState.STOPPED, disks=(disk,))
    task = run(move(copy_disks=True, delete_source=True))
    assert f"{ROOT} was left on primary: vm9 uses it too" in task.reason
    assert not commands(cluster.primary, "rm")


@pytest.mark.usefixtures("container")
def test_what_the_target_sees_too_by_now_is_not_deleted(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its storage was mounted on the target after the checks, over the copy."""
    task = move(copy_disks=True, delete_source=True)
    cluster.primary.fail("undefine", lambda: monkeypatch.setattr(SharedFolders, "same", lambda *_: True))
    task = run(task)
    assert task.state == "warning"
    assert f"{ROOT} was left on primary: secondnode1 sees this very one" in task.reason
    assert not commands(cluster.primary, "rm")


@pytest.mark.usefixtures("container")
def test_what_the_target_does_not_have_is_not_deleted(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move(copy_disks=True, delete_source=True)
    cluster.primary.fail("undefine", lambda: _give_files(cluster.secondnode1, monkeypatch, set()))
    task = run(task)
    assert f"{ROOT} was left on primary: secondnode1 does not have it" in task.reason
    assert not commands(cluster.primary, "rm")


@pytest.mark.usefixtures("container")
def test_a_retry_clears_no_original_that_the_target_sees_by_now(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.primary.fail("pipe_to", lambda: cluster.secondnode1.fail("run", TimedOut("away"), times=1000))
    task = run(move(copy_disks=True))
    assert "there may be left of this move" in task.reason
    cluster.secondnode1._faults.clear()
    cluster.secondnode1.commands.clear()
    _give_files(cluster.secondnode1, monkeypatch, {ROOT})
    monkeypatch.setattr(SharedFolders, "same", lambda *_: True)
    retry(task)
    run(task)
    assert not [argv for argv in commands(cluster.secondnode1, "rm") if ROOT in argv]


def test_the_targets_definition_is_kept_while_the_source_cannot_say_that_it_has_its_own(
    cluster: Cluster, move: Callable[..., Task]
) -> None:
    """Its source had forgotten it, and the answer was lost."""
    cluster.show(cluster.primary, state=VEState.STOPPED)

    def forgets_and_falls_silent() -> None:
        del cluster.primary.ves_by_uuid[VMTEST]
        for method in ("state", "ve", "progress"):
            cluster.primary.fail(method, TimedOut("primary did not answer"), times=1000)
        raise TimedOut("primary did not answer")

    cluster.primary.fail("undefine", forgets_and_falls_silent)
    task = run(move())
    assert task.state == "failed"
    assert "nothing was removed" in task.reason
    assert VMTEST in cluster.secondnode1.ves_by_uuid


@pytest.mark.usefixtures("container")
def test_a_copy_is_not_made_unasked(cluster: Cluster, move: Callable[..., Task]) -> None:
    task = run(move())
    assert task.state == "failed"
    assert "Choose “Copy disks”" in task.advice
    assert cluster.where() == ["primary"]
    assert "pipe_to" not in cluster.primary.calls


@pytest.mark.usefixtures("container")
def test_a_failed_copy_is_removed_and_the_ve_runs_on_its_source_again(
    cluster: Cluster, move: Callable[..., Task]
) -> None:
    cluster.show(cluster.primary, autostart=True)
    VE.objects.update(autostart=True)
    cluster.primary.fail("pipe_to", DriverError("tar on secondnode1 ended with 2: No space left on device"))
    task = run(move(copy_disks=True))
    assert task.state == "failed"
    assert "No space left on device" in task.reason
    assert cluster.where() == ["primary"]
    assert cluster.primary.ves_by_uuid[VMTEST].autostart
    assert VMTEST not in cluster.secondnode1.ves_by_uuid
    assert any(ROOT in argv and len(argv) > 5 for argv in commands(cluster.secondnode1, "rm")), "the staged copy"
    assert cluster.vmtest.migrating_to is None


@pytest.mark.usefixtures("container")
def test_a_transfer_that_was_cut_off_and_still_writes_is_waited_for(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, answer = cluster.secondnode1, cluster.secondnode1.run

    def still_being_filled(argv: list[str], **options: Any) -> Completed:
        done = answer(argv, **options)
        return Completed(b"", b"Directory not empty", 1) if len(commands(node, "rm")) == 1 and argv[0] == "rm" else done

    monkeypatch.setattr(node, "run", still_being_filled)
    task = run(move(copy_disks=True))
    assert (task.state, task.reason) == ("completed", "")
    assert len(commands(node, "rm")) == 2


def test_one_that_the_target_cannot_start_comes_back(cluster: Cluster, move: Callable[..., Task]) -> None:
    cluster.secondnode1.fail("start", Conflict("no such bridge"))
    task = run(move())
    assert task.state == "failed"
    assert "no such bridge" in task.reason
    assert cluster.where() == ["primary"]
    assert VMTEST not in cluster.secondnode1.ves_by_uuid


def test_it_is_not_started_on_the_source_while_the_target_may_run_it(
    cluster: Cluster, move: Callable[..., Task]
) -> None:
    def silent() -> None:
        for method in ("state", "ve", "undefine", "run"):
            cluster.secondnode1.fail(method, TimedOut("secondnode1 did not answer"), times=1000)
        raise TimedOut("secondnode1 did not start the VE within 60 s")

    cluster.secondnode1.fail("start", silent)
    task = run(move())
    assert task.state == "failed"
    assert cluster.primary.ves_by_uuid[VMTEST].state is VEState.STOPPED
    assert "whether it runs there is not known" in task.reason


def test_a_guest_that_does_not_shut_down_is_not_moved(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.primary, "shutdown", lambda uuid: None)
    task = run(move())
    assert task.state == "failed"
    assert "still runs" in task.reason and "was not moved" in task.reason
    assert cluster.where() == ["primary"]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [(Outcome.REQUESTED, "asked once more"), (Outcome.FOUND_ENDED, "has ended, which libvirt does not know")],
)
def test_a_guest_that_missed_the_request_while_it_booted_is_asked_again(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch, outcome: Outcome, words: str
) -> None:
    real = cluster.primary.shutdown
    requests: list[str] = []

    def hears_the_second(uuid: str) -> object:
        requests.append(uuid)
        return real(uuid) and outcome if len(requests) == 2 else None

    monkeypatch.setattr(cluster.primary, "shutdown", hears_the_second)
    monkeypatch.setattr(offline, "STOP_SECONDS", 30)
    monkeypatch.setattr(guest_stop, "AGAIN_SECONDS", 0)
    task = run(move())
    assert (task.state, cluster.where()) == ("completed", ["secondnode1"])
    assert any(words in line for line in lines_of(task))


@pytest.mark.parametrize("outcome", [Outcome.SIGNALLED, Outcome.FOUND_ENDED])
def test_what_was_done_past_libvirt_to_shut_it_down_is_told(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    real = cluster.primary.shutdown
    monkeypatch.setattr(cluster.primary, "shutdown", lambda uuid: real(uuid) and outcome)
    task = run(move())
    assert task.state == "completed"
    assert any(line.startswith("libvirt on primary d") for line in lines_of(task))


def test_it_is_forced_off_only_where_that_was_allowed(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.primary, "shutdown", lambda uuid: None)
    task = run(move(force_off=True))
    assert (task.state, cluster.where()) == ("warning", ["secondnode1"])
    assert "was forced off" in task.reason


@pytest.mark.usefixtures("container")
def test_cancelled_while_it_copies_it_is_taken_back(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = move(copy_disks=True)
    monkeypatch.setattr("tasks.steps.LOOK_EVERY", 0)
    cluster.primary.fail("pipe_to", lambda: cancel(Task.objects.get(pk=task.pk)) and None)
    task = run(task)
    assert task.state == "cancelled"
    assert cluster.where() == ["primary"]
    assert VMTEST not in cluster.secondnode1.ves_by_uuid


@pytest.mark.parametrize(
    ("end", "method"),
    [("primary", "pipe_to"), ("secondnode1", "define"), ("secondnode1", "start"), ("primary", "undefine")],
)
@pytest.mark.usefixtures("container")
def test_wherever_its_worker_dies_another_one_finishes_it(
    cluster: Cluster, move: Callable[..., Task], monkeypatch: pytest.MonkeyPatch, end: str, method: str
) -> None:
    task = move(copy_disks=True, delete_source=True)
    die_in(getattr(cluster, end), method, task, monkeypatch)
    task = run(task)
    assert (task.state, task.reason) == ("completed", "")
    assert cluster.where() == ["secondnode1"]
    assert VMTEST not in cluster.primary.ves_by_uuid
    assert cluster.primary.calls.count("shutdown") == 1
    assert ("rm", "-rf", "--one-file-system", "--", ROOT) in cluster.primary.commands


def test_what_failed_at_the_very_end_is_finished_by_a_retry_and_never_stopped(
    cluster: Cluster, move: Callable[..., Task]
) -> None:
    cluster.primary.fail("undefine", Conflict("busy"))
    task = run(move())
    assert task.state == "failed"
    assert cluster.where() == ["secondnode1"], "the undo must leave it where it runs"
    retry(task)
    task = run(task)
    assert task.state == "completed"
    assert VMTEST not in cluster.primary.ves_by_uuid
    assert cluster.secondnode1.calls.count("start") == 1
