"""CHAP users: the list, adding, another password, removing."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from iscsi.forms import SecretForm, UserForm
from iscsi.models import ChapUser, Target
from iscsi.services import users
from iscsi.views.dialogs import Dialog, Nothing, answer, posted
from iscsi.views.look import action, page_context, refusal, tabs
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from panel.ui.signed_in import user_of

LIST = "iscsi:users"


@requires("iscsi.view")
@require_safe
def user_list(request: HttpRequest) -> HttpResponse:
    """GET /iscsi/users/."""
    refused = refusal(request)
    used: dict[int, dict[str, int]] = {}
    for name, pk, chap, mutual in Target.objects.values_list("name", "pk", "chap_user_id", "mutual_user_id"):
        for user in (chap, mutual):
            if user is not None:
                used.setdefault(user, {})[name] = pk
    rows = [
        {
            "user": user,
            "targets": sorted(used.get(user.pk, {}).items()),
            "secret": action("secret", "Change password…", "key", "user_secret", user.pk, refused),
            "remove": action("remove", "Remove…", "trash", "user_remove", user.pk, refused or _in_use(used, user)),
        }
        for user in ChapUser.objects.all()
    ]
    add = action("add", "Add user", "plus", "user_add", reason=refused)
    context = page_context(request, "CHAP users") | {"tabs": tabs(LIST), "add": add, "rows": rows}
    return render_page(request, "iscsi/users.html", context, regions=("page-title", "users"))


def _in_use(used: dict[int, dict[str, int]], user: ChapUser) -> str:
    return f"Used by {', '.join(sorted(used[user.pk])[:5])}" if user.pk in used else ""


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def user_add(request: HttpRequest) -> HttpResponse:
    """GET: the dialog. POST: add the user; 422 with the dialog, which never holds the password."""
    dialog = Dialog(
        title="Add CHAP user",
        icon="key",
        button="Add user",
        back=reverse(LIST),
        fact="Initiators log in as this user at the targets that ask for it.",
        follows="Enter name and password at the initiator as well.",
        said="The user is added. Choose it at a target.",
    )

    def call(entered: dict[str, str]) -> None:
        users.create(user=user_of(request), name=entered["name"], secret=entered["secret"], request=request)

    return answer(request, dialog, UserForm(posted(request)), call)


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def user_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: another password, told to the servers by a task."""
    chap = get_object_or_404(ChapUser, pk=pk)
    names = [target.name for target in users.where_used(chap)]
    dialog = Dialog(
        title=f"Change password of {chap}",
        icon="key",
        button="Change password",
        back=reverse(LIST),
        fact="It counts for new logins; initiators that are connected stay.",
        follows="One whose connection breaks comes back only with the new password.",
        warning=f"Used by {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}." if names else "",
        said=f"The password of {chap} is changed.",
    )
    return answer(
        request,
        dialog,
        SecretForm(posted(request)),
        lambda entered: users.change_secret(
            user=user_of(request), chap=chap, secret=entered["secret"], request=request
        ),
    )


@requires("iscsi.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def user_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the dialog. POST: remove a user that no target asks for."""
    chap = get_object_or_404(ChapUser, pk=pk)
    names = [target.name for target in users.where_used(chap)]
    dialog = Dialog(
        title=f"Remove {chap}",
        icon="trash",
        button=f"Remove {chap}",
        back=reverse(LIST),
        fact="The name and its password are forgotten.",
        warning=f"Used by {', '.join(names[:5])}: choose another user there first." if names else "",
        danger=True,
        said=f"{chap} is removed.",
    )
    return answer(
        request,
        dialog,
        Nothing(posted(request)),
        lambda _entered: users.remove(user=user_of(request), chap=chap, request=request),
    )
