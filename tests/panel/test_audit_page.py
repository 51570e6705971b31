"""The audit page: read only, for administrators, searched by actor, action, result, object, text and day."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from panel.audit.models import AuditRecord
from panel.audit.services import record

pytestmark = pytest.mark.django_db


def text(client: Any, query: str = "", **headers: str) -> str:
    response = client.get(f"/audit/{query}", headers=headers or None)
    assert response.status_code == 200
    return str(response.content.decode())


def listed(client: Any, query: str = "") -> list[int]:
    return [int(pk) for pk in re.findall(r'<tr id="audit-(\d+)"', text(client, query))]


def test_it_is_for_administrators(viewer: Any, operator: Any, administrator: Any, client_of: Any) -> None:
    assert client_of(viewer).get("/audit/").status_code == 403
    assert client_of(operator).get("/audit/").status_code == 403
    assert client_of(administrator).get("/audit/").status_code == 200


def test_filters_narrow_the_list(administrator: Any, viewer: Any, client_of: Any) -> None:
    client = client_of(administrator)
    AuditRecord.objects.all().delete()
    moved = record(action="ve.migrate", actor=administrator, target=viewer, detail="Migrating vmtest", task_id=41)
    refused = record(action="node.remove", actor=viewer, result="refused", detail="lacks the permission node.manage")
    failed = record(action="account.login", result="failed", detail="wrong user name or password for 'root'")

    assert listed(client) == [failed.pk, refused.pk, moved.pk]
    assert listed(client, "?actor=view") == [refused.pk]
    assert listed(client, "?action=migrate") == [moved.pk]
    assert listed(client, "?result=refused") == [refused.pk]
    assert listed(client, "?target=viewer") == [moved.pk]
    assert listed(client, "?text=root") == [failed.pk]
    assert listed(client, "?source=192.0") == []
    assert listed(client, "?until=2001-01-01") == []
    assert listed(client, "?since=2001-01-01&sort=at") == [moved.pk, refused.pk, failed.pk]
    assert listed(client, "?result=nonsense&since=never") == [failed.pk, refused.pk, moved.pk]


def test_a_record_links_to_its_task(administrator: Any, client_of: Any) -> None:
    record(action="ve.migrate", actor=administrator, detail="Migrating vmtest", task_id=41)

    assert '<a href="/tasks/41/">41</a>' in text(client_of(administrator))


def test_who_is_not_signed_in_is_not_taken_for_mooring(administrator: Any, client_of: Any) -> None:
    client = client_of(administrator)
    AuditRecord.objects.all().delete()
    AuditRecord.objects.create(action="account.login", source="192.168.243.20", result="failed")
    AuditRecord.objects.create(action="task.reap")

    html = text(client)

    assert "Not signed in" in html
    assert '<td class="nw">Mooring</td>' in html


def test_what_a_stranger_typed_is_text_never_markup(administrator: Any, client_of: Any) -> None:
    payload = "<img src=x onerror=alert(1)>"
    record(action=payload, detail=payload)

    assert "<img" not in text(client_of(administrator))


def test_it_changes_nothing(administrator: Any, client_of: Any) -> None:
    client = client_of(administrator)

    assert client.post("/audit/").status_code == 405
    body = text(client).split('id="audit-table"')[1].split("</section>")[0]
    assert not re.search(r'<form[^>]*action="/audit/[^>]*method="post"|method="post"[^>]*action="/audit/', body)
    assert "formaction" not in body


def test_htmx_gets_the_table_alone_in_pages(administrator: Any, client_of: Any) -> None:
    client = client_of(administrator)
    for number in range(30):
        record(action=f"action {number}")

    html = text(client, "?rows=20", **{"HX-Request": "true"})

    assert html.lstrip().startswith('<section class="card" id="audit-table"')
    assert html.count('<tr id="audit-') == 20


def test_the_days_of_the_filter_are_those_of_the_browser_s_zone(administrator: Any, client_of: Any) -> None:
    client = client_of(administrator)
    AuditRecord.objects.all().delete()
    row = record(action="late")
    AuditRecord.objects.filter(pk=row.pk).update(at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    client.cookies["zone"] = "Europe/Berlin"

    assert listed(client, "?since=2026-03-02&until=2026-03-02") == [row.pk]
    assert listed(client, "?until=2026-03-01") == []
    assert "Europe/Berlin" in text(client)


def test_new_entries_are_announced_for_what_is_filtered_and_move_no_row(administrator: Any, client_of: Any) -> None:
    client = client_of(administrator)
    html = text(client, "?action=ve.")
    assert "data-refresh-every" not in html.split('id="audit-table"')[1].split(">")[0]
    address = unescape(re.search(r'hx-get="(/audit/news/[^"]+)"', html)[1])
    assert "new, show" not in client.get(address).content.decode()

    record(action="ve.migrate")
    record(action="node.remove")

    news = client.get(address).content.decode()
    assert '<span class="tn">1</span> new, show' in news
    assert 'href="/audit/?action=ve."' in news


def test_an_entry_has_a_page_with_all_of_it(administrator: Any, operator: Any, client_of: Any) -> None:
    row = record(action="user.add", actor=administrator, target=operator, detail="Operator of everything", task_id=41)

    html = client_of(administrator).get(f"/audit/{row.pk}/").content.decode()

    for part in ("user.add", f"/setup/users/{operator.pk}/", "/tasks/41/", "Operator of everything"):
        assert part in html


def test_the_name_of_a_deleted_user_stays(administrator: Any, operator: Any, client_of: Any) -> None:
    row = record(action="ve.migrate", actor=operator, target=operator)
    operator.delete()

    html = client_of(administrator).get(f"/audit/{row.pk}/").content.decode()

    assert 'operator <span class="t2">(deleted since)</span>' in html
    assert "operator" in text(client_of(administrator), "?actor=operator")


def test_the_page_asks_few_queries_however_many_rows_it_has(
    administrator: Any, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    client = client_of(administrator)
    for number in range(40):
        record(action=f"action {number}", actor=administrator, target=administrator, task_id=number + 1)

    with django_assert_max_num_queries(14):
        text(client)
