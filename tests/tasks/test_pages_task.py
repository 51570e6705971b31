"""The page of one task, its downloads, and the requests to cancel and to retry."""

import json
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from panel.audit.models import AuditRecord
from tasks.models import Task
from tests.tasks.helpers import move
from tests.tasks.pages import add_line, add_step, make_task

pytestmark = pytest.mark.django_db


def page(client: Any, task: Task, query: str = "") -> str:
    response = client.get(f"/tasks/{task.pk}/{query}")
    assert response.status_code == 200
    return response.content.decode()


def download(client: Any, task: Task, kind: str) -> str:
    response = client.get(f"/tasks/{task.pk}/log.{kind}")
    assert response.status_code == 200
    assert response["Content-Disposition"] == f'attachment; filename="task-{task.pk}.{kind}"'
    return b"".join(response.streaming_content).decode()


def test_it_shows_steps_and_lines_in_the_order_of_the_log(viewer: Any, client_of: Any) -> None:
    task = make_task()
    outer = add_step(task, "Migrate Virtual Environment vmtest", state="running")
    add_line(task, "first message", step=outer)
    add_step(task, "Migrating virtual machine", state="running", parent=outer)
    add_line(task, "virsh migrate --live vmtest", step=outer, level="command")

    html = page(client_of(viewer), task)

    places = [html.index(text) for text in ("Migrate Virtual Environment vmtest</span>", "first message",
                                            "Migrating virtual machine", "virsh migrate --live vmtest")]  # fmt: skip
    assert places == sorted(places)
    assert f'data-topic="task:{task.pk}" data-after="{task.rev}"' in html
    assert 'id="log-steps" role="log" aria-label="Task steps"' in html
    assert re.search(r'class="lrow step d1 now" id="step-\d+"', html)


def test_only_steps_carry_a_status(viewer: Any, client_of: Any) -> None:
    task = make_task()
    step = add_step(task, "Starting the process")
    add_line(task, "a message", step=step)

    html = page(client_of(viewer), task)
    rows = html.split('id="log-steps"')[1].split("</section>")[0]

    assert rows.count('data-state="completed"') == 1
    assert "data-state" not in rows.split('id="line-')[1]


def test_figures_are_shown_with_their_units(viewer: Any, client_of: Any) -> None:
    figures = {"rate_mib": 112.4, "remaining_mib": 8601.6, "expected_pause_ms": 250, "secret": 1, "iteration": "x"}

    html = page(client_of(viewer), make_task(progress=88, progress_note="Iteration 3", figures=figures))

    stats = re.sub(r"<[^>]+>", " ", html.split('<dl class="stats">')[1].split("</dl>")[0])
    assert " ".join(stats.split()) == "Throughput 112 MiB/s Remaining 8.4 GiB Expected pause 250 ms"
    assert "88%" in html


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"state": "failed", "reason": "node1 is offline.", "advice": "Start it."}, "node1 is offline.</b> Start it."),
        ({"state": "waiting", "waiting_for": "Waits for 2 migrations on primary"}, "Waits for 2 migrations on primary"),
        ({"recovering": True}, "The worker that ran this task has died."),
        ({"state": "cancelled", "reason": "Cancelled by ana."}, "Cancelled by ana."),
    ],
)  # fmt: skip
def test_it_says_why_and_what_next(columns: dict[str, Any], words: str, viewer: Any, client_of: Any) -> None:
    html = page(client_of(viewer), make_task(**columns))

    assert words in html.split('id="task-notes"')[1]


def test_an_operator_may_cancel_and_a_viewer_may_not(operator: Any, viewer: Any, client_of: Any) -> None:
    task = make_task()

    assert "Cancel move" in page(client_of(operator), task)
    assert "Cancel move" not in page(client_of(viewer), task)


def test_a_task_past_its_point_of_no_return_says_why_it_cannot_be_cancelled(operator: Any, client_of: Any) -> None:
    html = page(client_of(operator), make_task(cancellable=False))

    assert re.search(r'<button type="submit" class="btn btn-d" disabled title="Past the point', html)


def test_only_what_ended_badly_can_be_retried(operator: Any, client_of: Any) -> None:
    client = client_of(operator)

    assert "Retry" in page(client, make_task(state="failed"))
    assert "Retry" not in page(client, make_task(state="completed"))
    assert "Retry" not in page(client, make_task(state="failed", kind="no.longer.known"))


def test_a_parent_lists_its_tasks_and_a_child_its_parent(viewer: Any, client_of: Any) -> None:
    parent = make_task("Evacuating node primary", state="waiting", waits_for_children=True, waiting_for="its tasks")
    done = make_task("Moving ct1", state="completed", parent=parent)
    make_task("Moving ct2", state="running", parent=parent, object_id=8)
    client = client_of(viewer)

    html = page(client, parent)

    assert "1 of 2 done, 1 runs" in html
    assert f'href="/tasks/{done.pk}/"' in html
    assert f'<a href="/tasks/{parent.pk}/">Evacuating node primary</a>' in page(client, done)


def test_a_long_log_shows_every_step_and_its_last_lines(viewer: Any, client_of: Any) -> None:
    from tasks.logbook import SHOWN_LINES

    task = make_task()
    step = add_step(task, "The only step", state="running")
    for number in range(SHOWN_LINES + 5):
        add_line(task, f"line number {number}.", step=step)
    client = client_of(viewer)

    html = page(client, task)

    assert "The only step" in html
    assert "5 earlier messages are not shown" in html
    assert "line number 4." not in html
    assert "line number 5." in html
    assert "line number 4." in page(client, task, "?lines=2000")
    assert page(client, task, "?lines=-1x")


def test_the_log_is_downloaded_as_text(viewer: Any, client_of: Any) -> None:
    task = make_task(state="failed", reason="secondnode1 is offline.", initiator_name="ana", source="192.168.243.20")
    outer = add_step(task, "Checking secondnode1", state="failed")
    add_line(task, "two\nlines", step=outer, level="error")
    add_line(task, "ping -c 1 secondnode1", step=outer, level="command")

    text = download(client_of(viewer), task, "txt")

    assert text.startswith(f"Task {task.pk}: Moving vmtest\nState: Failed\nReason: secondnode1 is offline.\n")
    assert "Initiator: ana from 192.168.243.20\n" in text
    step, first, second, command = text.strip().splitlines()[-4:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z  Checking secondnode1  \[Failed, 0\.0 s\]", step)
    assert first.endswith("Z    Error: two")
    assert second == " " * 28 + "lines"
    assert command.endswith("    $ ping -c 1 secondnode1")


def test_the_log_is_downloaded_as_json_without_gaps(viewer: Any, client_of: Any, monkeypatch: Any) -> None:
    from tasks import logbook

    monkeypatch.setattr(logbook, "CHUNK", 4)
    task = make_task()
    step = add_step(task, 'Checking "secondnode1"', state="running")
    for number in range(20):
        add_line(task, f"line {number}", step=step)

    found = json.loads(download(client_of(viewer), task, "json"))

    assert found["task"]["id"] == task.pk
    assert found["task"]["targets"] == [{"type": "ve", "id": 7, "name": "vmtest"}]
    assert [entry["seq"] for entry in found["entries"]] == list(range(1, 22))
    assert found["entries"][0] | {"at": None} == {
        "seq": 1, "type": "step", "at": None, "depth": 0, "title": 'Checking "secondnode1"', "state": "running",
        "note": "", "attempt": 1, "finished_at": None,
    }  # fmt: skip
    assert found["entries"][1]["step"] == 1


def test_a_download_is_streamed_by_the_asgi_server_too(viewer: Any) -> None:
    task = make_task()
    add_line(task, "hello")

    async def fetch() -> str:
        client = AsyncClient()
        await client.aforce_login(viewer)
        response = await client.get(f"/tasks/{task.pk}/log.txt", secure=True)
        assert response.is_async
        return b"".join([part async for part in response.streaming_content]).decode()

    assert async_to_sync(fetch)().endswith("hello\n")


def test_an_empty_log_is_a_valid_download(viewer: Any, client_of: Any) -> None:
    client, task = client_of(viewer), make_task(state="queued")

    assert json.loads(download(client, task, "json"))["entries"] == []
    assert "State: Queued" in download(client, task, "txt")


@pytest.mark.parametrize("path", ["", "log.txt", "log.json"])
def test_a_task_that_does_not_exist_is_not_found(path: str, viewer: Any, client_of: Any) -> None:
    response = client_of(viewer).get(f"/tasks/4711/{path}")

    assert response.status_code == 404
    assert "There is no task 4711." in response.content.decode()


@pytest.mark.parametrize("path", ["", "log.txt", "log.json"])
def test_a_scoped_viewer_sees_the_tasks_of_his_part_alone(path: str, make_user: Any, client_of: Any) -> None:
    client = client_of(make_user("ana", "viewer", scope=("node", 1)))

    assert client.get(f"/tasks/{make_task(nodes=['primary']).pk}/{path}").status_code == 200
    assert client.get(f"/tasks/{make_task(object_id=8).pk}/{path}").status_code == 404


def test_cancelling_takes_a_post(operator: Any, client_of: Any) -> None:
    client, task = client_of(operator), make_task()

    assert client.get(f"/tasks/{task.pk}/cancel/").status_code == 405
    assert Task.objects.get(pk=task.pk).cancel_requested_at is None
    response = client.post(f"/tasks/{task.pk}/cancel/")

    assert response.status_code == 302
    assert response["Location"] == f"/tasks/{task.pk}/"
    task.refresh_from_db()
    assert task.cancelled_by == "operator"
    assert task.cancel_requested_at is not None


def test_htmx_is_told_that_the_task_has_changed(operator: Any, client_of: Any) -> None:
    task = make_task()

    response = client_of(operator).post(f"/tasks/{task.pk}/cancel/", headers={"HX-Request": "true"})

    assert response.status_code == 204
    assert json.loads(response["HX-Trigger"]) == {"mooring:task-changed": {"id": task.pk}}


def test_a_refusal_is_answered_with_its_words(operator: Any, client_of: Any) -> None:
    client, task = client_of(operator), make_task(state="completed")

    response = client.post(f"/tasks/{task.pk}/cancel/", headers={"HX-Request": "true"})

    assert response.status_code == 409
    note = json.loads(response["HX-Trigger"])["mooring:note"]
    assert note["text"] == f"Task {task.pk} has ended already (Completed)."
    plain = client.post(f"/tasks/{task.pk}/cancel/", follow=True)
    assert f"Task {task.pk} has ended already (Completed)." in plain.content.decode()


def test_a_conflict_links_to_the_task_that_stands_in_the_way(operator: Any, client_of: Any) -> None:
    holder = move()
    task = make_task(state="failed", params={"ve_id": 7, "live": False})

    response = client_of(operator).post(f"/tasks/{task.pk}/retry/", headers={"HX-Request": "true"})

    assert response.status_code == 409
    note = json.loads(response["HX-Trigger"])["mooring:note"]
    assert note["text"] == f"vmtest is being moved (task {holder.pk})."
    assert note["url"] == f"/tasks/{holder.pk}/"


def test_a_viewer_can_neither_cancel_nor_retry_and_the_attempt_is_recorded(viewer: Any, client_of: Any) -> None:
    client = client_of(viewer)
    running, failed = make_task(), make_task(state="failed")

    assert client.post(f"/tasks/{running.pk}/cancel/").status_code == 403
    assert client.post(f"/tasks/{failed.pk}/retry/").status_code == 403

    running.refresh_from_db()
    failed.refresh_from_db()
    assert running.cancel_requested_at is None
    assert failed.state == "failed"
    assert AuditRecord.objects.filter(actor=viewer, result="refused").count() == 2


def test_retrying_takes_a_post_and_queues_another_attempt(operator: Any, client_of: Any) -> None:
    client, task = client_of(operator), make_task(state="failed", attempt=1)

    assert client.get(f"/tasks/{task.pk}/retry/").status_code == 405
    assert client.post(f"/tasks/{task.pk}/retry/").status_code == 302

    task.refresh_from_db()
    assert task.state == "queued"
    assert task.initiator == operator


def test_forms_without_their_token_are_refused_in_words(operator: Any, client_class: Any) -> None:
    client, task = client_class(enforce_csrf_checks=True), make_task()
    client.force_login(operator)

    response = client.post(f"/tasks/{task.pk}/cancel/")

    assert response.status_code == 403
    assert "Its security token is missing" in response.content.decode()
    assert Task.objects.get(pk=task.pk).cancel_requested_at is None


def test_a_page_needs_few_queries_however_long_the_log(
    viewer: Any, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    task = make_task(nodes=["primary", "secondnode1"])
    for number in range(30):
        add_line(task, "line", step=add_step(task, f"step {number}"))
    client = client_of(viewer)

    with django_assert_max_num_queries(13):
        page(client, task)
