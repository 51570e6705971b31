"""The Overview's graphs and forecast: history from the round-robin store, the present from its last sample."""

from dataclasses import dataclass

from infrastructure.views.performance import MIB, NOW_SECONDS, RANGES, Figure
from panel import series
from panel.series import Series
from panel.ui.charts import chart
from storage.drivers.facts import ClusterFacts
from storage.forecast import DAY, HISTORY_DAYS, ForecastChart, Trend, known, trend
from storage.forecast import chart as forecast_chart
from storage.models import Cluster


@dataclass(frozen=True, slots=True)
class _Graph:
    """A graph: its lines as (word, column), and what its axis counts."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    scale: float = 1.0


_GRAPHS = (
    _Graph("IOPS", "", (("Read", "read_ops"), ("Write", "write_ops"))),
    _Graph("Throughput", "MiB/s", (("Read", "read_bytes"), ("Write", "write_bytes")), MIB),
    _Graph("Latency", "ms", (("Write", "write_ms"),)),
)
_TONES = ("", "d2")


def cluster_figures(cluster: Cluster, span: str, *, current: bool) -> list[Figure]:
    """IOPS, throughput and latency over a range; the values now only while they are current."""
    found = series.fetch("cluster", cluster.pk, RANGES[span][1])
    latest = series.fetch("cluster", cluster.pk, NOW_SECONDS)
    return [_figure(graph, cluster, span, found, latest if current else None) for graph in _GRAPHS]


def _figure(graph: _Graph, cluster: Cluster, span: str, found: Series, latest: Series | None) -> Figure:
    words, seconds = RANGES[span]
    now = [(word, _scale(latest.latest(column), graph.scale) if latest else None) for word, column in graph.lines]
    spoken = ", ".join(f"{word.lower()} {_plain(value, graph.unit)}" for word, value in now)
    drawn = [[_scale(value, graph.scale) for value in found.columns[column]] for _, column in graph.lines]
    made = chart(drawn, f"{graph.title} of {cluster.name} over {words}, now {spoken}", seconds=seconds)
    keys = tuple((tone, _key(word, value)) for tone, (word, value) in zip(_TONES, now, strict=False))
    return Figure(graph.title, "", graph.unit, made, keys=keys)


def forecast(cluster: Cluster, facts: ClusterFacts) -> tuple[Trend | None, ForecastChart | None]:
    """When the cluster is full, and its chart; None for both with less than a day of history."""
    found = series.fetch("cluster", cluster.pk, HISTORY_DAYS * DAY)
    samples = known(found.times, found.columns["used"])
    total = facts.space.total
    line = trend(samples, total * facts.ratios.full)
    if line is None or not total:
        return None, None
    return line, forecast_chart(samples, line, total, 100 * facts.ratios.full)


def _scale(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _key(word: str, value: float | None) -> str:
    return word if value is None else f"{word} {_amount(value)}"


def _plain(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{_amount(value)} {unit}".strip()


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
