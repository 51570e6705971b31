"""What is done to a disk: the menu of its row, another tier, release."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from infrastructure.services.errors import InvalidInput, NotPossible, ServiceError
from infrastructure.services.preflight import Check
from infrastructure.views.actions import NO_ROLE, Action
from infrastructure.views.answers import put_error, refusal_answer, task_started
from infrastructure.views.migrate_words import GLYPHS
from panel.accounts.permissions import can, requires
from panel.ui.format import space
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from storage.forms import TierForm
from storage.models import Disk
from storage.overview import TierRow, tiers
from storage.services import disks
from storage.views.look import Look, look_at_cluster, page_context
from tasks.errors import TaskConflict
from tasks.models import TaskLock

BACK = "storage:disks"


@dataclass(frozen=True, slots=True)
class ShownChecks:
    """The checks of a dialog; `reason`: why it cannot be started now."""

    entries: Sequence[tuple[Check, str]]
    passed: int
    reason: str

    @property
    def tone(self) -> str:
        return "crit" if self.reason else "ok"


@requires("storage.view")
@require_safe
def disk_menu(request: HttpRequest, number: int) -> HttpResponse:
    """The items of a row's menu, fetched when it is opened."""
    _look, disk = find_disk(request, number)
    context = {"actions": list(disk_actions(request, disk)), "name": str(disk)}
    return render(request, "components/_menu_items.html", context)


def disk_actions(request: HttpRequest, disk: Disk) -> list[Action]:
    """What this user may do with the disk now; what does not fit stays, with its reason."""
    refused = "" if can(user_of(request), disks.PERMISSION) else NO_ROLE
    if not refused:
        holder = TaskLock.objects.filter(key=f"disk:{disk.pk}").values_list("task", "task__title")[:1]
        refused = "".join(f"Task {pk} is running: {title}" for pk, title in holder)
    here = {name: reverse(f"storage:{name}", args=[disk.number]) for name in ("disk_tier", "disk_release")}
    tier = refused or ("" if disk.up and disk.taken else f"{disk} is not in use")
    leave = "Release…" if disk.up or disk.starting else "Remove failed disk…"
    return [
        Action("tier", "Change tier…", "arrows-exchange", here["disk_tier"], "dialog", tier),
        Action("release", leave, "trash", here["disk_release"], "dialog", refused, True),
    ]


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def disk_tier(request: HttpRequest, number: int) -> HttpResponse:
    """GET: the dialog with its checks. POST: start the move; 422 with the dialog when the tier cannot be accepted."""
    look, disk = find_disk(request, number)
    form = TierForm(request.POST if request.method == "POST" else None, initial={"tier": _other(disk)})
    if request.method != "POST":
        return _tier_dialog(request, look, disk, form)
    if form.is_valid():
        tier = form.cleaned_data["tier"]
        try:
            return task_started(
                request, disks.change_tier(user=user_of(request), disk=disk, tier=tier, request=request)
            )
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse(BACK))
    form.mark_errors()
    return _tier_dialog(request, look, disk, form, 422)


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def disk_release(request: HttpRequest, number: int) -> HttpResponse:
    """GET: the dialog with its checks and what follows. POST: start the release."""
    look, disk = find_disk(request, number)
    if request.method == "POST":
        try:
            return task_started(request, disks.release(user=user_of(request), disk=disk, request=request))
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse(BACK))
    checks = _checks(look, disk, release=True)
    return _dialog(request, "storage/disk_release.html", look, disk, checks, consequence=_release_words(disk))


def find_disk(request: HttpRequest, number: int) -> tuple[Look, Disk]:
    """What every page about one disk begins with. Raises Http404."""
    look = look_at_cluster(request)
    disk = next((each for each in look.disks if each.number == number), None) if look else None
    if look is None or disk is None:
        raise Http404("There is no such disk.")
    return look, disk


def _other(disk: Disk) -> int:
    """The tier that the dialog begins with."""
    return 2 if disk.tier == 1 else 1


def _tier_dialog(request: HttpRequest, look: Look, disk: Disk, form: TierForm, status: int = 200) -> HttpResponse:
    choices: tuple[TierRow, ...] = tiers(look.facts) if look.facts else ()
    more = {
        "form": form,
        "choices": [row for row in choices if row.tier is not None],
        "chosen": str(form["tier"].value()),
        "consequence": _tier_words(disk),
    }
    return _dialog(request, "storage/disk_tier.html", look, disk, _checks(look, disk, release=False), status, **more)


def _dialog(
    request: HttpRequest,
    template: str,
    look: Look,
    disk: Disk,
    checks: ShownChecks,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    context = page_context(request, str(disk), look) | {"disk": disk, "checks": checks} | more
    return render_page(request, template, context, fallback="dialog", status=status)


def _checks(look: Look, disk: Disk, *, release: bool) -> ShownChecks:
    """The checks by the last look; the task makes them again."""
    if look.facts is None or not look.current:
        why = Check("answers", "Figures", "unknown", f"{look.cluster.name} does not answer, so nothing can be checked")
        found = [why]
    else:
        try:
            found = disks.release_checks(look.facts, disk) if release else disks.tier_checks(look.facts, disk)
        except NotPossible as gone:
            found = [Check("disk", "Disk", "failed", gone.message, gone.advice)]
    passed = sum(check.state in ("passed", "warning") for check in found)
    return ShownChecks([(check, GLYPHS[check.state]) for check in found], passed, disks.blocking(found))


def _tier_words(disk: Disk) -> str:
    return (
        f"Moves up to {space(disk.used)} online. Every chunk stays active; reads and writes may be slower meanwhile. "
        "Cancelling gives the disk its tier back."
    )


def _release_words(disk: Disk) -> str:
    if not disk.up:
        return f"{disk} is forgotten once nothing is missing without it. What lies on the disk is not read again."
    return (
        f"Moves {space(disk.used)} to other disks, then stops the service and removes it. The disk's content is lost."
    )
