"""The dialogs about a LUN and its snapshots. Each says what its initiators will notice."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from iscsi.choices import Stage
from iscsi.forms import AttachForm, GrowForm, SnapshotForm, Typed
from iscsi.models import Lun, Snapshot, Target
from iscsi.services import luns
from iscsi.views.dialogs import Dialog, Nothing, answer, posted
from iscsi.views.luns import find_lun
from iscsi.views.target_dialogs import connected
from panel.accounts.permissions import requires
from panel.ui.format import space
from panel.ui.signed_in import user_of
from tasks.models import Task

GIB = 1 << 30


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def lun_grow(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: make it larger."""
    lun = find_lun(pk)
    dialog = Dialog(
        title=f"Grow {lun}",
        icon="arrows-maximize",
        button=f"Grow {lun}",
        back=_page(lun),
        fact="Initiators find the LUN not ready for about a second, and see the size after a rescan.",
        follows=f"It has {space(lun.size)} now, and cannot shrink later.",
    )
    form = GrowForm(posted(request), initial={"size": lun.size // GIB + 1})
    return answer(
        request,
        dialog,
        form,
        lambda entered: luns.grow(user=user_of(request), lun=lun, size_gib=entered["size"], request=request),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def lun_snapshot(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: take a snapshot."""
    lun = find_lun(pk)
    dialog = Dialog(
        title=f"Take a snapshot of {lun}",
        icon="camera",
        button="Take snapshot",
        back=_page(lun),
        fact="Initiators notice nothing.",
        follows="It holds what they have written until then. What lies only in their memory is not in it: have them "
        "write it out first.",
    )
    return answer(
        request,
        dialog,
        SnapshotForm(posted(request)),
        lambda entered: luns.take_snapshot(user=user_of(request), lun=lun, name=entered["name"], request=request),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def lun_detach(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: take it off its target."""
    lun = find_lun(pk)
    dialog = Dialog(
        title=f"Detach {lun}",
        icon="plug-connected-x",
        button=f"Detach {lun}",
        back=_page(lun),
        fact="Initiators lose this disk at once; the target's other LUNs stay.",
        follows="Data and snapshots stay, and it can be attached to any target.",
        warning=_connected(lun),
    )
    return answer(
        request,
        dialog,
        Nothing(posted(request)),
        lambda _entered: luns.detach(user=user_of(request), lun=lun, request=request),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def lun_attach(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: have a target show it."""
    lun = find_lun(pk)
    targets = list(Target.objects.filter(stage=Stage.READY).select_related("node"))
    dialog = Dialog(
        title=f"Attach {lun}",
        icon="plug-connected",
        button=f"Attach {lun}",
        back=_page(lun),
        fact="Whoever may log in to the target can read and change all that lies on the LUN.",
        follows="Initiators that are connected see it after a rescan.",
        warning="" if targets else "There is no target that is ready.",
    )

    def call(entered: dict[str, str]) -> Task:
        target = next(target for target in targets if str(target.pk) == entered["target"])
        number = int(entered["number"])
        return luns.attach(user=user_of(request), lun=lun, target=target, number=number, request=request)

    form = AttachForm(posted(request), targets=targets, initial={"number": lun.number or 1})
    return answer(request, dialog, form, call)


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def lun_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog, in which it is typed what is destroyed. POST: delete it."""
    lun = find_lun(pk)
    dialog = Dialog(
        title=f"Delete {lun}",
        icon="trash",
        button=f"Delete {lun}",
        back=_page(lun),
        fact=f"All its data is destroyed: {space(lun.size)}, and every snapshot.",
        follows="Initiators lose this disk at once." if lun.target else "",
        warning=_connected(lun),
        typed=luns.words_of(lun),
        danger=True,
        leaves=True,
    )
    return answer(
        request,
        dialog,
        Typed(posted(request)),
        lambda entered: luns.delete(
            user=user_of(request), lun=lun, confirmation=entered["confirmation"], request=request
        ),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def snapshot_roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog, in which its name is typed. POST: roll the LUN back to it."""
    snapshot, lun = _find(pk)
    size = "" if snapshot.size == lun.size else f" The LUN has {space(snapshot.size)} again."
    dialog = Dialog(
        title=f"Roll {lun} back",
        icon="history",
        button=f"Roll back to {snapshot}",
        back=_page(lun),
        fact=f"All that was written since {snapshot} is lost.",
        follows=f"Meanwhile the target does not show the LUN; initiators must have stopped using it, for they know "
        f"nothing of the change.{size}",
        warning=_connected(lun),
        typed=snapshot.name,
        danger=True,
    )
    return answer(
        request,
        dialog,
        Typed(posted(request)),
        lambda entered: luns.roll_back(
            user=user_of(request),
            lun=lun,
            name=snapshot.name,
            confirmation=entered["confirmation"],
            request=request,
        ),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def snapshot_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: delete a snapshot."""
    snapshot, lun = _find(pk)
    dialog = Dialog(
        title=f"Delete snapshot {snapshot}",
        icon="trash",
        button=f"Delete {snapshot}",
        back=_page(lun),
        fact=f"{lun} cannot be rolled back to it any more.",
        follows="Initiators notice nothing.",
        danger=True,
    )
    return answer(
        request,
        dialog,
        Nothing(posted(request)),
        lambda _entered: luns.drop_snapshot(user=user_of(request), lun=lun, name=snapshot.name, request=request),
    )


def _find(pk: int) -> tuple[Snapshot, Lun]:
    snapshot = get_object_or_404(Snapshot, pk=pk)
    return snapshot, find_lun(snapshot.lun_id)


def _connected(lun: Lun) -> str:
    return connected(lun.target) if lun.target is not None else ""


def _page(lun: Lun) -> str:
    return reverse("iscsi:lun", args=[lun.pk])
