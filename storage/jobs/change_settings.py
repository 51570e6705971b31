"""Changing what is set for all disks of a cluster. The values of before are saved as the undo."""

from storage.drivers.base import StorageCluster
from storage.drivers.facts import RECOVERY_OPTIONS, ClusterFacts, Ratios
from storage.jobs.disk_steps import SHARES, open_cluster, recover
from storage.services.settings import MARKS, PERMISSION, RECOVERY, Marks, Priority, check_marks, options_of
from tasks.errors import JobFailed
from tasks.registry import job, undo
from tasks.runner import TaskRun

OPTIONS_BACK, MARKS_BACK = "storage.settings.recovery.back", "storage.settings.marks.back"
_LOCK = "storage-settings:{cluster_id}"
_FLAGS = {"near_full": "set-nearfull-ratio", "backfill_full": "set-backfillfull-ratio", "full": "set-full-ratio"}


@job(
    RECOVERY,
    title="Changing the recovery priority of {cluster}",
    permission=PERMISSION,
    lock=_LOCK,
    shares=SHARES,
    recover=recover,
    doing="having its settings changed",
)
def change_recovery(run: TaskRun, *, cluster_id: int, priority: Priority) -> None:
    engine, look = open_cluster(run, cluster_id)
    wanted = options_of(priority)
    with run.step("Reading what is set") as step:
        before = _options(look())
        step.lines(f"{name} = {value or 'as Ceph has it'}" for name, value in before.items())
    with run.step("Setting the recovery options") as step:
        if before == wanted:
            step.already_done()
            return
        run.undo(OPTIONS_BACK, cluster_id=cluster_id, options=before)
        _set_options(run, engine, before, wanted)
        look()


@undo(OPTIONS_BACK)
def options_back(run: TaskRun, *, cluster_id: int, options: dict[str, str | None]) -> None:
    engine, look = open_cluster(run, cluster_id)
    _set_options(run, engine, _options(look()), options)
    look()


def _options(facts: ClusterFacts) -> dict[str, str | None]:
    if facts.recovery is None:
        raise JobFailed("The cluster does not tell its recovery options.", "Connect it again, then retry the task.")
    return {name: facts.recovery.get(name) for name in RECOVERY_OPTIONS}


def _set_options(
    run: TaskRun, engine: StorageCluster, before: dict[str, str | None], wanted: dict[str, str | None]
) -> None:
    for name, value in wanted.items():
        if before.get(name) == value:
            continue
        words = ["rm", "osd", name] if value is None else ["set", "osd", name, value]
        run.command(["ceph", "config", *words])
    engine.set_options(wanted)


@job(
    MARKS,
    title="Changing the fill marks of {cluster}",
    permission=PERMISSION,
    lock=_LOCK,
    shares=SHARES,
    recover=recover,
    doing="having its settings changed",
)
def change_marks(run: TaskRun, *, cluster_id: int, near_full: int, backfill_full: int, full: int) -> None:
    engine, look = open_cluster(run, cluster_id)
    marks = Marks(near_full, backfill_full, full)
    with run.step("Checking how full the disks are"):
        facts = look()
        check_marks(facts, marks)
    with run.step("Setting the marks") as step:
        before = facts.ratios
        if before == marks.ratios:
            step.already_done()
            return
        known = {"near_full": before.near_full, "backfill_full": before.backfill_full, "full": before.full}
        run.undo(MARKS_BACK, cluster_id=cluster_id, **known)
        _set_marks(run, engine, marks.ratios)
        look()


@undo(MARKS_BACK)
def marks_back(run: TaskRun, *, cluster_id: int, near_full: float, backfill_full: float, full: float) -> None:
    engine, look = open_cluster(run, cluster_id)
    _set_marks(run, engine, Ratios(near_full, backfill_full, full))
    look()


def _set_marks(run: TaskRun, engine: StorageCluster, ratios: Ratios) -> None:
    for name, command in _FLAGS.items():
        run.command(["ceph", "osd", command, f"{getattr(ratios, name):g}"])
    engine.set_marks(ratios)
