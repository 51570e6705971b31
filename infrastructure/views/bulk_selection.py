"""Which objects a request is about: those it names, or all that a list's filters find."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from infrastructure.filters import NodeFilter, VEFilter
from infrastructure.models import VE, Node
from infrastructure.querysets import with_use, with_ve_counts
from infrastructure.services.bulk import MOST_OBJECTS
from panel.accounts.scopes import visible

LONGEST_ID = 18  # digits; more do not fit the database's integers


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects by name. `gone`: ids that were named and are no more. `beyond`: how many more than the bound."""

    type: str
    objects: list[Any]
    gone: list[int]
    beyond: int = 0

    @property
    def ids(self) -> list[int]:
        return [each.pk for each in self.objects]


def chosen(request: HttpRequest, data: QueryDict, type: str) -> Selection:
    """`ve=1&ve=2`, also as `ve=1,2`; or `found=…`, the filters of a list, with `scope=node:3` where it is one node's.

    When it starts, `leave=9,12` names those that the dialog told to be left out. At most MOST_OBJECTS are taken, the
    first by name.
    """
    if "found" in data:
        found = _found(request, QueryDict(str(data["found"])), data.get("scope", ""), type)
        return Selection(type, list(found[:MOST_OBJECTS]), [], max(0, found.count() - MOST_OBJECTS))
    left = set(numbers(data.getlist("leave"))) if request.method == "POST" else set()
    named = [pk for pk in numbers(data.getlist(type)) if pk not in left]
    # What is asked for by name is refused aloud when it starts; until then nobody learns of what is not his to see.
    there = rows(type) if request.method == "POST" else shown_rows(request, type)
    objects = list(there.filter(pk__in=named[:MOST_OBJECTS]))
    known = {each.pk for each in objects}
    gone = [pk for pk in named[:MOST_OBJECTS] if pk not in known]
    return Selection(type, objects, gone, max(0, len(named) - MOST_OBJECTS))


def numbers(values: list[str]) -> list[int]:
    """The ids in some fields, each once; what is no number is left out."""
    parts = (part.strip() for value in values for part in value.split(","))
    return list(dict.fromkeys(int(part) for part in parts if part.isdecimal() and len(part) <= LONGEST_ID))


def pairs(value: str) -> dict[int, int]:
    """{7: 2, 8: 3} from "7:2,8:3": VE ids and node ids."""
    found = (part.partition(":")[::2] for part in value.split(","))
    return {int(ve): int(node) for ve, node in found if ve.isdecimal() and node.isdecimal()}


def rows(type: str) -> "QuerySet[Any]":
    """All objects of a type, with what the previews show, by name."""
    if type == "node":
        return with_use(with_ve_counts(Node.objects.all())).order_by("name", "pk")
    return VE.objects.select_related("node").order_by("name", "pk")


def shown_rows(request: HttpRequest, type: str) -> "QuerySet[Any]":
    """Those of them that this user may see."""
    return visible(request.user, "infrastructure.view", rows(type))


def _found(request: HttpRequest, filters: QueryDict, scope: str, type: str) -> "QuerySet[Any]":
    found = shown_rows(request, type)
    if type == "node":
        return NodeFilter(filters, found, request=request).qs
    kind, _, number = scope.partition(":")
    if kind == "node":
        found = found.filter(node=int(number) if number.isdecimal() and len(number) <= LONGEST_ID else 0)
    return VEFilter(filters, found, request=request).qs
