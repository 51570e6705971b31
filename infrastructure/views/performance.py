"""Figures and graphs of the node and VE pages: history from the round-robin store, the present from the inventory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Sum
from django.http import HttpRequest

from infrastructure.models import VE, Node
from infrastructure.querysets import RUNNING_STATES
from infrastructure.status import memory_percent
from panel import series
from panel.ui import format as fmt
from panel.ui.charts import Chart, Values, chart, sparkline
from tasks.models import Task

RANGES = {"1h": ("1 h", 3600), "6h": ("6 h", 6 * 3600), "24h": ("24 h", 86400), "7d": ("7 d", 7 * 86400)}
RECENT_TASKS = 6
NOW_SECONDS = 60  # an older sample is not "now"
Columns = Mapping[str, Values]
Rates = dict[str, float | None]
GIB, MIB = 1024**3, 1024**2


@dataclass(frozen=True, slots=True)
class Figure:
    """A card or graph: its title, the value now, what it is of, a meter's percentage, legend entries (class, words)."""

    title: str
    value: str
    of: str
    chart: Chart
    meter: float | None = None
    keys: tuple[tuple[str, str], ...] = ()
    footer: tuple[str, ...] = ()


def chosen_range(request: HttpRequest) -> str:
    asked = request.GET.get("range", "")
    return asked if asked in RANGES else "1h"


def recent_tasks(type: str, id: int, most: int = RECENT_TASKS) -> list[Task]:
    """The last tasks about an object, newest first."""
    about = Task.objects.filter(targets__object_type=type, targets__object_id=id)
    return list(about.order_by("-pk")[:most])


def node_figures(node: Node, span: str, *, current: bool) -> list[Figure]:
    """CPU, RAM, network and disk of a node; network and disk are the sums of its VEs."""
    words, seconds = RANGES[span]
    found = series.fetch("node", node.pk, seconds)
    now = _now("node", node.pk, current=current)
    assigned = node.ves.aggregate(vcpus=Sum("vcpus"))["vcpus"] or 0
    running = node.ves.filter(state__in=RUNNING_STATES).aggregate(memory=Sum("memory_bytes"))["memory"] or 0
    cpu = node.cpu_percent if current else None
    share = memory_percent(node) if current else None
    used = node.memory_bytes - node.memory_free if share is not None and node.memory_bytes else None  # type: ignore[operator]
    value = found.columns
    return [
        Figure(
            "CPU",
            fmt.percent(cpu),
            f"of {fmt.count(node.cpu_threads, 'thread')}" if node.cpu_threads else "",
            sparkline([value["cpu"]], f"CPU use over {words}, {_extent(value['cpu'], '%')}", 100),
            cpu,
            footer=(f"Assigned {assigned} vCPU",),
        ),
        Figure(
            "RAM",
            fmt.space(used),
            f"of {fmt.space(node.memory_bytes)}" if node.memory_bytes else "",
            sparkline([value["memory"]], f"RAM use over {words}, now {fmt.space(used)}", node.memory_bytes),
            share,
            keys=(("", _with("Used", used, fmt.space)),),
            footer=(f"Running VEs {fmt.space(running)}",),
        ),
        _pair("Network", "of its VEs", value, now, "net_out", "net_in", ("Out", "In"), words),
        _pair("Disk", "of its VEs", value, now, "disk_read", "disk_write", ("Read", "Write"), words),
    ]


def ve_figures(ve: VE, span: str, *, current: bool) -> list[Figure]:
    """CPU, RAM, disk and network of a VE, with axes."""
    found = series.fetch("ve", ve.pk, RANGES[span][1])
    now = _now("ve", ve.pk, current=current)
    return [*_load_of(ve, span, found.columns, now, current=current), *_traffic_of(span, found.columns, now)]


def _load_of(ve: VE, span: str, value: Columns, now: Rates, *, current: bool) -> list[Figure]:
    """CPU and RAM."""
    words, seconds = RANGES[span]
    # Small VEs are counted in MiB: "0.125 GiB" says less and does not fit beside the axis.
    scale, unit = (GIB, "GiB") if (ve.memory_bytes or 0) >= GIB else (MIB, "MiB")
    return [
        Figure(
            "CPU",
            fmt.percent(ve.cpu_percent if current else None),
            f"of {ve.vcpus} vCPU" if ve.vcpus else "",
            chart(
                [value["cpu"]],
                f"CPU use over {words}, now {fmt.percent(now['cpu'])}",
                seconds=seconds,
                unit="%",
                maximum=100,
            ),
        ),
        Figure(
            "RAM",
            fmt.space(ve.memory_used if current else None),
            f"of {fmt.space(ve.memory_bytes)}" if ve.memory_bytes else "",
            chart(
                [_scaled(value["memory"], scale)],
                f"RAM use over {words}, now {fmt.space(now['memory'])}",
                seconds=seconds,
                unit=unit,
                maximum=(ve.memory_bytes or 0) / scale or None,
            ),
        ),
    ]


def _traffic_of(span: str, value: Columns, now: Rates) -> list[Figure]:
    """Disk and network."""
    words, seconds = RANGES[span]
    return [
        Figure(
            "Disk",
            _both(now["read_ops"], now["write_ops"]),
            "IOPS read, write",
            chart([value["read_ops"], value["write_ops"]], f"Disk IOPS over {words}", seconds=seconds),
        ),
        Figure(
            "Network",
            _both(now["net_out"], now["net_in"], MIB),
            "MiB/s out, in",
            chart(
                [_scaled(value["net_out"], MIB), _scaled(value["net_in"], MIB)],
                f"Network throughput over {words}",
                seconds=seconds,
            ),
        ),
    ]


def _now(kind: str, id: int, *, current: bool) -> Rates:
    """The last sample's rates; none of them when the object's figures are not current."""
    found = series.fetch(kind, id, NOW_SECONDS)
    return {name: found.latest(name) if current else None for name in series.COLUMNS[kind]}


def _pair(
    title: str,
    of: str,
    value: dict[str, tuple[float | None, ...]],
    now: Rates,
    first: str,
    second: str,
    labels: tuple[str, str],
    words: str,
) -> Figure:
    """A card of two rates in bytes per second."""
    a, b = now[first], now[second]
    total = None if a is None and b is None else (a or 0) + (b or 0)
    keys = (("", _with(labels[0], a, fmt.rate)), ("d2", _with(labels[1], b, fmt.rate)))
    drawn = sparkline([value[first], value[second]], f"{title} throughput over {words}, now {fmt.rate(total)}")
    return Figure(title, fmt.rate(total), of, drawn, keys=keys)


def _with(label: str, value: float | None, words: Callable[[float | None], str]) -> str:
    """A legend's entry; without a current value just its label."""
    return label if value is None else f"{label} {words(value)}"


def _scaled(values: Values, unit: float) -> list[float | None]:
    return [None if value is None else value / unit for value in values]


def _both(first: float | None, second: float | None, unit: float = 1) -> str:
    if first is None and second is None:
        return fmt.NO_DATA
    return " / ".join("?" if value is None else _plain(value / unit) for value in (first, second))


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def _extent(values: Sequence[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    return f"{min(known):.0f}{unit} to {max(known):.0f}{unit}" if known else "no data"
