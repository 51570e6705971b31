"""What live and offline migrations share: lanes, locks, the checks in the log, the record of an earlier attempt."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infrastructure.models import Node
from infrastructure.services import equivalents, inventory, migration
from infrastructure.services.migration import Checked, Plan, Whereabouts, leftover
from infrastructure.services.migration.disks import delete_at_source
from infrastructure.services.migration.request import PERMISSION
from infrastructure.services.preflight import Check, DiskCopy
from panel.accounts.permissions import can
from tasks.choices import Level, UndoState
from tasks.errors import JobFailed
from tasks.lanes import Lane
from tasks.models import TaskStep
from tasks.runner import Step, TaskRun

MIGRATIONS_A_NODE = 2
_LEVELS = {"warning": Level.WARNING, "failed": Level.ERROR, "unknown": Level.ERROR}


def lanes(params: Mapping[str, Any]) -> list[Lane]:
    """At most two migrations out of a node and two into it at once."""
    names = dict(Node.objects.filter(pk__in=[params["source_id"], params["target_id"]]).values_list("pk", "name"))
    source, target = params["source_id"], params["target_id"]
    limit = MIGRATIONS_A_NODE
    return [
        Lane(f"migrate-out:node:{source}", limit, f"{limit} migrations on {names.get(source, 'the source')}"),
        Lane(f"migrate-in:node:{target}", limit, f"{limit} migrations to {names.get(target, 'the target')}"),
    ]


def both_nodes(params: Mapping[str, Any]) -> list[str]:
    """What is done to one of these nodes as a whole, such as a restart of libvirtd, would abort the move."""
    return [f"node:{params['source_id']}", f"node:{params['target_id']}"]


def check_right(run: TaskRun, plan: Plan) -> None:
    """JobFailed unless who asked may still move this VE and fill this target; what is under way is not asked again.

    The runner asks about any object of the task, which its source alone could answer.
    """
    task = run.task
    if task.recovering or (task.initiator is None and not task.initiator_name):
        return
    for each in (plan.ve, plan.target):
        if not can(task.initiator, PERMISSION, each):
            raise JobFailed(
                f"{task.initiator_name} does not hold the permission {PERMISSION} over {each}.",
                "Ask an administrator for the role, then retry the task.",
            )


def check(step: Step, plan: Plan) -> Checked:
    """Make the checks and write each into the log. JobFailed with the first that rules the move out."""
    passed = 0

    def tell(check: Check) -> None:
        nonlocal passed
        passed += check.state in ("passed", "warning")
        step.line(f"{check.title}: {check.text}", _LEVELS.get(check.state, Level.INFO))

    try:
        checked = migration.check(plan, tell)
    finally:
        step.note(f"{passed} passed")
    leftover.settle(plan)  # the target answered and has nothing of the VE
    return checked


def clear_leftover(run: TaskRun, plan: Plan) -> Whereabouts:
    """Have the target forget the definition that a failed migration left there; where the VE is then. DriverError."""
    run.command(equivalents.virsh(plan.ve, plan.target, "undefine"))
    leftover.clear(plan)
    found = migration.locate(plan)
    run.line(f"{plan.target} has forgotten its definition; {found.words(plan)}")
    return found


def show_migrating(run: TaskRun, plan: Plan, target: Node | None) -> None:
    """Have the pages show the VE as migrating, or (None) as what it is."""
    with run.atomic():  # an attempt that is over must not change what another one shows
        inventory.set_migrating(plan.ve, target)


def begun_before(run: TaskRun, undo_name: str) -> dict[str, Any] | None:
    """The arguments of the undo that an attempt saved whose worker died and whose work this one takes up."""
    if not run.task.recovering:
        return None
    lost = run.task.steps.filter(
        attempt__gte=run.attempt - run.task.recoveries, attempt__lt=run.attempt, undo_name=undo_name
    )
    return lost.order_by("-seq").values_list("undo_args", flat=True).first()


def latest(run: TaskRun, undo_name: str) -> dict[str, Any] | None:
    """The arguments of this undo as the last attempt that came so far saved it, whatever became of it."""
    steps = TaskStep.objects.filter(task=run.task, undo_name=undo_name, attempt__lt=run.attempt)
    return steps.order_by("-seq").values_list("undo_args", flat=True).first()


def left_behind(run: TaskRun, undo_name: str) -> dict[str, Any] | None:
    """The arguments of an undo of an earlier attempt that failed: what it was to remove is still there."""
    failed = TaskStep.objects.filter(task=run.task, undo_name=undo_name, undo_state=UndoState.FAILED)
    return failed.order_by("-seq").values_list("undo_args", flat=True).first()


def settle_sources(run: TaskRun, plan: Plan, copies: Sequence[DiskCopy], *, confirmed: bool) -> None:
    """Delete the source's disks that were copied, where that was asked for, or say that they are still there.

    confirmed: the source has said that it no longer has the VE.
    """
    if not copies:
        return
    paths = ", ".join(copy.path for copy in copies)
    if not plan.options.delete_source:
        run.line(f"{plan.source} keeps its copy of {paths}")
        return
    if not confirmed:
        run.warn(f"{plan.source} does not answer, so its copy of {paths} was not deleted.")
        return
    run.command(["ssh", plan.source.name, "rm", "-rf", "--one-file-system", "--", *(copy.path for copy in copies)])
    left = delete_at_source(plan, copies)
    for reason in left:
        run.warn(f"{reason}.")
    if len(left) < len(copies):
        run.line(f"{plan.source} has deleted its copy")


def on_bytes(step: Step, done: int, whole: int) -> Callable[[int, float], None]:
    """Shows a transfer's bytes. done: what earlier ones moved, whole: all of them together."""
    mib = 1 << 20

    def show(moved: int, seconds: float) -> None:
        copied = (done + moved) / mib
        rate = moved / mib / seconds if seconds > 0 else 0.0
        left = max(0.0, whole / mib - copied)
        step.progress(
            min(99.0, 100.0 * copied * mib / whole) if whole else None,
            f"{copied:,.0f} of {whole / mib:,.0f} MiB",
            rate_mib=round(rate, 1),
            copied_mib=round(copied, 1),
            total_mib=round(whole / mib, 1),
            remaining_mib=round(left, 1),
            disk_copied_mib=round(copied, 1),
            disk_total_mib=round(whole / mib, 1),
        )

    return show
