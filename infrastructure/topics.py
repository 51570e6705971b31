"""What open pages follow: the inventory as a whole, and who has a VE's console open."""

from django.db.models import Q, QuerySet

from infrastructure.models import VE, InventoryRevision, Node, Removal
from infrastructure.services import console_sessions
from panel.accounts.models import User
from panel.accounts.scopes import visible
from panel.live.registry import Update, topic

MOST_IDS = 500  # of each kind; with more it is cheaper to read the regions anew


@topic("inventory", permission="infrastructure.view")
def read(user: User, key: str, after: int) -> Update | None:
    """Ids of the nodes and VEs that changed after a revision, of those that the user sees; None when nothing did.

    ``data``: {"nodes": [ids], "ves": [ids], "removed": ["ve:7"], "all": bool, "figures": bool}. ``all``: too much
    changed to name it, or the revision is unknown here; every region is to be read anew. ``figures``: nothing else
    changed than figures, of which the tree shows nothing. A subscriber that knows nothing yet (``after`` 0)
    gets the current revision alone: its page was rendered just now.
    """
    if key:
        raise LookupError("The inventory is one topic.")
    rev = InventoryRevision.current()
    if rev == after:
        return None
    if after == 0:
        return _update(rev)
    if after > rev:  # the database was replaced
        return _update(rev, everything=True)
    news = Q(rev__gt=after) | Q(figures_rev__gt=after)
    nodes = _revisions(visible(user, "infrastructure.view", Node.objects.filter(news)))
    ves = _revisions(visible(user, "infrastructure.view", VE.objects.filter(news)))
    removed = list(Removal.objects.filter(rev__gt=after)[: MOST_IDS + 1])
    figures = not removed and max([*nodes.values(), *ves.values()], default=after) <= after
    if max(len(nodes), len(ves), len(removed)) > MOST_IDS:
        return _update(rev, everything=True, figures=figures)
    return _update(rev, nodes=[*nodes], ves=[*ves], removed=[str(removal) for removal in removed], figures=figures)


def _revisions(found: QuerySet[Node] | QuerySet[VE]) -> dict[int, int]:
    """Id → revision of its last change of more than figures; those that changed last in that way are the first."""
    return dict(found.order_by("-rev").values_list("pk", "rev")[: MOST_IDS + 1])


def _update(
    rev: int,
    *,
    nodes: list[int] | None = None,
    ves: list[int] | None = None,
    removed: list[str] | None = None,
    everything: bool = False,
    figures: bool = False,
) -> Update:
    named = {"nodes": nodes or [], "ves": ves or [], "removed": removed or []}
    return Update(rev=rev, data={**named, "all": everything, "figures": figures})


@topic("console", permission="ve.console")
class ConsoleTopic:
    """Who has a console of one VE open."""

    @staticmethod
    def subject(key: str) -> VE:
        return VE.objects.get(pk=_number(key))

    @staticmethod
    def read(user: User, key: str, after: int) -> Update | None:
        """``data``: {"open": [{"session", "user", "kind", "since"}]}."""
        rev = console_sessions.revision(_number(key))
        if rev == after:
            return None
        return Update(rev=rev, data={"open": console_sessions.open_now(_number(key))})


def _number(key: str) -> int:
    if not key.isdecimal():
        raise LookupError("There is no such VE.")
    return int(key)
