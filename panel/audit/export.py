"""The trail as a file. The entries are chosen once, then read in parts: a slow reader holds no transaction open."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from panel.audit.models import AuditRecord

CHUNK = 500
COLUMNS = ("id", "at", "actor", "source", "action", "target_type", "target_id", "target", "result", "detail", "task")
# A spreadsheet takes a cell that begins so for a formula, and what is recorded was typed by strangers.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def as_csv(ids: list[int]) -> Iterator[str]:
    """Comma-separated with a header; times in UTC. A cell that could be a formula begins with an apostrophe."""
    yield _row(COLUMNS)
    for facts in _facts(ids):
        yield "".join(_row([_harmless(each[name]) for name in COLUMNS]) for each in facts)


def as_json(ids: list[int]) -> Iterator[str]:
    """An array of objects; times in UTC."""
    yield "["
    between = "\n"
    for facts in _facts(ids):
        yield between + ",\n".join(json.dumps(each, ensure_ascii=False) for each in facts)
        between = ",\n"
    yield "\n]\n"


FORMATS = {"csv": (as_csv, "text/csv; charset=utf-8"), "json": (as_json, "application/json")}


def _facts(ids: list[int]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(ids), CHUNK):
        wanted = ids[start : start + CHUNK]
        found = AuditRecord.objects.in_bulk(wanted)
        yield [_entry(found[id]) for id in wanted if id in found]


def _entry(record: AuditRecord) -> dict[str, Any]:
    return {
        "id": record.pk,
        "at": record.at.isoformat(),
        "actor": record.actor_name,
        "source": record.source,
        "action": record.action,
        "target_type": record.target_type,
        "target_id": record.target_id,
        "target": record.target_name,
        "result": record.result,
        "detail": record.detail,
        "task": record.task_id,
    }


def _harmless(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text


def _row(cells: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
