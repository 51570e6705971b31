"""The dialog of a bulk action: who can, who cannot and why, who goes where; and what a POST starts."""

import re
from typing import Any

import pytest
from django.urls import reverse

from infrastructure.models import VE, Node
from infrastructure.services import power
from panel.accounts.models import User
from panel.accounts.roles import Role
from panel.audit.models import AuditRecord
from tasks.models import Task
from tests.infrastructure.page_rows import GIB, make_cluster, make_node, make_ve, silence

pytestmark = pytest.mark.django_db
DIALOG = "/infrastructure/bulk/"
BAR = "/infrastructure/bulk/bar/"


@pytest.fixture
def rows(sent: Any) -> dict[str, Any]:
    return make_cluster()


@pytest.fixture
def client(operator: User, client_of: Any) -> Any:
    return client_of(operator)


def ids(rows: dict[str, Any], *names: str) -> list[int]:
    return [rows[name].pk for name in names]


def lines(html: str) -> dict[str, str]:
    """Name → what happens, as the preview lists it."""
    found = re.findall(r'<tr data-object="\d+".*?</tr>', html, re.S)
    texts = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in found]
    return {text.split()[0]: text.split(maxsplit=2)[-1] for text in texts}


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found is not None, f"the form has no field {name}"
    return found[1]


def dialog(client: Any, action: str, ves: list[int], **more: Any) -> str:
    answer = client.get(DIALOG, {"action": action, "ve": ves, **more})
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_dialog_says_for_each_what_happens_or_why_not(client: Any, rows: dict[str, Any]) -> None:
    power.pause(user=None, ve=rows["vmd-cli"])

    html = dialog(client, "stop", ids(rows, "vmtest", "ct1", "vm2", "vmd-cli"))

    assert "Stop 2 VEs" in html
    found = lines(html)
    assert found["vm2"].endswith("Left out: vm2 is stopped")
    assert "Left out: Task" in found["vmd-cli"]
    assert "Left out" not in found["vmtest"] + found["ct1"]
    assert "2 running VEs would be shut down. 2 cannot, and are left out." in html
    assert sorted(hidden(html, "leave").split(",")) == sorted(map(str, ids(rows, "vm2", "vmd-cli")))


def test_ids_come_one_by_one_or_in_one_field_and_nonsense_is_left_out(client: Any, rows: dict[str, Any]) -> None:
    one, two = ids(rows, "vmtest", "ct1")

    assert "Stop 2 VEs" in dialog(client, "stop", [f"{one},{two},{two}", "x", "-3", "9" * 40])  # type: ignore[list-item]
    assert client.get(DIALOG, {"action": "nonsense", "ve": one}).status_code == 404
    assert "None of the VEs can do this now" in dialog(client, "stop", [])


def test_all_that_the_filters_find_can_be_meant(client: Any, rows: dict[str, Any]) -> None:
    html = dialog(client, "start", [], found="status=stopped")
    assert sorted(lines(html)) == ["cttest", "vm2"]
    # On a node's own list only its VEs are meant.
    html = dialog(client, "start", [], found="status=stopped", scope=f"node:{rows['primary'].pk}")
    assert sorted(lines(html)) == ["vm2"]


def test_more_than_one_action_takes_is_said(client: Any, rows: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from infrastructure.views import bulk_preview, bulk_selection

    for module in (bulk_selection, bulk_preview):
        monkeypatch.setattr(module, "MOST_OBJECTS", 4)

    html = dialog(client, "stop", [], found="")

    assert len(lines(html)) == 4
    assert "2 more were found; one action takes at most 4." in html


def test_a_post_starts_what_was_shown(client: Any, rows: dict[str, Any]) -> None:
    html = dialog(client, "stop", ids(rows, "vmtest", "ct1", "vm2"))
    values = {name: hidden(html, name) for name in ("action", "ve", "leave", "form")}

    entered = {**values, "at_most": "1", "minutes": "5", "force": "on"}
    answer = client.post(DIALOG, entered, headers={"HX-Request": "true"})

    task = Task.objects.get()
    assert answer.status_code == 204
    assert str(task.pk) in answer["HX-Trigger"]
    assert task.params["ve_ids"] == sorted(ids(rows, "vmtest", "ct1"), key=lambda pk: VE.objects.get(pk=pk).name)
    assert (task.params["at_most"], task.params["force_after"]) == (1, 300)
    # The same dialog again, by a second click, finds the task.
    client.post(DIALOG, entered)
    assert Task.objects.count() == 1


def test_a_wrong_value_keeps_what_was_entered_and_says_how_to_fix_it(client: Any, rows: dict[str, Any]) -> None:
    answer = client.post(DIALOG, {"action": "stop", "ve": ids(rows, "vmtest"), "at_most": "99", "minutes": "7"})

    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Use 1 to 50." in html
    assert 'value="99"' in html
    assert 'value="7"' in html
    assert not Task.objects.exists()


def test_a_viewer_is_refused_and_the_attempt_is_written_down(
    viewer: User, client_of: Any, rows: dict[str, Any]
) -> None:
    client = client_of(viewer)

    assert client.post(DIALOG, {"action": "start", "ve": ids(rows, "vm2")}).status_code == 403
    assert client.get(DIALOG, {"action": "start", "ve": ids(rows, "vm2")}).status_code == 403
    assert AuditRecord.objects.filter(actor=viewer, result="refused", action__contains=DIALOG).exists()
    assert not Task.objects.exists()


def test_an_operator_of_one_node_is_not_shown_the_others_and_cannot_send_them_either(
    rows: dict[str, Any], make_user: Any, client_of: Any
) -> None:
    client = client_of(make_user("ana", Role.OPERATOR, ("node", rows["primary"].pk)))

    assert list(lines(dialog(client, "stop", ids(rows, "vmtest", "vmd-cli")))) == ["vmtest"]
    assert sorted(lines(dialog(client, "start", [], found=""))) == ["ct1", "vm2", "vmtest"]

    answer = client.post(DIALOG, {"action": "stop", "ve": ids(rows, "vmtest", "vmd-cli"), "at_most": "2"})
    assert answer.status_code == 403
    assert AuditRecord.objects.filter(action="bulk.stop", target_name="vmd-cli", result="refused").exists()
    assert not Task.objects.exists()


# Migrations


def test_each_goes_where_most_memory_is_left(client: Any, rows: dict[str, Any]) -> None:
    Node.objects.filter(name="secondnode1").update(memory_free=30 * GIB)
    Node.objects.filter(name="secondnode2").update(memory_free=28 * GIB)
    for number in range(3):
        make_ve(f"big{number}", rows["primary"], memory_bytes=10 * GIB)

    html = dialog(client, "migrate", list(VE.objects.filter(name__startswith="big").values_list("pk", flat=True)))

    found = lines(html)
    assert "primary → secondnode1" in found["big0"]
    assert "primary → secondnode2" in found["big1"]
    assert "primary → secondnode1" in found["big2"]


def test_a_target_that_would_be_over_its_memory_is_refused(client: Any, rows: dict[str, Any]) -> None:
    small = make_node("small", memory_bytes=16 * GIB, memory_free=9 * GIB)
    ves = [make_ve(f"big{number}", rows["primary"], memory_bytes=5 * GIB) for number in range(2)]

    html = dialog(client, "migrate", [ve.pk for ve in ves], target=small.pk)

    found = lines(html)
    assert "primary → small" in found["big0"]
    assert "not enough memory" in found["big1"]
    # Sent all the same, nothing is started, and the dialog says why.
    answer = client.post(DIALOG, {**options(small.pk), "ve": [ve.pk for ve in ves]})
    assert answer.status_code == 422
    assert "not enough memory" in answer.content.decode()
    assert not Task.objects.exists()


def options(target: int) -> dict[str, Any]:
    """What the dialog of a migration sends when nothing is changed in it."""
    return {
        "action": "migrate",
        "target": target,
        "at_most": 2,
        "bandwidth_mib": 0,
        "max_downtime_ms": 300,
        "pause_limit_ms": 0,
    }


def test_what_was_shown_is_what_is_done_although_another_node_would_be_chosen_now(
    client: Any, rows: dict[str, Any]
) -> None:
    Node.objects.filter(name="secondnode1").update(memory_free=50 * GIB)
    html = dialog(client, "migrate", ids(rows, "vmtest"))
    assert hidden(html, "place") == f"{rows['vmtest'].pk}:{rows['secondnode1'].pk}"
    Node.objects.filter(name="secondnode2").update(memory_free=60 * GIB)

    client.post(DIALOG, {**options(0), "ve": hidden(html, "ve"), "place": hidden(html, "place")})

    moves = Task.objects.get().params["moves"]
    assert [(each["ve_id"], each["target_id"]) for each in moves] == [(rows["vmtest"].pk, rows["secondnode1"].pk)]


def test_what_runs_and_cannot_move_live_needs_consent_to_its_stop(client: Any, rows: dict[str, Any]) -> None:
    chosen = ids(rows, "ct1", "vm2")

    found = lines(dialog(client, "migrate", chosen))
    assert found["ct1"].endswith("Left out: ct1 cannot move while it runs")
    assert found["vm2"].endswith(", stopped")
    assert lines(dialog(client, "migrate", chosen, stop="on"))["ct1"].endswith(", stopped for the move")
    client.post(DIALOG, {**options(rows["secondnode1"].pk), "ve": chosen, "stop": "on"})
    moves = Task.objects.get().params["moves"]
    assert [each["live"] for each in moves] == [False, False]


# Nodes


def node_dialog(client: Any, action: str, nodes: list[int]) -> str:
    answer = client.get(DIALOG, {"action": action, "node": nodes})
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_nodes_enter_maintenance_together_and_each_is_audited(client: Any, rows: dict[str, Any]) -> None:
    Node.objects.filter(name="secondnode2").update(maintenance=True)
    chosen = ids(rows, "primary", "secondnode1", "secondnode2")

    html = node_dialog(client, "enter_maintenance", chosen)
    assert lines(html)["secondnode2"].endswith("Left out: secondnode2 is in maintenance already")
    answer = client.post(
        DIALOG, {"action": "enter_maintenance", "node": hidden(html, "node"), "leave": hidden(html, "leave")}
    )

    assert answer.status_code == 302
    assert Node.objects.filter(maintenance=True).count() == 3
    audited = AuditRecord.objects.filter(action="node.set_maintenance", result="ok")
    assert sorted(audited.values_list("target_name", flat=True)) == ["primary", "secondnode1"]


def test_one_node_that_cannot_does_not_keep_the_others_back(client: Any, rows: dict[str, Any]) -> None:
    fresh = make_node("fresh", state="new")

    answer = client.post(
        DIALOG,
        {"action": "enter_maintenance", "node": [rows["primary"].pk, fresh.pk]},
        headers={"HX-Request": "true"},
    )

    assert "1 node is in maintenance. fresh is not set up yet." in answer["HX-Trigger"]
    assert list(Node.objects.filter(maintenance=True).values_list("name", flat=True)) == ["primary"]


def test_a_location_is_for_administrators(
    client: Any, administrator: User, client_of: Any, rows: dict[str, Any]
) -> None:
    values = {"action": "location", "node": ids(rows, "primary", "secondnode1"), "room": "r1", "row": "", "rack": "a"}

    assert client.post(DIALOG, values).status_code == 403
    assert not Node.objects.exclude(room="").exists()
    assert client_of(administrator).post(DIALOG, values).status_code == 302
    assert Node.objects.filter(room="r1", rack="a").count() == 2


# The bar


def bar(client: Any, **data: Any) -> str:
    answer = client.get(BAR, data)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_bar_says_the_effect_and_why_an_action_fits_none(client: Any, rows: dict[str, Any]) -> None:
    html = bar(client, of="ve", ve=ids(rows, "vmtest", "ct1", "vm2"))
    assert "2 running VEs would be moved or stopped" in html
    html = bar(client, of="ve", ve=ids(rows, "vm2"))
    assert re.search(r'id="bulk-stop"[^>]*disabled title="vm2 is stopped"', html)
    html = bar(client, of="node", node=ids(rows, "primary", "secondnode1"))
    assert "2 running VEs on them would keep running" in html
    assert "bulk-location" not in html
    assert client.get(BAR, {"of": "user"}).status_code == 404


def test_the_bar_names_what_is_gone(client: Any, rows: dict[str, Any]) -> None:
    assert 'data-gone="999"' in bar(client, of="ve", ve=[rows["vmtest"].pk, 999])


def test_a_silent_node_is_not_asked_to_do_anything(client: Any, rows: dict[str, Any]) -> None:
    silence(rows["primary"])

    assert "primary does not answer" in lines(dialog(client, "stop", ids(rows, "vmtest")))["vmtest"]


@pytest.mark.parametrize("many", [3, 60])
def test_dialog_and_bar_ask_as_much_of_60_as_of_3(
    many: int, client: Any, rows: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    ves = [make_ve(f"m{number}", rows["primary"]).pk for number in range(many)]

    with django_assert_max_num_queries(8):
        bar(client, of="ve", ve=ves)
    with django_assert_max_num_queries(16):
        dialog(client, "migrate", ves)


def test_only_lists_of_those_who_may_do_something_can_be_selected_in(
    client: Any, viewer: User, client_of: Any, rows: dict[str, Any]
) -> None:
    for name in ("infrastructure:nodes", "infrastructure:ves"):
        assert "data-select-page" in client.get(reverse(name)).content.decode()
        assert "data-select-page" not in client_of(viewer).get(reverse(name)).content.decode()


def test_markup_in_a_name_stays_text(client: Any, rows: dict[str, Any]) -> None:
    payload = "\"><script>alert(1)</script>'"
    ve = make_ve(payload, make_node("<b>n</b>"))

    for html in (dialog(client, "migrate", [ve.pk]), bar(client, of="ve", ve=[ve.pk])):
        assert "<script>alert" not in html
        assert "<b>n</b>" not in html
