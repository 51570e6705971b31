"""The trail as a file: exactly what is filtered, harmless in a spreadsheet, and itself recorded."""

import csv
import io
import json
from typing import Any

import pytest

from panel.audit import export
from panel.audit.models import AuditRecord
from panel.audit.services import record

pytestmark = pytest.mark.django_db


def fetched(client: Any, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.streaming
    return b"".join(answer.streaming_content).decode()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def trail(administrator: Any, client_of: Any) -> Any:
    """A client of the administrator, and a trail that holds nothing but what the test writes."""
    client = client_of(administrator)
    AuditRecord.objects.all().delete()
    return client


def test_it_has_what_is_filtered_on_all_pages_in_the_order_of_the_list(trail: Any) -> None:
    for number in range(60):
        record(action="ve.migrate", detail=f"round {number:02}")
    record(action="node.remove")

    found = rows_of(fetched(trail, "/audit/export.csv?action=ve.&sort=at&rows=20&page=2"))

    assert [row["detail"] for row in found] == [f"round {number:02}" for number in range(60)]


def test_both_formats_hold_the_same_entries(trail: Any, administrator: Any) -> None:
    record(action="ve.migrate", actor=administrator, target=administrator, detail='comma, "quote"\nline', task_id=41)

    comma = rows_of(fetched(trail, "/audit/export.csv?action=ve."))
    objects = json.loads(fetched(trail, "/audit/export.json?action=ve."))

    assert [{key: str(value) for key, value in each.items() if value is not None} for each in objects] == [
        {key: value for key, value in row.items() if value} for row in comma
    ]
    assert objects[0]["task"] == 41
    assert objects[0]["at"].endswith("+00:00")


@pytest.mark.parametrize("payload", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "  =1", "\r=1", "＝1"])
def test_what_a_stranger_typed_is_no_formula(trail: Any, payload: str) -> None:
    record(action="account.login", result="failed", detail=payload)

    (row,) = rows_of(fetched(trail, "/audit/export.csv?action=account.login"))

    assert row["detail"].startswith("'")
    assert json.loads(fetched(trail, "/audit/export.json?action=account.login"))[0]["detail"] == payload


def test_it_is_read_in_parts(trail: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    monkeypatch.setattr(export, "CHUNK", 10)
    ids = [record(action=f"action {number}").pk for number in range(25)]

    with django_assert_num_queries(3):
        parts = list(export.as_json(ids))

    assert len(json.loads("".join(parts))) == 25
    assert len(parts) == 5


def test_an_empty_export_is_still_a_file_of_its_kind(trail: Any) -> None:
    assert rows_of(fetched(trail, "/audit/export.csv?action=nothing")) == []
    assert json.loads(fetched(trail, "/audit/export.json?action=nothing")) == []


def test_the_export_is_recorded_with_its_filter_and_is_not_in_itself(trail: Any, administrator: Any) -> None:
    record(action="ve.migrate")

    assert len(rows_of(fetched(trail, "/audit/export.csv?action=ve."))) == 1

    row = AuditRecord.objects.get(action="audit.export")
    assert (row.actor_name, row.result) == (administrator.username, "ok")
    assert row.detail == "1 record as csv, filtered by action=ve."


def test_it_is_for_administrators(viewer: Any, operator: Any, client_of: Any, client_class: Any) -> None:
    for user in (viewer, operator):
        assert client_of(user).get("/audit/export.csv").status_code == 403
    assert client_class().get("/audit/export.json").status_code == 302
