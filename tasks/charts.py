"""The charts of a task's page, drawn from the samples that its steps kept."""

from dataclasses import dataclass

from panel.ui import charts
from tasks import registry
from tasks.figures import CHARTS, Curves, Rounds, amount, number
from tasks.models import Task, TaskStep
from tasks.samples import History, joined

SHOWN_ROUNDS = 7
FORECAST = 3


@dataclass(frozen=True, slots=True)
class Drawn:
    """A card with a chart: `plot` or `bars`; `keys` name its series in their order, `limit` its line."""

    key: str
    title: str
    context: str
    keys: tuple[str, ...] = ()
    limit: str = ""
    plot: charts.Chart | None = None
    bars: charts.Bars | None = None


def noun_of(task: Task) -> str:
    """What the task's kind is called: "migration"; "task" for a kind that this version no longer has."""
    try:
        return registry.get_job(task.kind).noun
    except LookupError:
        return "task"


def charts_of(task: Task) -> list[Drawn]:
    """The charts that the task has samples for. One query, and none for a task without samples."""
    if not task.samples_rev:
        return []
    # A retry begins anew; an attempt that took the task up from a dead worker goes on.
    kept = TaskStep.objects.filter(task_id=task.pk, attempt__gte=task.attempt - task.recoveries).exclude(samples={})
    history = joined(kept.order_by("seq").values_list("samples", flat=True))
    drawn = [_rounds(task, chart, history) if isinstance(chart, Rounds) else _curves(task, chart, history)
             for chart in CHARTS]  # fmt: skip
    return [chart for chart in drawn if chart is not None]


def _curves(task: Task, chart: Curves, history: History) -> Drawn | None:
    known = [(figure, word) for figure, word in chart.series if figure in history.values]
    if not known or not history.at:
        return None
    told = [
        f"{word} {amount(last)} {chart.unit}"
        for figure, word in known
        if (last := next((value for value in reversed(history.series(figure)) if value is not None), None)) is not None
    ]
    title = chart.title.format(noun=noun_of(task))
    label = f"{', '.join(told)}{'' if task.is_open else ', at its end'}"
    plot = charts.plot(history.at, [history.series(key) for key, _ in known], label, end="now" if task.is_open else "")
    return Drawn(chart.key, title[:1].upper() + title[1:], chart.unit, tuple(word for _, word in known), plot=plot)


def _rounds(task: Task, chart: Rounds, history: History) -> Drawn | None:
    known = history.rounds.get(chart.key, [])[-SHOWN_ROUNDS:]
    if not known:
        return None
    limit = number(task.figures.get(chart.limit))
    coming = _forecast(task, chart, known[-1], limit) if task.is_open else []
    now = f" now, {amount(left)} left" if task.is_open and (left := number(task.figures.get(chart.value))) else ""
    values = ", ".join(amount(value) for _, value in known)
    label = f"{chart.title} by {chart.round_word} {known[0][0]} to {known[-1][0]}: {values} {chart.unit}{now}"
    word = chart.limit_word.format(amount(limit)) if limit else ""
    if word:
        label += f". {word}{f', forecast in {len(coming)} more' if coming else ''}"
    ticks = [(str(turn), value) for turn, value in known]
    if task.is_open:
        ticks[-1] = (f"{ticks[-1][0]} now", ticks[-1][1])
    drawn = charts.bars(ticks, coming, label, limit=limit, running=task.is_open)
    return Drawn(chart.key, chart.title, f"{chart.unit} per {chart.round_word}, log", limit=word, bars=drawn)


def _forecast(task: Task, chart: Rounds, last: tuple[int, float], limit: float | None) -> list[tuple[str, float]]:
    """What the coming rounds will begin with at the present pace, until the limit is reached; nothing without one."""
    grows, shrinks = number(task.figures.get(chart.grows)), number(task.figures.get(chart.shrinks))
    turn, value = last
    if not limit or not grows or not shrinks or grows >= shrinks:
        return []
    coming: list[tuple[str, float]] = []
    while value > limit and len(coming) < FORECAST:
        turn, value = turn + 1, value * grows / shrinks
        coming.append((str(turn), round(value, 1)))
    return coming
