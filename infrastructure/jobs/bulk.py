"""The parents of bulk actions: each starts a task for every VE and then waits for them without a worker."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from infrastructure.models import VE, Node
from infrastructure.services import power
from infrastructure.services.errors import ServiceError
from infrastructure.services.migration import MigrationOptions
from infrastructure.services.migration.request import as_child
from tasks.recovery import Recovery
from tasks.registry import job
from tasks.runner import TaskRun
from tasks.services import Child


def recover(run: TaskRun, **params: Any) -> Recovery:
    """Children that are there already are not started again, so the job may simply run again."""
    return Recovery.resume()


@job(
    "ve.bulk_power",
    title="{doing} {what}",
    permission="ve.operate",
    lock="bulk:{form}",
    recover=recover,
    doing="being worked on",
)
def bulk_power(
    run: TaskRun, *, action: str, ve_ids: list[int], at_most: int, form: str, force_after: int | None = None
) -> None:
    """action: one of the names in services.power. force_after: seconds, of "stop" only."""

    def child(ve: VE) -> Child:
        return power.as_child(action=action, ve=ve, force_after=force_after)

    _start(run, ve_ids, child, at_most)


@job(
    "ve.bulk_migrate",
    title="{doing} {what}",
    permission="ve.migrate",
    lock="bulk:{form}",
    recover=recover,
    doing="being worked on",
)
def bulk_migrate(
    run: TaskRun, *, moves: list[dict[str, Any]], options: dict[str, Any], at_most: int, form: str
) -> None:
    """moves: {"ve_id", "target_id", "live"} of each VE. options: the fields of MigrationOptions."""
    targets = Node.objects.in_bulk({move["target_id"] for move in moves})
    wanted = {move["ve_id"]: move for move in moves}
    chosen = MigrationOptions(**options)

    def child(ve: VE) -> Child:
        move = wanted[ve.pk]
        return as_child(ve=ve, target=targets[move["target_id"]], live=move["live"], options=chosen)

    gone = [ve_id for ve_id, move in wanted.items() if move["target_id"] not in targets]
    for _ in gone:
        run.warn("A target node was removed, so one VE is not moved.")
    _start(run, [ve_id for ve_id in wanted if ve_id not in gone], child, at_most)


def _start(run: TaskRun, ve_ids: list[int], child: Callable[[VE], Child], at_most: int) -> None:
    found = VE.objects.select_related("node").in_bulk(ve_ids)
    with run.step("Starting a task for each VE") as step:
        for _ in range(len(ve_ids) - len(found)):
            run.warn("One of the VEs was removed; nothing is left to do for it.")
        children = list(_children(run, (found[pk] for pk in ve_ids if pk in found), child))
        started = run.start_children(children, at_most=at_most)
        refused = sum(task.is_final for task in started)
        step.line(f"{len(started) - refused} started, at most {at_most} at once")


def _children(run: TaskRun, ves: Iterable[VE], child: Callable[[VE], Child]) -> Iterator[Child]:
    for ve in ves:
        try:
            yield child(ve)
        except ServiceError as refusal:
            run.warn(f"{ve}: {refusal}")
