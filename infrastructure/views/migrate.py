"""The Migrate dialog: targets from the database at once, the checks of the chosen one as a fragment."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from infrastructure.forms import VEMigrateForm
from infrastructure.models import VE, Node
from infrastructure.services import migration, preflight
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.services.migration import MigrationOptions
from infrastructure.services.preflight import TargetSummary
from infrastructure.views.answers import put_error, refusal_answer, task_started
from infrastructure.views.finding import find_ve
from infrastructure.views.migrate_words import Mode, consequence, modes_of, shown, to_be_made
from infrastructure.views.ves import head_context
from panel.accounts.permissions import require, requires
from panel.accounts.scopes import visible
from panel.ui import format as fmt
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from tasks.errors import TaskConflict

OPTIONS = [field.name for field in fields(MigrationOptions)]


@requires("ve.migrate")
@require_http_methods(["GET", "HEAD", "POST"])
def ve_migrate(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: start the migration; 422 with the dialog when a value cannot be accepted.

    A GET with the dialog's own values shows it anew with them: what fits depends on the mode.
    """
    ve = find_ve(request, pk, "migrating_to")
    require(user_of(request), "ve.migrate", ve)
    posted = request.method == "POST"
    mode = _mode(ve, request.POST if posted else request.GET)
    targets = preflight.overview(ve, _targets(request).prefetch_related("networks"), live=mode == "live")
    names = [(entry.node.pk, entry.node.name) for entry in targets]
    if posted:
        return _start(request, ve, targets, VEMigrateForm(request.POST, nodes=names), mode)
    chosen = _chosen(targets, request.GET.get("target", ""))
    initial = {"target": chosen.node.pk if chosen else None, "mode": mode}
    form = VEMigrateForm(nodes=names, entered=request.GET, initial=initial)
    return _dialog(request, ve, targets, form, chosen, mode)


def _start(request: HttpRequest, ve: VE, targets: list[TargetSummary], form: VEMigrateForm, mode: Mode) -> HttpResponse:
    chosen = next((entry for entry in targets if str(entry.node.pk) == request.POST.get("target")), None)
    if form.is_valid() and chosen is not None:
        options = MigrationOptions(**{name: form.cleaned_data[name] for name in OPTIONS})
        try:
            task = migration.start(
                user=user_of(request),
                ve=ve,
                target=chosen.node,
                live=mode == "live",
                options=options,
                request=request,
            )
            return task_started(request, task)
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse("infrastructure:ve", args=[ve.pk]))
    form.mark_errors()
    return _dialog(request, ve, targets, form, chosen, mode, status=422)


@requires("ve.migrate")
@require_safe
def ve_migrate_checks(request: HttpRequest, pk: int) -> HttpResponse:
    """The checks of one target, made now: both nodes are asked, each question for at most 3 s."""
    ve = find_ve(request, pk)
    require(user_of(request), "ve.migrate", ve)
    number = request.GET.get("target", "")
    fits = number.isascii() and number.isdigit() and len(number) < 19
    target = get_object_or_404(_targets(request), pk=int(number) if fits else 0)
    mode = _mode(ve, request.GET)
    found = preflight.run(ve, target, live=mode == "live", copy_disks="copy_disks" in request.GET)
    context = {
        "ve": ve,
        "checks": shown(target, found),
        "consequence": consequence(ve, mode, request.GET, preflight.copies_of(found)),
    }
    return render(request, "infrastructure/ve_migrate.html#checks-answer", context)


def _targets(request: HttpRequest) -> QuerySet[Node]:
    """The nodes that this user may move VEs to."""
    return visible(request.user, "ve.migrate", Node.objects.all())


def _mode(ve: VE, entered: Mapping[str, Any]) -> Mode:
    """What was chosen; by default live where that can be."""
    if entered.get("mode") in ("live", "offline"):
        return "offline" if entered["mode"] == "offline" else "live"
    return "live" if migration.moves_live(ve) else "offline"


def _chosen(targets: list[TargetSummary], number: str) -> TargetSummary | None:
    """The target that was chosen before, if it can still be; else the best one."""
    able = [entry for entry in targets if entry.state != "blocked"]
    before = (entry for entry in able if str(entry.node.pk) == number)
    return next(before, able[0] if able else None)


def _dialog(
    request: HttpRequest,
    ve: VE,
    targets: list[TargetSummary],
    form: VEMigrateForm,
    chosen: TargetSummary | None,
    mode: Mode,
    status: int = 200,
) -> HttpResponse:
    states: Counter[str] = Counter(entry.state for entry in targets)
    entered = request.POST if request.method == "POST" else request.GET
    context: dict[str, Any] = {
        **head_context(request, ve, "summary"),
        "form": form,
        "mode": mode,
        "modes": modes_of(ve, mode, entered),
        "targets": targets,
        "chosen": chosen,
        "checks": to_be_made(chosen.node) if chosen else None,
        "consequence": consequence(ve, mode, entered, ()),
        "count_words": _count_words(len(targets), states),
        "kept": form.kept(mode),
    }
    return render_page(request, "infrastructure/ve_migrate.html", context, fallback="dialog", status=status)


def _count_words(total: int, states: Mapping[str, int]) -> str:
    parts = [f"{states['ready']} ready"]
    if states["warning"]:
        parts.append(f"{states['warning']} with warnings")
    if states["blocked"]:
        parts.append(f"{states['blocked']} blocked")
    return f"{fmt.count(total, 'node')}: {', '.join(parts)}"
