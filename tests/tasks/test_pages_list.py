"""The Task Log: what is listed, in what order, with which filters, and at what cost."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tasks.models import Task
from tests.tasks.pages import make_task

pytestmark = pytest.mark.django_db


def text(client: Any, query: str = "", **headers: str) -> str:
    response = client.get(f"/tasks/{query}", headers=headers or None)
    assert response.status_code == 200
    return str(response.content.decode())


def listed(client: Any, query: str = "", **headers: str) -> list[int]:
    """The ids of the tasks in the table, in order."""
    return [int(pk) for pk in re.findall(r'<tr id="task-(\d+)"', text(client, query, **headers))]


def backdate(task: Task, **ago: float) -> None:
    Task.objects.filter(pk=task.pk).update(created_at=timezone.now() - timedelta(**ago))


def test_the_newest_come_first_and_open_ones_on_top(viewer: Any, client_of: Any) -> None:
    running, done = make_task(state="running"), make_task(state="completed")
    waiting, failed = make_task(state="waiting"), make_task(state="failed")

    assert listed(client_of(viewer)) == [waiting.pk, running.pk, failed.pk, done.pk]


def test_open_tasks_stay_on_top_whatever_the_list_is_sorted_by(viewer: Any, client_of: Any) -> None:
    client = client_of(viewer)
    b, a, c = make_task("Bb", "completed"), make_task("Aa", "completed"), make_task("Cc", "running")

    assert listed(client, "?sort=operation") == [c.pk, a.pk, b.pk]
    assert listed(client, "?sort=-operation") == [c.pk, b.pk, a.pk]


def test_a_row_says_what_it_waits_for_or_why_it_failed(viewer: Any, client_of: Any) -> None:
    make_task(state="waiting", waiting_for="Waits for 2 migrations on primary")
    make_task(state="failed", reason="IP 192.168.243.171 is already in use by ct2.")
    make_task(state="running", progress=88)

    html = text(client_of(viewer))

    assert "Waits for 2 migrations on primary, next in line" in html
    assert "IP 192.168.243.171 is already in use by ct2." in html
    assert "88%" in html


def test_tasks_of_a_bulk_action_are_counted_at_their_parent(viewer: Any, client_of: Any) -> None:
    parent = make_task("Evacuating node primary", state="waiting", waits_for_children=True)
    for name in ("ct1", "ct2"):
        make_task(f"Moving {name}", parent=parent)

    html = text(client_of(viewer))

    assert listed(client_of(viewer)) == [parent.pk]
    assert "2 tasks</span>" in html
    assert "1–1 of 1 task" in html


def test_row_tools_name_the_task_and_post(operator: Any, viewer: Any, client_of: Any) -> None:
    running, failed = make_task("Moving ct1"), make_task("Moving ct2", state="failed")

    html = text(client_of(operator))

    assert 'aria-label="Cancel Moving ct1"' in html
    assert 'aria-label="Retry Moving ct2"' in html
    assert f'formaction="/tasks/{running.pk}/cancel/"' in html
    assert f'formaction="/tasks/{failed.pk}/retry/"' in html
    assert '<form id="task-steer" method="post">' in html
    assert "formaction" not in text(client_of(viewer))


def test_filters_narrow_the_list(viewer: Any, client_of: Any) -> None:
    client = client_of(viewer)
    move = make_task("Moving vmtest", "completed", initiator_name="viewer", nodes=["primary"])
    start = make_task("Starting cttest", "failed", object_name="cttest", reason="No memory left", nodes=["secondnode1"])
    run = make_task("Pausing vm2", "running", object_name="vm2")
    lost = make_task("Stopping vm2", "lost", object_name="vm2")

    assert listed(client, "?text=memory") == [start.pk]
    assert listed(client, "?text=VMTEST") == [move.pk]
    assert listed(client, f"?text={run.pk}") == [run.pk]
    assert listed(client, "?status=open") == [run.pk]
    assert listed(client, "?status=unsuccessful") == [lost.pk, start.pk]
    assert listed(client, "?status=completed") == [move.pk]
    assert listed(client, "?node=primary") == [move.pk]
    assert listed(client, "?initiator=viewer") == [move.pk]
    assert listed(client, "?status=failed&node=primary") == []


def test_days_are_those_of_the_browser(viewer: Any, client_of: Any, time_machine: Any) -> None:
    time_machine.move_to("2026-11-21T12:00:00Z", tick=False)
    client = client_of(viewer)
    task = make_task(state="failed")
    Task.objects.filter(pk=task.pk).update(created_at="2026-11-20T23:30:00Z")

    assert listed(client, "?since=2026-11-21") == []
    assert "Failed today <span" in text(client)
    client.cookies["zone"] = "Europe/Berlin"
    assert listed(client, "?since=2026-11-21&until=2026-11-21") == [task.pk]
    assert listed(client, "?until=2026-11-20") == []
    client.cookies["zone"] = "../../etc/passwd"
    assert listed(client, "?since=2026-11-21") == []


def test_chips_count_and_link_to_their_filters(viewer: Any, client_of: Any) -> None:
    make_task(state="running")
    make_task(state="completed", initiator_name="viewer")
    backdate(make_task(state="failed"), days=3)
    make_task(state="errored")

    html = text(client_of(viewer))
    chips = re.findall(r'<a class="chip" href="([^"]+)"([^>]*)>.*?([A-Z][a-z ]+) <span class="tn">(\d+)</span>', html)

    assert [(label.strip(), count) for _, _, label, count in chips] == [
        ("All", "4"), ("Running", "1"), ("Failed today", "1"), ("Mine", "1"),
    ]  # fmt: skip
    assert 'aria-current="true"' in chips[0][1]
    assert chips[1][0] == "/tasks/?status=open"


def test_values_that_fit_no_filter_are_ignored(viewer: Any, client_of: Any) -> None:
    task = make_task()

    query = "?status=nonsense&node=%00&since=yesterday&sort=;drop&page=x&rows=7&initiator=nobody"
    assert listed(client_of(viewer), query) == [task.pk]


def test_no_match_says_so_and_offers_a_way_out(viewer: Any, client_of: Any) -> None:
    make_task()

    html = text(client_of(viewer), "?text=nothing-like-this")

    assert "No task matches the filter" in html
    assert "1 task is hidden by it." in html
    assert "Clear filter" in html


def test_an_empty_log_says_what_it_is_for(viewer: Any, client_of: Any) -> None:
    assert "No tasks yet" in text(client_of(viewer))


def test_pages_are_numbered(viewer: Any, client_of: Any) -> None:
    for _ in range(25):
        make_task(state="completed")
    client = client_of(viewer)

    assert len(listed(client, "?rows=20")) == 20
    assert len(listed(client, "?rows=20&page=2")) == 5
    assert "21–25 of 25 tasks" in text(client, "?rows=20&page=2")


def test_a_scrolled_browser_gets_new_tasks_counted_not_inserted(viewer: Any, client_of: Any) -> None:
    known = make_task()
    make_task()
    make_task()
    headers = {"HX-Request": "true", "Mooring-Known": str(known.pk)}

    html = text(client_of(viewer), **headers)

    assert listed(client_of(viewer), **headers) == [known.pk]
    assert "2 new, show" in html


def test_htmx_gets_the_table_alone(viewer: Any, client_of: Any) -> None:
    make_task()

    html = text(client_of(viewer), **{"HX-Request": "true"})

    assert html.lstrip().startswith('<section class="card" id="task-table"')
    assert "<html" not in html


def test_names_are_text_never_markup(viewer: Any, client_of: Any) -> None:
    payload = "<script>alert(1)</script>"
    make_task(payload, "failed", object_name=payload, place=payload, reason=payload, initiator_name=payload)

    assert "<script>alert" not in text(client_of(viewer))


def test_two_hundred_tasks_take_twelve_queries(
    operator: Any, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(200):
        make_task(f"Moving vm{number}", "completed" if number % 9 else "running", nodes=["primary"])
    client = client_of(operator)

    with django_assert_max_num_queries(12):  # two are for the user's columns and saved views
        assert len(listed(client, "?rows=200")) == 200


def test_the_dock_is_on_every_page_with_what_runs_and_what_ran(viewer: Any, client_of: Any) -> None:
    running, done = make_task("Moving ct1", progress=40), make_task("Moving ct2", state="completed")

    dock = text(client_of(viewer)).split('id="dock"')[1]

    assert f'id="dock-now-{running.pk}"' in dock
    assert f'id="dock-now-{done.pk}"' not in dock
    assert f'id="dock-task-{done.pk}"' in dock
    assert "40%" in dock
    assert 'aria-label="Recent tasks"' in text(client_of(viewer))
    assert "1 running task" in text(client_of(viewer))
