"""The Migrate dialog: targets from the database at once, the checks of the chosen one as a fragment."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from infrastructure.forms import MigrateForm
from infrastructure.models import VE, Node
from infrastructure.services import migration, preflight
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.services.migration import MigrationOptions
from infrastructure.services.preflight import Check, TargetSummary
from infrastructure.views.answers import put_error, refusal_answer, task_started
from infrastructure.views.ves import head_context
from panel.accounts.permissions import require, requires
from panel.ui import format as fmt
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of
from tasks.errors import TaskConflict

GLYPHS = {"passed": "ok", "warning": "warn", "failed": "crit", "unknown": "unreachable", "checking": "progress"}


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """A check as the dialog lists it; `fix` is empty where it would repeat the one above."""

    check: Check
    glyph: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one target, and what they add up to."""

    target: Node
    entries: list[ShownCheck]
    passed: int
    blocking: int
    pending: bool = False

    @property
    def tone(self) -> str:
        return "info" if self.pending else "crit" if self.blocking else "ok"

    @property
    def words(self) -> str:
        return "Checking" if self.pending else f"{self.passed} of {len(self.entries)}"

    @property
    def reason(self) -> str:
        """Why the move cannot be started now; empty when it can."""
        if self.pending:
            return f"The checks on {self.target} are running"
        if self.blocking:
            return f"{fmt.count(self.blocking, 'check')} on {self.target} did not pass"
        return ""


@requires("ve.migrate")
@require_http_methods(["GET", "HEAD", "POST"])
def ve_migrate(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: start the migration; 422 with the dialog when a value cannot be accepted."""
    ve = get_object_or_404(VE.objects.select_related("node", "migrating_to"), pk=pk)
    require(user_of(request), "ve.migrate", ve)
    targets = preflight.overview(ve)
    names = [(entry.node.pk, entry.node.name) for entry in targets]
    if request.method == "POST":
        return _start(request, ve, targets, MigrateForm(request.POST, nodes=names))
    first = next((entry for entry in targets if entry.state != "blocked"), None)
    form = MigrateForm(nodes=names, initial={"target": first.node.pk if first else None})
    return _dialog(request, ve, targets, form, first)


def _start(request: HttpRequest, ve: VE, targets: list[TargetSummary], form: MigrateForm) -> HttpResponse:
    chosen = next((entry for entry in targets if str(entry.node.pk) == request.POST.get("target")), None)
    if form.is_valid() and chosen is not None:
        values = {name: form.cleaned_data[name] for name in ("bandwidth_mib", "max_downtime_ms", "auto_converge")}
        options = MigrationOptions(**values)
        try:
            task = migration.start(
                user=user_of(request), ve=ve, target=chosen.node, live=True, options=options, request=request
            )
            return task_started(request, task)
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse("infrastructure:ve", args=[ve.pk]))
    form.mark_errors()
    return _dialog(request, ve, targets, form, chosen, status=422)


@requires("ve.migrate")
@require_safe
def ve_migrate_checks(request: HttpRequest, pk: int) -> HttpResponse:
    """The checks of one target, made now: both nodes are asked, each question for at most 3 s."""
    ve = get_object_or_404(VE.objects.select_related("node"), pk=pk)
    require(user_of(request), "ve.migrate", ve)
    number = request.GET.get("target", "")
    target = get_object_or_404(Node, pk=int(number) if number.isascii() and number.isdigit() else 0)
    context = {"ve": ve, "checks": _summed(target, preflight.run(ve, target, live=True))}
    return render(request, "infrastructure/ve_migrate.html#checks-answer", context)


def _summed(target: Node, checks: list[Check]) -> Checks:
    entries, said = [], ""
    for check in checks:
        fix = check.fix if check.state != "passed" and check.fix != said else ""
        entries.append(ShownCheck(check, GLYPHS[check.state], fix))
        said = check.fix or said
    passed = sum(check.state in ("passed", "warning") for check in checks)
    return Checks(target, entries, passed, len(preflight.blocking(checks)))


def _dialog(
    request: HttpRequest,
    ve: VE,
    targets: list[TargetSummary],
    form: MigrateForm,
    chosen: TargetSummary | None,
    status: int = 200,
) -> HttpResponse:
    states: Counter[str] = Counter(entry.state for entry in targets)
    pending = None
    if chosen is not None:
        entries = [ShownCheck(check, GLYPHS[check.state]) for check in preflight.planned()]
        pending = Checks(chosen.node, entries, 0, 0, pending=True)
    context: dict[str, Any] = {
        **head_context(request, ve, "summary"),
        "form": form,
        "targets": targets,
        "chosen": chosen,
        "checks": pending,
        "count_words": _count_words(len(targets), states),
    }
    return render_page(request, "infrastructure/ve_migrate.html", context, fallback="dialog", status=status)


def _count_words(total: int, states: Mapping[str, int]) -> str:
    parts = [f"{states['ready']} ready"]
    if states["warning"]:
        parts.append(f"{states['warning']} with warnings")
    if states["blocked"]:
        parts.append(f"{states['blocked']} blocked")
    return f"{fmt.count(total, 'node')}: {', '.join(parts)}"
