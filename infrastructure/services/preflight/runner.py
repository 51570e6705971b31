"""All checks in their order, each with a deadline for every question."""

from collections.abc import Callable
from dataclasses import replace

from infrastructure.drivers.base import DriverError, Unreachable, within
from infrastructure.models import VE, Node
from infrastructure.services.figures import sentence
from infrastructure.services.preflight import guest_checks, storage_checks, target_checks
from infrastructure.services.preflight.context import Context
from infrastructure.services.preflight.result import TITLES, Check, failed, unknown

QUESTION_SECONDS = 3.0
CHECKS: dict[str, Callable[[Context], Check]] = {
    "online": target_checks.online,
    "maintenance": target_checks.maintenance,
    "state": guest_checks.state,
    "place": target_checks.place,
    "memory": target_checks.memory,
    "cpu": guest_checks.cpu,
    "networks": target_checks.networks,
    "disks": storage_checks.disks,
    "media": storage_checks.media,
    "snapshots": guest_checks.snapshots,
    "devices": guest_checks.devices,
}
_NEED_TARGET = frozenset({"place", "memory", "cpu", "networks", "disks", "media"})


def run(
    ve: VE,
    target: Node,
    *,
    live: bool = True,
    copy_disks: bool = False,
    source: Node | None = None,
    on_result: Callable[[Check], None] | None = None,
) -> list[Check]:
    """Make all checks and return them; `on_result` gets each as soon as it is made.

    live: the VE keeps running while it moves; else it is shut down for it. copy_disks: what only the source has is
    copied. source: the node it leaves, by default where the database has it.
    A question that takes longer than 3 s makes its check unknown; no other error leaves this function.
    """
    source = source or ve.node
    if source is None:
        checks = [failed(key, f"No node has {ve}", "It can be moved when a node shows it again.") for key in TITLES]
        _report(checks, on_result)
        return checks
    context = Context(ve, source, target, live=live, copy_disks=copy_disks)
    checks = []
    for key in TITLES:
        checks.append(_make(key, context, checks))
        _report(checks[-1:], on_result)
    return checks


def _make(key: str, context: Context, before: list[Check]) -> Check:
    if key in _NEED_TARGET and before[0].state != "passed":
        return unknown(key, f"{context.target} does not answer", before[0].fix)
    try:
        with within(QUESTION_SECONDS):
            return CHECKS[key](context)
    except Unreachable as error:
        return unknown(key, sentence(error.message), error.advice)
    except DriverError as error:
        return failed(key, sentence(error.message), error.advice)


def _report(checks: list[Check], on_result: Callable[[Check], None] | None) -> None:
    if on_result is not None:
        for check in checks:
            on_result(replace(check))
