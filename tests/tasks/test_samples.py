"""Figures over time: bounded, written together with the progress, and still there when the task has ended."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import charts, progress
from tasks.models import Task, TaskStep
from tasks.runner import TaskRun, execute
from tasks.samples import MOST, Samples, joined
from tests.tasks.helpers import move
from tests.tasks.jobs import Engine
from tests.tasks.pages import add_step, make_task

NOON = datetime(2024, 12, 6, 12, tzinfo=UTC)


def taken(seconds: int, **figures: Any) -> Samples:
    samples = Samples()
    for tenth in range(10 * seconds):
        samples.take({"rate_mib": float(tenth), **figures}, tenth / 10, NOON + timedelta(seconds=tenth / 10))
    return samples


def test_at_most_two_a_second_are_kept() -> None:
    assert taken(10).row()["at"] == list(range(0, 10_000, 500))


@pytest.mark.parametrize("seconds", [149, 151, 600, 7200])
def test_however_long_it_takes_the_samples_stay_few_and_span_all_of_it(seconds: int) -> None:
    row = taken(seconds).row()

    assert MOST / 3 < len(row["at"]) <= MOST
    assert len(row["rate_mib"]) == len(row["at"])
    assert row["at"][0] == 0
    assert row["at"][-1] > 990 * seconds - 1000 * row["every"]
    assert all(value == at / 100 for value, at in zip(row["rate_mib"], row["at"], strict=True))


def test_a_figure_that_comes_later_has_no_value_before() -> None:
    samples = Samples()
    samples.take({"rate_mib": 1}, 0, NOON)
    samples.take({"rate_mib": 2, "dirty_mib": 5}, 1, NOON)
    samples.take({"dirty_mib": 6}, 2, NOON)

    assert samples.row()["rate_mib"] == [1, 2, None]
    assert samples.row()["dirty_mib"] == [None, 5, 6]


def test_each_round_keeps_what_it_began_with_even_a_short_one() -> None:
    samples = Samples()
    for now, turn, left in [(0.0, 1, 6210), (0.1, 1, 5000), (0.2, 2, 2105), (0.3, 3, 716), (0.4, 3, 412)]:
        samples.take({"iteration": turn, "remaining_mib": left, "rate_mib": 112}, now, NOON)

    assert samples.row()["rounds"] == {"rounds": [[1, 6210], [2, 2105], [3, 716]]}


def test_two_steps_are_joined_with_a_gap_at_their_real_distance() -> None:
    first, second = Samples(), Samples()
    first.take({"rate_mib": 1}, 0, NOON)
    first.take({"rate_mib": 2}, 1, NOON)
    second.take({"rate_mib": 3}, 0, NOON + timedelta(seconds=10))

    history = joined([first.row(), second.row()])

    assert history.at == [0, 1, 1, 10]
    assert history.series("rate_mib") == [1, 2, None, 3]


@pytest.mark.django_db(transaction=True)
def test_samples_cost_no_write_of_their_own_and_outlive_the_task(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    revisions: list[int] = []

    def script(run: TaskRun, **params: Any) -> None:
        with run.step("Copy") as step:
            before = Task.objects.get(pk=run.task.pk).rev
            for second in range(10):
                now[0] += 1
                step.progress(second, rate_mib=second, remaining_mib=100 - second, iteration=1 + second // 5)
            revisions.append(Task.objects.get(pk=run.task.pk).rev - before)
        with run.step("Clean up") as step:
            step.progress(99)

    engine.script = script
    task = move()
    execute(task.pk)
    task.refresh_from_db()

    assert revisions == [10]
    assert len(TaskStep.objects.get(title="Copy").samples["at"]) == 10
    assert task.figures["rate_mib"] == 9, "a later step without figures leaves those of the one before"
    assert [drawn.title for drawn in charts.charts_of(task)] == ["Memory left", "Move throughput"]


@pytest.mark.django_db
def test_a_task_without_samples_asks_for_none(django_assert_num_queries: Any) -> None:
    task = make_task()
    with django_assert_num_queries(0):
        assert charts.charts_of(task) == []


FIGURES = {"rate_mib": 112, "dirty_mib": 38, "remaining_mib": 412, "switch_below_mib": 34, "iteration": 3}


def sampled(state: str = "running", **figures: Any) -> Task:
    task = make_task(state=state, figures={**FIGURES, **figures}, samples_rev=1, attempt=1)
    samples = Samples()
    for turn, left in ((1, 6210), (2, 2105), (3, 716)):
        samples.take({**FIGURES, **figures, "iteration": turn, "remaining_mib": left}, turn, NOON)
    step = add_step(task, "Copy")
    TaskStep.objects.filter(pk=step.pk).update(samples=samples.row())
    return task


@pytest.mark.django_db
def test_the_coming_rounds_are_forecast_until_the_limit_is_reached() -> None:
    rounds, throughput = charts.charts_of(sampled())

    assert rounds.bars is not None
    assert [(bar.tick, bar.text, bar.kind) for bar in rounds.bars.bars] == [
        ("1", "6,210", "past"), ("2", "2,105", "past"), ("3 now", "716", "now"),
        ("4", "243", "coming"), ("5", "82", "coming"), ("6", "28", "coming"),
    ]  # fmt: skip
    assert rounds.limit == "Switch over below 34"
    assert "6,210, 2,105, 716 MiB now, 412 left" in rounds.bars.label
    assert throughput.plot is not None
    assert throughput.plot.label == "Copy rate 112 MiB/s, Change rate 38 MiB/s"


@pytest.mark.parametrize(("state", "figures"), [("completed", {}), ("running", {"dirty_mib": 200})])
@pytest.mark.django_db
def test_nothing_is_forecast_when_it_has_ended_or_does_not_shrink(state: str, figures: dict[str, Any]) -> None:
    rounds, _ = charts.charts_of(sampled(state, **figures))

    assert rounds.bars is not None
    assert "coming" not in {bar.kind for bar in rounds.bars.bars}


@pytest.mark.django_db
def test_charts_of_a_recovered_task_go_on_and_those_of_a_retried_one_begin_anew() -> None:
    task = sampled()
    Task.objects.filter(pk=task.pk).update(attempt=2, recoveries=1)
    assert charts.charts_of(Task.objects.get(pk=task.pk))
    Task.objects.filter(pk=task.pk).update(attempt=2, recoveries=0)
    assert not charts.charts_of(Task.objects.get(pk=task.pk))


@pytest.mark.django_db
def test_the_page_names_the_charts_values_for_who_cannot_see_them(viewer: Any, client_of: Any) -> None:
    html = client_of(viewer).get(f"/tasks/{sampled('completed').pk}/").content.decode()

    assert 'role="img" aria-label="Copy rate 112 MiB/s, Change rate 38 MiB/s, at its end"' in html
    assert 'aria-label="Memory left by iteration 1 to 3: 6,210, 2,105, 716 MiB' in html
