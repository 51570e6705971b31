"""GET /storage/: the Overview. Everything on it comes from the database and the round-robin store."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from infrastructure.views.performance import RANGES, chosen_range
from panel.accounts.permissions import requires
from panel.ui.htmx import render_page
from storage import chunks, overview
from storage.bars import Bar, bar
from storage.domain_map import COLOURS, Colour, domain_map
from storage.drivers.facts import ClusterFacts
from storage.explain import Explanation, explanations
from storage.overview import Physical, SelfHeal, Services, share
from storage.status import disk_status
from storage.views.graphs import cluster_figures, forecast
from storage.views.look import Look, add_datastore, look_at_cluster, page_context

REGIONS = ("page-title", "tab-panel")


@requires("storage.view")
@require_safe
def overview_page(request: HttpRequest) -> HttpResponse:
    """GET /storage/?range=1h&map=state."""
    look = look_at_cluster(request)
    context = page_context(request, look.cluster.name if look else "Storage", look)
    if look is not None and look.facts is not None:
        context |= _content(request, look, look.facts)
        context["actions"]["datastore"] = add_datastore(request, look, "datastore", "Datastore")
    return render_page(request, "storage/overview.html", context, regions=REGIONS)


def _content(request: HttpRequest, look: Look, facts: ClusterFacts) -> dict[str, Any]:
    span, colour = chosen_range(request), _colour(request)
    tiers = overview.tiers(facts)
    line, drawn = forecast(look.cluster, facts)
    found = told(look)
    statuses = {disk.number: disk_status(disk, current=look.current) for disk in look.disks}
    return {
        **_cards(look, facts),
        "worst": found[0] if found else None,
        "others": len(found) - 1,
        "tiers": tiers,
        "tier_unit": overview.unit_of(row.space.total for row in tiers),
        "logical": overview.logical(facts, tiers),
        "trend": line,
        "forecast": drawn,
        "figures": cluster_figures(look.cluster, span, current=look.figures),
        "span": span,
        "ranges": [(key, words) for key, (words, _) in RANGES.items()],
        "map": domain_map(facts, statuses, colour, current=look.current),
        "colour": colour,
        "colours": COLOURS.items(),
    }


def told(look: Look) -> list[Explanation]:
    """What is wrong now, the worst first; nothing while that is not known, nor what somebody muted."""
    if look.facts is None or not look.current:
        return []
    since = {disk.number: disk.down_since for disk in look.disks}
    return [each for each in explanations(look.facts, since) if not each.muted]


def _colour(request: HttpRequest) -> Colour:
    asked = request.GET.get("map", "")
    return next((key for key in COLOURS if key == asked), "state")


def _cards(look: Look, facts: ClusterFacts) -> dict[str, Any]:
    space, services = overview.physical(facts), overview.services(facts)
    cards: dict[str, Any] = {"space": space, "services": services, "chunks": None, "heal": None}
    bars = {"space": _space_bar(space), "services": _services_bar(services)}
    if look.figures:
        heal = overview.self_heal(facts, look.cluster.heal_began)
        cards |= {"chunks": _chunks(facts), "heal": heal}
        bars |= {"chunks": cards["chunks"].bar, "heal": _heal_bar(heal)}
    return {**cards, "bars": bars}


def _space_bar(space: Physical) -> Bar:
    label = "Physical space used"
    return bar(label, space.used_percent, ("used", space.used_percent), ("kept", space.kept_percent))


def _services_bar(services: Services) -> Bar:
    return bar(
        "Services running", services.up_percent, ("ok", services.up_percent), ("crit", 100 - services.up_percent)
    )


def _heal_bar(heal: SelfHeal) -> Bar:
    return bar("Self-heal progress", heal.percent, ("ok" if heal.at_rest else "used", heal.percent))


@dataclass(frozen=True, slots=True)
class ChunkCard:
    """The Redundancy card: percent healthy, the bar, its lines as (glyph, word, number)."""

    total: int
    percent: str
    bar: Bar
    lines: list[tuple[str, str, int]]
    healthy: bool


def _chunks(facts: ClusterFacts) -> ChunkCard:
    count = chunks.count(facts.groups)
    healthy = share(count.healthy, count.total)
    wrong = share(count.not_served + count.urgent, count.total)
    lines = [
        ("ok", "Healthy", count.healthy),
        ("warn", "Degraded", count.degraded),
        ("crit", "Urgent, one copy left", count.urgent),
        ("crit", "Blocked", count.blocked),
        ("progress", "Replicating", count.replicating),
        ("unreachable", "Offline", count.offline),
    ]
    shown = [line for line in lines if line[2] or line[1] in ("Healthy", "Degraded", "Urgent, one copy left")]
    drawn = bar("Chunks healthy", healthy, ("ok", healthy), ("warn", 100 - healthy - wrong), ("crit", wrong))
    return ChunkCard(count.total, _percent(healthy), drawn, shown, count.healthy == count.total)


def _percent(value: float) -> str:
    """ "95.2%"; never 100% while one is not healthy."""
    return "100%" if value >= 100 else f"{min(value, 99.9):.1f}%"
