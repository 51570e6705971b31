"""The column chooser and the dialogs of saved views. All of it is about one list, named by its region."""

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from panel.accounts.permissions import can, requires
from panel.preferences import services
from panel.preferences.forms import ViewForm
from panel.preferences.models import SavedView
from panel.preferences.services import InvalidView
from panel.ui.columns import chosen_columns, moved
from panel.ui.htmx import is_fragment, render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Table, table_named


@requires("account.self")
@require_POST
def columns(request: HttpRequest, table: str) -> HttpResponse:
    """Keep the checked `columns`, after `move` ("cpu:up"), or forget the choice (`reset`)."""
    declared = _table(table)
    user = user_of(request)
    if "reset" in request.POST:
        services.reset_columns(user=user, table=table)
    else:
        chosen = chosen_columns(declared.columns, request.POST.getlist("columns"))
        key, _, where = request.POST.get("move", "").partition(":")
        chosen = moved(chosen, key, -1 if where == "up" else 1) if where in ("up", "down") else chosen
        services.choose_columns(user=user, table=table, columns=[column.key for column in chosen])
    return _back_to_list(request, table, leave="overridden" in request.POST)


@requires("account.self")
@require_safe
def view_list(request: HttpRequest, table: str) -> HttpResponse:
    """The dialog that renames, shares and deletes views."""
    return _manage(request, table)


@requires("account.self")
@require_http_methods(["GET", "HEAD", "POST"])
def view_add(request: HttpRequest, table: str) -> HttpResponse:
    """GET: the dialog that asks for a name. POST: save `query` under it; 422 with the dialog when that cannot be."""
    _table(table)
    if request.method != "POST":
        form = ViewForm(initial={"query": request.GET.get("query", ""), "next": request.GET.get("next", "")})
        return _add_dialog(request, table, form)
    form = ViewForm(request.POST)
    if form.is_valid():
        values = {name: form.cleaned_data[name] for name in ("name", "query", "shared")}
        try:
            view = services.save_view(user=user_of(request), table=table, request=request, **values)
        except InvalidView as refusal:
            form.add_error("name", str(refusal))
        else:
            return _back_to_list(request, table, note=f"The view {view.name} is saved.")
    return _add_dialog(request, table, form, status=422)


@requires("account.self")
@require_POST
def view_change(request: HttpRequest, table: str, pk: int) -> HttpResponse:
    """Rename or share a view; the dialog comes back."""
    view = _view(request, table, pk)
    try:
        services.change_view(
            user=user_of(request),
            view=view,
            name=request.POST.get("name", ""),
            shared="shared" in request.POST,
            request=request,
        )
    except InvalidView as refusal:
        return _manage(request, table, wrong=(pk, request.POST.get("name", ""), str(refusal)), status=422)
    return _manage(request, table, said=f"The view {view.name} is saved.", changed=True)


@requires("account.self")
@require_POST
def view_delete(request: HttpRequest, table: str, pk: int) -> HttpResponse:
    """Delete a view; the dialog comes back."""
    view = _view(request, table, pk)
    services.delete_view(user=user_of(request), view=view, request=request)
    return _manage(request, table, said=f"The view {view.name} is deleted.", changed=True)


def _table(region: str) -> type[Table]:
    found = table_named(region)
    if found is None:
        raise Http404("There is no list of that name.")
    return found


def _view(request: HttpRequest, table: str, pk: int) -> SavedView:
    """The view, where this user sees it at all; 404 else, so that nobody learns the names of others' views."""
    _table(table)
    view = get_object_or_404(SavedView, pk=pk, table=table)
    if not view.shared and view.owner_id != user_of(request).pk:
        raise Http404("There is no such view.")
    return view


def _manage(
    request: HttpRequest,
    table: str,
    *,
    said: str = "",
    wrong: tuple[int, str, str] | None = None,
    changed: bool = False,
    status: int = 200,
) -> HttpResponse:
    declared = _table(table)
    user = user_of(request)
    lines = []
    for view in services.views_for(user, table):
        error, entered = ("", view.name) if wrong is None or wrong[0] != view.pk else (wrong[2], wrong[1])
        lines.append({"view": view, "name": entered, "error": error, "may": services.may_manage(user, view)})
    context = {**_context(request, table, declared), "lines": lines, "said": said}
    response = render_page(request, "preferences/views.html", context, fallback="dialog", status=status)
    if changed:
        response["HX-Trigger"] = json.dumps({"mooring:list": {"region": table}})
    return response


def _add_dialog(request: HttpRequest, table: str, form: ViewForm, status: int = 200) -> HttpResponse:
    form.mark_errors()
    context = {**_context(request, table, _table(table)), "form": form}
    return render_page(request, "preferences/view_add.html", context, fallback="dialog", status=status)


def _context(request: HttpRequest, table: str, declared: type[Table]) -> dict[str, Any]:
    return {
        "region": table,
        "label": declared.label,
        "may_share": can(user_of(request), services.SHARE),
        "next": _local(request, request.POST.get("next") or request.GET.get("next", "")),
    }


def _local(request: HttpRequest, address: str) -> str:
    """An address of this panel; its first page instead of any other."""
    fits = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if fits and address.startswith("/") else "/"


def _back_to_list(request: HttpRequest, table: str, *, note: str = "", leave: bool = False) -> HttpResponse:
    """Have the list read again; `leave` its address for the one of `next`, which names no columns."""
    address = _local(request, request.POST.get("next", ""))
    if not is_fragment(request):
        return HttpResponseRedirect(address)
    response = HttpResponse(status=204)
    if leave:
        response["HX-Location"] = json.dumps({"path": address, "target": f"#{table}", "swap": "morph"})
        return response
    events: dict[str, Any] = {"mooring:list": {"region": table}}
    if note:
        events |= {"mooring:done": {}, "mooring:note": {"tone": "ok", "text": note}}
    response["HX-Trigger"] = json.dumps(events)
    return response
