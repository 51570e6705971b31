"""Giving a target other settings: users, initiators, limits, portals."""

from typing import Any, cast

from django.db import IntegrityError

from iscsi.drivers.facts import AddressFacts
from iscsi.equivalents import remove_address
from iscsi.jobs.steps import find_target, images_of, resume, show, tell_server
from iscsi.models import Target
from iscsi.services import announcing, limits, portals
from iscsi.services.access import servers_on
from iscsi.services.portals import Place
from iscsi.services.reconcile import reconcile
from iscsi.services.target_input import Settings, give
from iscsi.services.targets import EDIT, PERMISSION
from tasks.errors import JobFailed
from tasks.registry import job, undo
from tasks.runner import Step, TaskRun

RESTORE = "iscsi.target.restore"


@job(
    EDIT,
    title="Editing target {target}",
    permission=PERMISSION,
    lock="target:{target_id}",
    recover=resume,
    doing="being edited",
    noun="edit",
)
def edit(run: TaskRun, *, target_id: int, wanted: dict[str, Any], before: dict[str, Any]) -> None:
    target = find_target(target_id)
    with run.step("Recording what is wanted") as step:
        run.undo(RESTORE, target_id=target_id, wanted=wanted, before=before)
        _give(run, target, wanted)
        _tell_portals(step, wanted, before)
    with run.step("Setting the limits of its LUNs") as step:
        if not limits.apply(target, images_of(run), tell=step.command):
            step.already_done("they are as they should be")
    tell_server(run, target)
    run.point_of_no_return()
    if surplus := _surplus(before, wanted):
        with run.step("Taking addresses off that it has no more") as step:
            _drop(step, target, surplus)
            with run.atomic():
                portals.gone_from(target.node, surplus)


@undo(RESTORE)
def restore(run: TaskRun, *, target_id: int, wanted: dict[str, Any], before: dict[str, Any]) -> None:
    """It should be as before; addresses that were added for it go."""
    target = Target.objects.select_related("node").filter(pk=target_id).first()
    if target is None:
        return
    _give(run, target, before)
    outcome = reconcile(target_id, tell=lambda action: show(run, action))
    if outcome.error is not None:
        raise outcome.error
    _drop(run, target, _surplus(wanted, before))
    limits.apply(target, images_of(run), tell=run.command)


def _give(run: TaskRun, target: Target, settings: dict[str, Any]) -> None:
    try:
        with run.atomic():
            give(target, cast("Settings", settings))
            columns = {name: value for name, value in settings.items() if name != "portals"}
            announcing.save(target, **columns)
    except IntegrityError as error:
        raise JobFailed(
            "One of the addresses or users was taken or deleted meanwhile.", "Edit the target again."
        ) from error


def _tell_portals(step: Step, wanted: dict[str, Any], before: dict[str, Any]) -> None:
    if {place["address"] for place in wanted["portals"]} != {place["address"] for place in before["portals"]}:
        step.line("Its server starts anew with other addresses: initiators log in again")


def _surplus(old: dict[str, Any], new: dict[str, Any]) -> list[Place]:
    """Portals of Mooring's that are among the old ones only."""
    kept = {place["address"] for place in new["portals"]}
    return [place for place in old["portals"] if place["added"] and place["address"] not in kept]


def _drop(told: Step | TaskRun, target: Target, places: list[Place]) -> None:
    for place in places:
        facts = AddressFacts(place["address"], place["prefix"], place["interface"])
        for argv in remove_address(facts):
            told.command(argv)
        servers_on(target.node).remove_address(facts.address, facts.prefix, facts.interface)
