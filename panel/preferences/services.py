"""Reading and writing of what a user prefers. Column choices are nobody else's business; shared views are audited."""

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.http import HttpRequest, QueryDict

from panel.accounts.models import User
from panel.accounts.permissions import can, require
from panel.audit.services import record
from panel.preferences.models import LONGEST_NAME, LONGEST_QUERY, ColumnChoice, SavedView

SHARE = "view.share"
MOST_VIEWS = 50  # of one user and list
_PASSING = ("page", "csrfmiddlewaretoken")  # parts of an address that say where one is, not what one looks at


class InvalidView(Exception):
    """The view cannot be saved like that; the text says why and what to do."""


def columns_of(user: object, table: str) -> tuple[str, ...] | None:
    """The keys this user chose for the list, in order; None when there is no choice."""
    if not isinstance(user, User):
        return None
    chosen = ColumnChoice.objects.filter(user=user, table=table).values_list("columns", flat=True).first()
    return tuple(key for key in chosen if isinstance(key, str)) if isinstance(chosen, list) else None


def choose_columns(*, user: User, table: str, columns: Sequence[str]) -> None:
    """Keep the columns; the caller has checked that the list has them."""
    ColumnChoice.objects.update_or_create(user=user, table=table, defaults={"columns": list(columns)})


def reset_columns(*, user: User, table: str) -> None:
    """Go back to the list's own default."""
    ColumnChoice.objects.filter(user=user, table=table).delete()


def views_for(user: object, table: str) -> list[SavedView]:
    """The user's own views of a list, then the shared ones of others, each by name: one query."""
    if not isinstance(user, User):
        return []
    mine = Q(owner=user)
    found = SavedView.objects.filter(mine | Q(shared=True), table=table).annotate(owner_name=F("owner__username"))
    return sorted(found, key=lambda view: (view.owner_id != user.pk, view.name.lower(), view.pk))


def may_manage(user: User, view: SavedView) -> bool:
    """One's own views; those that are shared also by whoever may share."""
    return view.owner_id == user.pk or (view.shared and can(user, SHARE))


def save_view(
    *, user: User, table: str, name: str, query: str, shared: bool, request: HttpRequest | None = None
) -> SavedView:
    """Save an address under a name. Raises InvalidView, and PermissionDenied when it is to be shared without the right.

    query: the part behind the "?" of the list's address; the page number is left out.
    """
    if shared:
        _require_share(user, "view.add", None, request)
    name = _clean_name(name)
    query = clean_query(query)
    if SavedView.objects.filter(owner=user, table=table).count() >= MOST_VIEWS:
        raise InvalidView(f"{MOST_VIEWS} views of this list are saved already. Delete one that is no longer needed.")
    view = SavedView(owner=user, table=table, name=name, query=query, shared=shared)
    _write(view)
    if shared:
        record(action="view.share", actor=user, request=request, target=view, detail=f"{table}?{query}")
    return view


def change_view(*, user: User, view: SavedView, name: str, shared: bool, request: HttpRequest | None = None) -> None:
    """Rename a view, share it or end that. Raises InvalidView, PermissionDenied."""
    if not may_manage(user, view) or shared != view.shared:
        _require_share(user, "view.change", view, request)
    was_shared, view.shared = view.shared, shared
    view.name = _clean_name(name)
    _write(view)
    if shared or was_shared:
        action = "view.share" if shared else "view.unshare"
        record(action=action, actor=user, request=request, target=view, detail=f"{view.table}?{view.query}")


def delete_view(*, user: User, view: SavedView, request: HttpRequest | None = None) -> None:
    """Delete a view. Raises PermissionDenied for that of somebody else."""
    if not may_manage(user, view):
        _require_share(user, "view.delete", view, request)
    if view.shared:
        record(action="view.delete", actor=user, request=request, target=view, detail=f"{view.table}?{view.query}")
    view.delete()


def clean_query(query: str) -> str:
    """The address' parameters in one fixed form, without those that are empty or say where one is."""
    parsed = QueryDict(query[: LONGEST_QUERY + 1], mutable=True)
    for name in list(parsed):
        values = [value for value in parsed.getlist(name) if value]
        if name in _PASSING or not values:
            del parsed[name]
        else:
            parsed.setlist(name, values)
    text = parsed.urlencode()
    if len(query) > LONGEST_QUERY or len(text) > LONGEST_QUERY:
        raise InvalidView("The filters of this view are too long. Shorten them, then save it.")
    return text


def saved_query(query: str) -> str | None:
    """What a view of this address has as its query; None when it is too long to have been saved."""
    try:
        return clean_query(query)
    except InvalidView:
        return None


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise InvalidView("Enter a name.")
    if len(name) > LONGEST_NAME:
        raise InvalidView(f"Use at most {LONGEST_NAME} characters.")
    return name


def _write(view: SavedView) -> None:
    same = SavedView.objects.filter(owner=view.owner, table=view.table, name__iexact=view.name).exclude(pk=view.pk)
    taken = f"There is a view named {view.name} already. Choose another name, or delete that one."
    if same.exists():
        raise InvalidView(taken)
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError as error:  # another tab saved the same name between the look and the insert
        raise InvalidView(taken) from error


def _require_share(user: User, action: str, view: SavedView | None, request: HttpRequest | None) -> None:
    try:
        require(user, SHARE)
    except PermissionDenied as refusal:
        record(action=action, actor=user, request=request, target=view, result="refused", detail=str(refusal))
        raise
