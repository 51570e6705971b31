"""Datastores: the list, one of them, adding and removing."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from infrastructure.models import VE, Node
from infrastructure.services.errors import InvalidInput, ServiceError
from infrastructure.views.actions import NO_ROLE, Action
from infrastructure.views.answers import put_error, refusal_answer
from infrastructure.views.performance import recent_tasks
from panel.accounts.permissions import can, requires
from panel.accounts.scopes import visible
from panel.ui.forms import Fields
from panel.ui.htmx import go_to, render_page
from panel.ui.signed_in import user_of
from panel.ui.tables import Empty
from storage.choices import Use
from storage.datastore_tables import DatastoreTable, Known, datastore_rows, node_rows, other_pools, with_nodes
from storage.models import Datastore
from storage.services import datastores
from storage.services.promises import promise
from storage.views.look import Look, add_datastore, look_at_cluster, page_context
from storage.views.picker import picker_for
from tasks.errors import TaskConflict
from tasks.models import TaskLock

LIST = "storage:datastores"
MOST_NAMED = 12
_POLICY = ("tier", "mode", "domain")
_SHOWN_WITHOUT_SCRIPT = ("name", "use", *_POLICY)


class DatastoreForm(Fields):
    """Name and use; the policy's fields are the picker's."""

    name = forms.CharField(label="Name", max_length=39, help_text="Small letters, digits and hyphens")
    use = forms.ChoiceField(
        label="Use",
        choices=[(use.value, use.label) for use in datastores.USES],
        initial=Use.VM,
        help_text="What it holds",
    )
    tier = forms.TypedChoiceField(coerce=int, choices=[(number, "") for number in range(4)])
    mode = forms.CharField(max_length=10, error_messages={"required": "Choose how the data is protected."})
    domain = forms.CharField(max_length=8, error_messages={"required": "Choose a failure domain."})

    def refusals(self) -> list[str]:
        """What is wrong with the policy."""
        return [str(text) for name in _POLICY for text in self.errors.get(name, [])]


class RemoveForm(Fields):
    """The name, typed, since data would be destroyed if the datastore were not empty."""

    confirmation = forms.CharField(label="Name of the datastore", max_length=60)


@requires("storage.view")
@require_safe
def datastore_list(request: HttpRequest) -> HttpResponse:
    """GET /storage/datastores/."""
    look = look_at_cluster(request)
    context = page_context(request, "Datastores", look) | {"add": add_datastore(request, look, "add", "Add datastore")}
    if look is not None:
        every = look.cluster.datastores.all()  # its facts are long: they are not read with each row
        found = list(every.values_list("pool", "data_pool", "use"))
        names = [(pool, data_pool) for pool, data_pool, _use in found]
        shown = sum(use != Use.LUN for _pool, _data_pool, use in found)
        rows = with_nodes(every.exclude(use=Use.LUN))
        table = DatastoreTable(request, rows, context=_known(look), unfiltered=shown)
        context |= {
            "table": table,
            "updated": look.cluster.observed_at,
            "empty": _empty(request),
            "others": other_pools(look.facts, names) if look.facts is not None else [],
        }
    regions = ("page-title", DatastoreTable.region, "other-pools")
    return render_page(request, "storage/datastores.html", context, regions=regions)


def _known(look: Look) -> Known:
    return Known(look.facts, look.current, look.figures)


def _empty(request: HttpRequest) -> Empty:
    text = "A datastore is a named place for disks of VMs or for files, with one storage policy. Every node can use it."
    may = can(user_of(request), datastores.PERMISSION)
    return Empty(
        "No datastores", text, "stack-2", ("Add datastore", reverse("storage:datastore_add")) if may else ("", "")
    )


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def datastore_add(request: HttpRequest) -> HttpResponse:
    """GET: the form, with what the address chooses. POST: create it, then its page; 422 when something is wrong.

    POST with `show`, from a page without script: the form again with what was chosen, by GET.
    """
    if request.method != "POST":
        entered = {name: request.GET[name] for name in ("name", "use") if request.GET.get(name)}
        return _add_form(request, DatastoreForm(initial=entered), request.GET)
    if "show" in request.POST:
        chosen = QueryDict(mutable=True)
        chosen.update({name: request.POST[name] for name in _SHOWN_WITHOUT_SCRIPT if request.POST.get(name)})
        return HttpResponseRedirect(f"{reverse('storage:datastore_add')}?{chosen.urlencode()}")
    form = DatastoreForm(request.POST)
    look = look_at_cluster(request)
    if form.is_valid() and look is not None:
        try:
            _datastore, task = datastores.create(
                user=user_of(request), cluster=look.cluster, request=request, **form.cleaned_data
            )
        except ServiceError as error:
            put_error(form, error)
        except TaskConflict as conflict:
            form.add_error(None, str(conflict))
        else:
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    return _add_form(request, form, request.POST, 422)


def _add_form(request: HttpRequest, form: DatastoreForm, chosen: QueryDict, status: int = 200) -> HttpResponse:
    if form.is_bound:
        form.mark_errors()
    look = look_at_cluster(request)
    picker = picker_for(look, chosen.dict())
    context = page_context(request, "Add datastore", look) | {"form": form, "picker": picker}
    return render_page(request, "storage/datastore_add.html", context, regions=("datastore-add",), status=status)


@requires("storage.view")
@require_safe
def datastore_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """GET /storage/datastores/3/."""
    datastore, look = _find(pk), look_at_cluster(request)
    if look is None:
        raise Http404("There is no storage cluster.")
    [row] = datastore_rows([datastore], _known(look))
    context = page_context(request, datastore.name, look) | {
        "row": row,
        "datastore": datastore,
        "promise": promise(row.policy),
        "remove": _remove_action(request, datastore),
        "nodes": node_rows(datastore, visible(request.user, "infrastructure.view", Node.objects.all())),
        "ves": _users(request, datastore),
        "tasks": recent_tasks("datastore", datastore.pk),
    }
    return render_page(request, "storage/datastore.html", context, regions=("page-title", "tab-panel"))


@dataclass(frozen=True, slots=True)
class Users:
    """The VEs with disks on a datastore: the first of them, and how many more there are."""

    ves: list[VE]
    more: int

    @property
    def total(self) -> int:
        return len(self.ves) + self.more


def _users(request: HttpRequest, datastore: Datastore) -> Users:
    found = list(visible(request.user, "infrastructure.view", datastores.users_of(datastore)))
    return Users(found[:MOST_NAMED], max(0, len(found) - MOST_NAMED))


def _find(pk: int) -> Datastore:
    found = with_nodes(Datastore.objects.select_related("cluster").exclude(use=Use.LUN))
    datastore = found.filter(pk=pk).first()
    if datastore is None:
        raise Http404("There is no such datastore.")
    return datastore


def _remove_action(request: HttpRequest, datastore: Datastore) -> Action:
    reason = "" if can(user_of(request), datastores.PERMISSION) else NO_ROLE
    if not reason:
        holder = TaskLock.objects.filter(key=f"datastore:{datastore.pk}").values_list("task", "task__title")[:1]
        reason = "".join(f"Task {number} is running: {title}" for number, title in holder)
    url = reverse("storage:datastore_remove", args=[datastore.pk])
    return Action("remove", "Remove…", "trash", url, "dialog", reason, danger=True)


@requires("storage.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def datastore_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog, in which its name is typed. POST: start removing it; 422 with the dialog when it was not."""
    datastore = _find(pk)
    if request.method != "POST":
        return _remove_dialog(request, datastore, RemoveForm())
    form = RemoveForm(request.POST)
    if form.is_valid():
        typed = form.cleaned_data["confirmation"]
        try:
            task = datastores.remove(user=user_of(request), datastore=datastore, confirmation=typed, request=request)
        except InvalidInput as error:
            put_error(form, error)
        except (TaskConflict, ServiceError) as refusal:
            return refusal_answer(request, refusal, reverse("storage:datastore", args=[pk]))
        else:  # to its task, for the datastore's own page is about to go
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    return _remove_dialog(request, datastore, form, 422)


def _remove_dialog(request: HttpRequest, datastore: Datastore, form: RemoveForm, status: int = 200) -> HttpResponse:
    if form.is_bound:
        form.mark_errors()
    look = look_at_cluster(request)
    [row] = datastore_rows([datastore], _known(look)) if look is not None else [None]
    context: dict[str, Any] = page_context(request, datastore.name, look)
    context |= {"datastore": datastore, "row": row, "form": form, "remove": _remove_action(request, datastore)}
    context["ves"] = _users(request, datastore)
    return render_page(request, "storage/datastore_remove.html", context, fallback="dialog", status=status)
