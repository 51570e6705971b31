"""Parts of the tree that a role may be bound to, and what a user sees of a list because of them.

The accounts know no domain. The app that owns a part says what it is called and what lies in it:

    register_scope(Scope("node", "Node", members=lambda: Node.objects.order_by("name"),
                         holds={"node": lambda ids: Node.objects.filter(pk__in=ids),
                                "ve": lambda ids: VE.objects.filter(node_id__in=ids)}))

and each app says how its rows are narrowed to the objects that somebody may see:

    register_rows(VE, lambda covered: covered.ids("ve", "pk"))
    register_rows(TaskTarget, lambda covered: covered.targets("object_type", "object_id"))

Then `visible(user, "infrastructure.view", VE.objects.all())` gives what this user may see, and no more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Field, Model, Q, QuerySet
from django.db.models.functions import Cast

from panel.accounts.models import User
from panel.accounts.permissions import bindings_with

Rows = TypeVar("Rows", bound=Model)


@dataclass(frozen=True, slots=True)
class Scope:
    """A type of part: its word, its members (rows with a `name`), and which objects of each type lie in members of it.

    Only `listed` ones are offered in forms.
    """

    type: str
    word: str
    members: Callable[[], QuerySet[Any]]
    holds: Mapping[str, Callable[[list[int]], QuerySet[Any]]]
    listed: bool = True

    def names(self, ids: Iterable[int] | None = None) -> dict[int, str]:
        """Id → name of all members in their order, or of these."""
        rows = self.members() if ids is None else self.members().filter(pk__in=list(ids))
        return dict(rows.values_list("pk", "name"))


@dataclass(frozen=True, slots=True)
class Covered:
    """What a user's bindings cover: (type of part, its ids)."""

    user: User
    parts: tuple[tuple[str, list[int]], ...]

    def ids(self, type: str, field: str) -> Q:
        """Rows whose `field` is the id of a covered object of this type ("ve", "node")."""
        condition = Q(pk__in=[])
        for part, ids in self.parts:
            holds = scope_of(part).holds.get(type)
            if holds is not None:
                condition |= Q(**{f"{field}__in": holds(ids).values("pk")})
        return condition

    def targets(self, type_field: str, id_field: str, id_type: Field | None = None) -> Q:
        """Rows that point at a covered object by (type, id); `id_type` is the id's field when it is not a number."""
        condition = Q(pk__in=[])
        for part, ids in self.parts:
            for type, holds in scope_of(part).holds.items():
                found = holds(ids).order_by()
                keys = found.values(as_id=Cast("pk", id_type)) if id_type is not None else found.values("pk")
                condition |= Q(**{type_field: type, f"{id_field}__in": keys})
        return condition


Narrow = Callable[[Covered], Q]
_scopes: dict[str, Scope] = {}
_rows: dict[type[Model], Narrow] = {}


def register_scope(scope: Scope) -> None:
    """Declare a type of part that roles may be bound to."""
    _scopes[scope.type] = scope


def register_rows(model: type[Model], narrow: Narrow) -> None:
    """Declare how rows of a model are narrowed to what a user's bindings cover."""
    _rows[model] = narrow


def scopes() -> tuple[Scope, ...]:
    """The types of parts that exist, in the order they were declared."""
    return tuple(_scopes.values())


def is_scope(type: str) -> bool:
    """Whether roles may be bound to parts of this type."""
    return type in _scopes


def scope_of(type: str) -> Scope:
    """A declared type of part. LookupError when no app declares it."""
    try:
        return _scopes[type]
    except KeyError:
        raise LookupError(f"no app declares the scope {type!r}") from None


def covered_by(user: User | AnonymousUser | None, permission: str) -> Covered | None:
    """What the permission covers; None stands for everything. A user without it is covered nowhere."""
    bindings = bindings_with(user, permission)
    if any(not binding.scope_type for binding in bindings):
        return None
    parts: dict[str, list[int]] = {}
    for binding in bindings:
        if binding.scope_type in _scopes and binding.scope_id is not None:
            parts.setdefault(binding.scope_type, []).append(binding.scope_id)
    return Covered(user if isinstance(user, User) else User(), tuple(parts.items()))


def visible(user: User | AnonymousUser | None, permission: str, rows: QuerySet[Rows]) -> QuerySet[Rows]:
    """The rows over which the user holds the permission: all, those of the bound parts, or none.

    One condition in the same query, with subqueries; no row comes twice. Raises LookupError for a model that no app
    has registered: what cannot be narrowed must not be shown by mistake.
    """
    covered = covered_by(user, permission)
    if covered is None:
        return rows
    narrow = _rows.get(rows.model)
    if narrow is None:
        raise LookupError(f"nobody has said how rows of {rows.model._meta.label} are narrowed to a part of the tree")
    return rows.filter(narrow(covered)) if covered.parts else rows.none()
