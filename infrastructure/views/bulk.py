"""Bulk actions: the bar above a list, the dialog with its preview, and the start.

GET infrastructure:bulk?action=stop&ve=1&ve=2 opens the dialog, POST to the same address starts.
"""

from dataclasses import fields
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from infrastructure.forms import LocationForm
from infrastructure.models import Node
from infrastructure.services import bulk as services
from infrastructure.services import bulk_nodes, migration
from infrastructure.services.bulk import ACTIONS, BulkAction, Move
from infrastructure.services.bulk_nodes import Done
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.services.migration import MigrationOptions
from infrastructure.views import bulk_preview
from infrastructure.views.actions import unfit_ves
from infrastructure.views.answers import put_error, refusal_answer, task_started
from infrastructure.views.bulk_forms import CHOOSE, BulkForm, BulkMigrateForm, BulkStopForm, form_for
from infrastructure.views.bulk_preview import Preview
from infrastructure.views.bulk_selection import Selection, chosen, pairs
from panel.accounts.permissions import can_anywhere, requires
from panel.accounts.scopes import visible
from panel.ui.format import count
from panel.ui.forms import Fields
from panel.ui.htmx import done, refused, render_page
from panel.ui.signed_in import user_of
from tasks.errors import TaskConflict

TYPES = {"ve": "infrastructure:ves", "node": "infrastructure:nodes"}
UNITS = {"bandwidth_mib": "MiB/s", "max_downtime_ms": "ms", "pause_limit_ms": "ms"}
NOT_OPTIONS = ("target", "at_most", "form", "place", "stop")


@requires("ve.operate")
@require_safe
def bulk_bar(request: HttpRequest) -> HttpResponse:
    """The actions for a selection with how many of it each fits, and what it would mean."""
    type = request.GET.get("of", "")
    if type not in TYPES:
        raise Http404("Nothing of this type can be selected.")
    selection = chosen(request, request.GET, type)
    actions = [action for action in ACTIONS.values() if action.type == type]
    actions = [action for action in actions if can_anywhere(user_of(request), action.permission)]
    context = {
        "actions": _offers(request, actions, selection),
        "effect": bulk_preview.selection_effect(selection),
        "gone": selection.gone,
        "count": len(selection.objects),
        "beyond": selection.beyond,
    }
    return render(request, "infrastructure/_bulk_actions.html", context)


def _offers(request: HttpRequest, actions: list[BulkAction], selection: Selection) -> list[tuple[BulkAction, str]]:
    """(action, why none of the selection can do it; empty when some can)."""
    user = user_of(request)
    if selection.type == "node":
        found = {action.key: bulk_preview.of_nodes(user, action, selection) for action in actions}
        reasons = {key: {line.object.pk: line.reason for line in (*p.able, *p.unable)} for key, p in found.items()}
    else:
        reasons = unfit_ves(user, selection.objects, [action.key for action in actions])
    return [(action, _common(reasons[action.key].values())) for action in actions]


def _common(reasons: Any) -> str:
    told = list(reasons)
    if not told or "" in told:
        return ""
    return told[0] if len(set(told)) == 1 else "None of the selected can do this now"


@requires("ve.operate")
@require_http_methods(["GET", "HEAD", "POST"])
def bulk(request: HttpRequest) -> HttpResponse:
    """GET: the dialog. POST: start; 422 with the dialog when a value or the selection cannot be accepted."""
    data = request.POST if request.method == "POST" else request.GET
    action = ACTIONS.get(data.get("action") or request.GET.get("action", ""))
    if action is None:
        raise Http404("There is no such action.")
    selection = chosen(request, data, action.type)
    if request.method == "POST":
        return _start(request, action, selection)
    if not can_anywhere(user_of(request), action.permission):
        raise PermissionDenied(f"Your role lacks the permission {action.permission}. Ask an administrator for it.")
    form = form_for(action, None, _nodes(request, action), initial=_initial(action, selection, request.GET))
    return _dialog(request, action, _preview(request, action, selection, request.GET), form)


def _nodes(request: HttpRequest, action: BulkAction) -> list[tuple[int, str]]:
    """The targets to choose from: those that this user may move VEs to."""
    nodes = visible(request.user, action.permission, Node.objects.order_by("name"))
    return list(nodes.values_list("pk", "name")) if action.key == "migrate" else []


def _initial(action: BulkAction, selection: Selection, data: QueryDict) -> dict[str, Any]:
    """What the dialog's fields begin with: the location that all selected nodes share, the target that was chosen."""
    if action.key == "location":
        names = ("room", "row", "rack")
        shared = {name: {getattr(node, name) for node in selection.objects} for name in names}
        return {name: values.pop() for name, values in shared.items() if len(values) == 1}
    if action.key == "migrate":
        return {"target": _target(data) or CHOOSE}
    return {}


def _target(data: QueryDict) -> int | None:
    asked = data.get("target", "")
    return int(asked) if asked.isdecimal() and int(asked) != CHOOSE else None


def _preview(
    request: HttpRequest, action: BulkAction, selection: Selection, data: QueryDict, given: dict[int, int] | None = None
) -> Preview:
    if action.type == "node":
        return bulk_preview.of_nodes(user_of(request), action, selection)
    may_stop = "stop" in data
    return bulk_preview.of_ves(
        user_of(request), action, selection, target_id=_target(data), given=given, may_stop=may_stop
    )


def _start(request: HttpRequest, action: BulkAction, selection: Selection) -> HttpResponse:
    form = form_for(action, request.POST, _nodes(request, action))
    back = reverse(TYPES[action.type])
    if form is None or form.is_valid():
        try:
            return _act(request, action, selection, form)
        except InvalidInput as error:
            if form is None:
                return refusal_answer(request, error, back)
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, back)
    if form is not None:
        form.mark_errors()
    return _dialog(request, action, _preview(request, action, selection, request.POST), form, status=422)


def _act(request: HttpRequest, action: BulkAction, selection: Selection, form: Fields | None) -> HttpResponse:
    user = user_of(request)
    if isinstance(form, BulkMigrateForm):
        return _migrate(request, selection, form)
    if isinstance(form, BulkForm):
        task = services.start_power(
            user=user,
            action=action.key,
            ves=selection.objects,
            at_most=form.cleaned_data["at_most"],
            force_after=form.force_after if isinstance(form, BulkStopForm) else None,
            form=form.token,
            request=request,
        )
        return task_started(request, task)
    if isinstance(form, LocationForm):
        found = bulk_nodes.set_location(user=user, nodes=selection.objects, request=request, **form.cleaned_data)
        return _told(request, found, "The location of {} is saved.")
    entering = action.key == "enter_maintenance"
    found = bulk_nodes.set_maintenance(user=user, nodes=selection.objects, enabled=entering, request=request)
    return _told(request, found, "{} in maintenance." if entering else "{} no longer in maintenance.")


def _told(request: HttpRequest, found: Done, words: str) -> HttpResponse:
    """What was changed, and why the rest was not."""
    back = reverse("infrastructure:nodes")
    causes = " ".join(f"{reason.rstrip('.')}." for _, reason in found.refused[:5])
    if not found.changed:
        return refused(request, "No node was changed.", causes or "Select others.", back)
    who = count(len(found.changed), "node")
    verb = "" if words.startswith("The") else " is" if len(found.changed) == 1 else " are"
    text = f"{words.format(who + verb)} {causes}".strip()
    return done(request, text, back, {"nodes": [node.pk for node in found.changed]})


def _migrate(request: HttpRequest, selection: Selection, form: BulkMigrateForm) -> HttpResponse:
    """Start the moves that were shown; where one of them is no longer possible, show what is instead."""
    user = user_of(request)
    services.authorize_all(user=user, action=ACTIONS["migrate"], objects=selection.objects, request=request)
    shown = pairs(form.cleaned_data["place"]) if form.cleaned_data["target"] == CHOOSE else {}
    preview = _preview(request, ACTIONS["migrate"], selection, request.POST, given=shown or None)
    if preview.unable:
        first = preview.unable[0]
        raise InvalidInput(
            f"{first.object}: {first.reason}", advice="Look at what would go where now, then start it again."
        )
    names = {each.name for each in fields(MigrationOptions)}
    options = MigrationOptions(**{name: value for name, value in form.cleaned_data.items() if name in names})
    task = services.start_migrations(
        user=user,
        moves=[
            Move(line.object, line.target, migration.moves_live(line.object))
            for line in preview.able
            if line.target is not None
        ],
        at_most=form.cleaned_data["at_most"],
        options=options,
        form=form.token,
        request=request,
    )
    return task_started(request, task)


def _dialog(
    request: HttpRequest, action: BulkAction, preview: Preview, form: Fields | None, status: int = 200
) -> HttpResponse:
    context = {
        "tree_selected": "root",
        "action": action,
        "preview": preview,
        "form": form,
        "back": reverse(TYPES[action.type]),
        "form_template": f"infrastructure/_bulk_{_form_key(action)}.html",
        "target": _target(request.POST if request.method == "POST" else request.GET) or CHOOSE,
        "oob": getattr(request, "htmx", None) and request.htmx.target == "bulk-preview",  # type: ignore[attr-defined]
        "options": [(form[name], UNITS.get(name, "")) for name in form.fields if name not in NOT_OPTIONS]
        if isinstance(form, BulkMigrateForm)
        else [],
    }
    return render_page(
        request, "infrastructure/bulk.html", context, regions=("bulk-preview",), fallback="dialog", status=status
    )


def _form_key(action: BulkAction) -> str:
    if action.key in ("migrate", "stop", "location"):
        return action.key
    return "power" if action.type == "ve" else "plain"
