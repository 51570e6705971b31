"""Adding a LUN: number, size, and the policy with what it means now."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from infrastructure.services.errors import ServiceError
from infrastructure.views.answers import put_error
from iscsi.forms import LunForm
from iscsi.models import Target
from iscsi.services import luns
from iscsi.views.targets import find_target
from panel.accounts.permissions import requires
from panel.ui.htmx import go_to, render_page
from panel.ui.signed_in import user_of
from storage.views.look import look_at_cluster, page_context
from storage.views.picker import NOUNS, picker_for
from tasks.errors import TaskConflict

_ENTERED = ("number", "size", "name")
_SHOWN_WITHOUT_SCRIPT = (*_ENTERED, "tier", "mode", "domain")


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def lun_add(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the form, with what the address chooses. POST: add it, then its task's page; 422 when something is wrong.

    POST with `show`, from a page without script: the form again with what was chosen, by GET.
    """
    target = find_target(pk)
    if request.method != "POST":
        entered = {name: request.GET[name] for name in _ENTERED if request.GET.get(name)}
        free = luns.free_numbers(target)
        form = LunForm(initial={"number": free[0] if free else None, **entered})
        return _page(request, target, form, request.GET)
    if "show" in request.POST:
        chosen = QueryDict(mutable=True)
        chosen.update({name: request.POST[name] for name in _SHOWN_WITHOUT_SCRIPT if request.POST.get(name)})
        return HttpResponseRedirect(f"{reverse('iscsi:lun_add', args=[pk])}?{chosen.urlencode()}")
    form = LunForm(request.POST)
    if form.is_valid():
        wanted: dict[str, Any] = dict(form.cleaned_data)
        try:
            _lun, task = luns.add(
                user=user_of(request), target=target, size_gib=wanted.pop("size"), request=request, **wanted
            )
        except ServiceError as error:
            put_error(form, error)
        except TaskConflict as conflict:
            form.add_error(None, str(conflict))
        else:
            return go_to(request, reverse("tasks:detail", args=[task.pk]))
    return _page(request, target, form, request.POST, 422)


def _page(request: HttpRequest, target: Target, form: LunForm, chosen: QueryDict, status: int = 200) -> HttpResponse:
    if form.is_bound:
        form.mark_errors()
    look = look_at_cluster(request)
    picker = picker_for(look, chosen.dict() | {"noun": NOUNS[1]})
    context = page_context(request, f"Add LUN to {target}", look)
    context |= {"form": form, "picker": picker, "target": target}
    return render_page(request, "iscsi/lun_add.html", context, regions=("lun-add",), status=status)
