"""The history of the parts: stretches and events, gaps that are not passed off as health, and a bounded store."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from panel.health import checks, chronicle, history
from panel.health.checks import Part
from panel.health.chronicle import Chronicle, record
from panel.health.models import Reading, Span
from tests.tasks.helpers import in_threads

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)
TITLES = {"redis": "Redis", "keeper": "Keeper"}


def part(state: str, name: str = "redis", text: str = "", cause: str = "") -> Part:
    return Part(name, TITLES[name], state, text or {"ok": "Answers"}.get(state, "Does not answer"), cause=cause)


def passed(minutes: int, begin: datetime, *states: str, figures: Mapping[str, float] | None = None) -> datetime:
    """A sample a minute, with the states one after the other, each for so many minutes; the time of the last."""
    at = begin
    for state in states:
        for _ in range(minutes):
            record([part(state, cause="refused" if state != "ok" else "")], figures or {}, at)
            at += timedelta(minutes=1)
    return at - timedelta(minutes=1)


def test_a_state_that_stays_is_one_stretch() -> None:
    last = passed(30, timezone.now() - timedelta(hours=1), "ok")
    span = Span.objects.get()
    assert (span.state, span.until) == ("ok", last)
    assert span.until - span.since == timedelta(minutes=29)


def test_a_change_is_an_event_with_its_cause_and_how_long_it_lasted() -> None:
    now = passed(10, timezone.now() - timedelta(minutes=29), "ok", "crit", "ok")

    again, failed = history.events(history.spans(now, DAY), TITLES, now)

    assert (failed.title, failed.state, failed.text, failed.cause) == ("Redis", "crit", "Does not answer", "refused")
    assert failed.lasted == 540
    assert (again.text, again.lasted) == ("Answers again after 10 min", None)


def test_the_first_good_state_is_no_event_but_the_first_bad_one_is() -> None:
    now = timezone.now()
    record([part("ok"), part("crit", "keeper")], {}, now)
    (event,) = history.events(history.spans(now, DAY), TITLES, now)
    assert (event.title, event.state, event.lasted) == ("Keeper", "crit", None)


def test_time_that_nobody_wrote_down_is_a_gap_and_not_health() -> None:
    begin = timezone.now() - timedelta(hours=2)
    passed(10, begin, "ok")
    now = passed(10, begin + timedelta(hours=1), "ok")

    found = history.spans(now, DAY)
    strip = history.strip(found, "Redis", now, DAY, "24 h")

    assert len(strip.stretches) == 2
    assert strip.label.startswith("Redis over 24 h: in order 100.0%, not recorded for 23 h")
    events = history.events(found, TITLES, now)
    assert [(event.text, event.lasted) for event in events if event.title == "History"] == [("Nothing recorded", 3060)]


def test_a_keeper_that_stands_still_now_is_shown_as_a_gap_that_lasts() -> None:
    now = passed(5, timezone.now() - timedelta(hours=1), "ok") + timedelta(minutes=30)
    (event,) = history.events(history.spans(now, DAY), TITLES, now)
    assert (event.text, event.lasted) == ("Nothing recorded", None)
    strip = history.strip(history.spans(now, DAY), "Redis", now, DAY, "24 h")
    assert strip.stretches[-1].x + strip.stretches[-1].width < history.WIDTH - 15


def test_a_short_failure_is_seen_and_counted_in_the_words() -> None:
    now = passed(1, timezone.now() - timedelta(minutes=2), "ok", "crit", "ok")
    strip = history.strip(history.spans(now, DAY), "Redis", now, DAY, "24 h")
    critical = [piece for piece in strip.stretches if piece.state == "crit"]
    assert critical[0].width >= 1.5
    assert "critical for 1 min" in strip.label


def test_nothing_recorded_is_said() -> None:
    now = timezone.now()
    assert history.strip([], "Redis", now, DAY, "24 h").label == "Redis over 24 h: nothing recorded"
    assert history.events([], TITLES, now) == []


def test_a_clock_that_was_set_back_ends_no_stretch_before_it_began() -> None:
    now = timezone.now()
    record([part("ok")], {}, now)
    record([part("ok")], {}, now - timedelta(minutes=5))
    assert all(span.until >= span.since for span in Span.objects.all())


def test_the_store_is_bounded_by_time_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chronicle, "SPANS_A_PART", 5)
    monkeypatch.setattr(chronicle, "SLOTS", 3)
    now = timezone.now()
    Span.objects.create(name="redis", state="ok", since=now - timedelta(days=9), until=now - timedelta(days=8))
    passed(1, now - timedelta(minutes=39), *["ok", "crit"] * 20, figures={"database": 1})
    assert Span.objects.count() == 5
    assert Reading.objects.count() <= 3
    assert Span.objects.order_by("-until").first().state == "crit"  # type: ignore[union-attr]


def test_a_week_of_samples_takes_as_many_rows_as_there_are_slots() -> None:
    now = timezone.now()
    for step in range(chronicle.SLOTS + 20):
        moment = now + timedelta(seconds=step * chronicle.SLOT_SECONDS)
        slot = int(moment.timestamp()) // chronicle.SLOT_SECONDS % chronicle.SLOTS
        assert 0 <= slot < chronicle.SLOTS
    record([], {"database": 1}, now)
    record([], {"database": 2}, now + timedelta(seconds=chronicle.SLOTS * chronicle.SLOT_SECONDS))
    assert Reading.objects.get().figures == {"database": 2}


def test_figures_are_drawn_where_they_belong() -> None:
    now = timezone.now()
    record([], {"database": 10 * 1024**2}, now - timedelta(hours=12))
    record([], {"database": 20 * 1024**2, "queued": 3, "running": 1, "waiting": 0}, now)

    found = history.readings(now, DAY)
    assert found["database"].count(None) == len(found["database"]) - 2
    assert found["database"][-1] == 20 * 1024**2
    tasks, database, disk, _redis = history.charts(now, "24h")
    assert tasks.value == "1 / 3 / 0"
    assert database.value == "20 MiB"
    assert disk.value == "No data" and disk.chart.empty


def test_the_chronicle_writes_once_a_minute_and_not_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "redis", lambda: part("ok"))
    now = [0.0]
    written = Chronicle(lambda: {"queued": 2.0}, clock=lambda: now[0])
    for second in (0, 10, 21, 40, 80, 82, 142):
        before = Reading.objects.count(), Span.objects.filter(name="redis").count()
        now[0] = float(second)
        written.tick()
        if second < 20:
            assert before == (0, 0) == (Reading.objects.count(), Span.objects.count())
    assert Reading.objects.latest("at").figures["queued"] == 2.0
    assert {"database", "redis", "keeper", "disk", "certificates"} <= set(Span.objects.values_list("name", flat=True))


@pytest.mark.django_db(transaction=True)
def test_two_that_write_at_once_do_not_fail() -> None:
    now = timezone.now()
    results: list[Any] = in_threads([lambda: record([part("ok")], {"database": 1}, now)] * 2)
    assert results == [None, None]
    assert Reading.objects.count() == 1


def test_the_page_shows_strips_events_and_figures(
    viewer: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(checks, "redis", lambda: part("ok"))
    passed(10, timezone.now() - timedelta(minutes=29), "ok", "crit", "ok", figures={"database": 1024**2})
    client = client_of(viewer)

    with django_assert_max_num_queries(20):
        html = client.get("/health/").content.decode()

    row = html.split('id="part-redis"')[1].split("</tr>")[0]
    assert 'role="img" aria-label="Redis over 24 h: in order' in row
    assert '<rect class="crit"' in row
    assert "Answers again after 10 min" in html
    assert 'aria-label="Database over 24 h, now 1 MiB"' in html
    week = client.get("/health/?range=7d").content.decode()
    assert "Redis over 7 d:" in week and 'hx-get="/health/?range=7d"' in week


def test_events_and_figures_come_as_a_region_of_their_own(viewer: Any, client_of: Any) -> None:
    headers = {"HX-Request": "true", "HX-Target": "health-history"}
    html = client_of(viewer).get("/health/", headers=headers).content.decode()
    assert html.lstrip().startswith('<div class="stack" id="health-history"')


def test_a_cause_is_shown_as_text(viewer: Any, client_of: Any) -> None:
    record([Part("redis", "Redis", "crit", "Does not answer", cause="<script>x</script>")], {}, timezone.now())
    html = client_of(viewer).get("/health/").content.decode()
    assert "<script>x" not in html and "&lt;script&gt;x" in html
