"""Saved views: kept for oneself or shared by an administrator, renamed, deleted, and never more than text."""

import re
from typing import Any

import pytest

from panel.accounts.models import User
from panel.accounts.roles import Role
from panel.audit.models import AuditRecord
from panel.preferences.models import LONGEST_QUERY, SavedView
from panel.preferences.services import MOST_VIEWS, InvalidView, clean_query, save_view
from tests.infrastructure.page_rows import make_cluster

pytestmark = pytest.mark.django_db
VES = "/infrastructure/ves/"
VIEWS = "/preferences/views/ves-table/"
ADD = f"{VIEWS}add/"
HTMX = {"HX-Request": "true"}


def add(client: Any, name: str, query: str = "status=stopped", **more: str) -> Any:
    return client.post(ADD, {"name": name, "query": query, "next": VES, **more}, headers=HTMX)


def page(client: Any, path: str = VES) -> str:
    return str(client.get(path).content.decode())


def test_a_view_keeps_filters_sort_and_columns_and_is_a_link_beside_the_chips(viewer: User, client_of: Any) -> None:
    make_cluster()
    client = client_of(viewer)
    assert "query=status%3Dstopped%26sort%3D-cpu%26columns%3Dstatus%252Cname" in page(
        client, f"{VES}?status=stopped&sort=-cpu&page=1&columns=status,name"
    )

    answer = add(client, "Stopped ones", "status=stopped&sort=-cpu&page=3&columns=status,name&q=")

    assert answer.status_code == 204
    view = SavedView.objects.get()
    assert view.query == "status=stopped&sort=-cpu&columns=status%2Cname"
    html = page(client)
    assert f'href="{VES}?status=stopped&amp;sort=-cpu&amp;columns=status%2Cname"' in html
    assert ">My views<" in html
    # Opened, it is the current one and the button bears its name.
    opened = page(client, f"{VES}?{view.query}")
    assert 'aria-current="true"><i class="ti ti-bookmark"' in opened
    # Each item has an id, or a morph would make the new link out of the item before it, with what that one does.
    items = re.findall(r'<a class="menu-item"[^>]*>', opened.split('id="ves-table-views"')[1].split('class="popup"')[0])
    assert len(items) == 3
    assert all(' id="ves-table-view-' in item for item in items)
    assert "2 VEs found" in opened


def test_views_are_those_of_one_list(viewer: User, client_of: Any) -> None:
    client = client_of(viewer)
    add(client, "Mine")

    assert "Mine" not in page(client, "/infrastructure/nodes/")


def test_a_private_view_is_nobody_elses(viewer: User, operator: User, administrator: User, client_of: Any) -> None:
    add(client_of(viewer), "Private one")
    view = SavedView.objects.get()

    for other in (operator, administrator):
        client = client_of(other)
        assert "Private one" not in page(client)
        for action in (f"{VIEWS}{view.pk}/", f"{VIEWS}{view.pk}/delete/"):
            assert client.post(action, {"name": "Taken"}).status_code == 404
    view.refresh_from_db()
    assert view.name == "Private one"


def test_an_administrator_shares_and_others_see_it(administrator: User, viewer: User, client_of: Any) -> None:
    add(client_of(administrator), "For all", shared="on")

    client = client_of(viewer)
    html = page(client)
    assert "For all" in html
    assert ">Shared views<" in html
    view = SavedView.objects.get()
    for action in (f"{VIEWS}{view.pk}/", f"{VIEWS}{view.pk}/delete/"):
        assert client.post(action, {"name": "Mine now", "shared": "on"}).status_code == 403
    assert AuditRecord.objects.filter(action="view.share", result="ok", target_name="For all").exists()
    assert AuditRecord.objects.filter(actor=viewer, action="view.delete", result="refused").exists()
    assert SavedView.objects.get().name == "For all"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_others_cannot_share(role: str, make_user: Any, client_of: Any) -> None:
    user = make_user("ana", role)
    client = client_of(user)

    assert add(client, "For all", shared="on").status_code == 403
    add(client, "Mine")
    view = SavedView.objects.get()
    assert client.post(f"{VIEWS}{view.pk}/", {"name": "Mine", "shared": "on"}).status_code == 403
    view.refresh_from_db()
    assert not view.shared
    assert AuditRecord.objects.filter(actor=user, result="refused", action__startswith="view.").count() == 2


def test_an_administrator_removes_what_somebody_shared(make_user: Any, administrator: User, client_of: Any) -> None:
    gone = make_user("gone", Role.ADMINISTRATOR)
    add(client_of(gone), "Left behind", shared="on")
    view = SavedView.objects.get()

    assert client_of(administrator).post(f"{VIEWS}{view.pk}/delete/", headers=HTMX).status_code == 200
    assert not SavedView.objects.exists()


def test_a_name_is_used_once_by_each_user(viewer: User, operator: User, client_of: Any) -> None:
    client = client_of(viewer)
    add(client, "Stopped")

    answer = add(client, "  stopped ", "q=other")
    assert answer.status_code == 422
    assert "There is a view named stopped already." in answer.content.decode()
    assert 'value="  stopped "' in answer.content.decode() or 'value="stopped"' in answer.content.decode()
    assert add(client_of(operator), "Stopped").status_code == 204
    assert SavedView.objects.count() == 2


def test_a_view_is_renamed_and_deleted(viewer: User, client_of: Any) -> None:
    client = client_of(viewer)
    add(client, "First")
    add(client, "Second")
    first = SavedView.objects.get(name="First")

    taken = client.post(f"{VIEWS}{first.pk}/", {"name": "Second"}, headers=HTMX)
    assert taken.status_code == 422
    assert "There is a view named Second already." in taken.content.decode()
    assert client.post(f"{VIEWS}{first.pk}/", {"name": "Third"}, headers=HTMX).status_code == 200
    assert sorted(SavedView.objects.values_list("name", flat=True)) == ["Second", "Third"]
    answer = client.post(f"{VIEWS}{first.pk}/delete/", headers=HTMX)
    assert "The view Third is deleted." in answer.content.decode()
    assert '"region": "ves-table"' in answer["HX-Trigger"]
    assert list(SavedView.objects.values_list("name", flat=True)) == ["Second"]


def test_markup_in_names_and_filters_stays_text(administrator: User, viewer: User, client_of: Any) -> None:
    payload = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    add(client_of(administrator), payload[:60], f"q={payload}&columns=name&{payload}=x", shared="on")
    client = client_of(viewer)

    view = SavedView.objects.get()
    for path in (VES, VIEWS, f"{VES}?{view.query}", f"{ADD}?query={payload}&next=javascript:alert(1)"):
        html = page(client, path)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert 'href="javascript' not in html


def test_limits_are_told(viewer: User) -> None:
    def save(name: str, query: str = "") -> None:
        save_view(user=viewer, table="ves-table", name=name, query=query, shared=False)

    for name, words in (("", "Enter a name"), ("  ", "Enter a name"), ("x" * 61, "at most 60")):
        with pytest.raises(InvalidView, match=words):
            save(name)
    with pytest.raises(InvalidView, match="too long"):
        save("long", "q=" + "x" * LONGEST_QUERY)
    for number in range(MOST_VIEWS):
        save(f"view {number}")
    with pytest.raises(InvalidView, match="Delete one"):
        save("one more")


def test_an_address_has_one_form() -> None:
    assert clean_query("?".lstrip("?") + "q=a&page=2&x=&sort=-cpu&csrfmiddlewaretoken=t") == "q=a&sort=-cpu"


def test_dialogs_are_pages_too(viewer: User, client_of: Any) -> None:
    client = client_of(viewer)
    add(client, "Mine")

    for path, title in ((ADD, "Save this view"), (VIEWS, "Views of Virtual environments")):
        html = page(client, path)
        assert "<!doctype html>" in html
        assert title in html
    assert client.get("/preferences/views/none/").status_code == 404
    plain = client.post(ADD, {"name": "Plain", "next": f"{VES}?q=a"})
    assert (plain.status_code, plain["Location"]) == (302, f"{VES}?q=a")
