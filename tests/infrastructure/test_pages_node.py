"""A node's page, its menus and dialogs."""

import json
import re
from typing import Any

import pytest

from infrastructure.models import Node
from infrastructure.services import nodes
from panel import series
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tasks.models import Task
from tests.infrastructure.page_rows import make_cluster, make_node, make_ve, silence

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def path(node: Node, action: str = "") -> str:
    return f"/infrastructure/nodes/{node.pk}/{action}"


@pytest.fixture
def node() -> Node:
    made: Node = make_cluster()["primary"]
    return made


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
@pytest.mark.parametrize("tab", ["", "?tab=ves", "?tab=network", "?tab=logs", "?tab=nonsense"])
def test_every_role_sees_every_tab(role: str, tab: str, node: Node, make_user: Any, client_of: Any) -> None:
    answer = client_of(make_user("somebody", role)).get(path(node, tab))

    assert answer.status_code == 200
    assert 'role="tablist" aria-label="Sections"' in answer.content.decode()


def test_a_viewer_finds_every_action_off_with_the_reason(viewer: User, node: Node, client_of: Any) -> None:
    html = client_of(viewer).get(path(node)).content.decode().split("<main")[1].split('id="dock"')[0]

    assert html.count('aria-disabled="true"') == 6
    assert "Your role does not allow this" in html
    assert "hx-post" not in html
    assert '<form method="post"' not in html


def test_an_operator_may_enter_maintenance_but_not_remove(operator: User, node: Node, client_of: Any) -> None:
    html = client_of(operator).get(path(node, "menu/"), headers=HTMX).content.decode()

    assert f'hx-get="{path(node, "maintenance/")}"' in html
    assert path(node, "remove/") not in html


def test_a_node_that_does_not_exist_is_not_found(viewer: User, client_of: Any) -> None:
    assert client_of(viewer).get("/infrastructure/nodes/999/").status_code == 404


def test_the_summary_is_a_fragment_of_its_own(viewer: User, node: Node, client_of: Any) -> None:
    html = client_of(viewer).get(path(node), headers={**HTMX, "HX-Target": "tab-panel"}).content.decode()

    assert html.strip().startswith('<div class="body" id="tab-panel"')
    assert 'id="node-capacity"' in html


def test_a_silent_node_shows_no_figure_as_current(viewer: User, node: Node, client_of: Any) -> None:
    silence(node)

    html = client_of(viewer).get(path(node)).content.decode()

    assert "primary does not answer." in html
    assert "Connection timed out." in html
    assert "20%" not in html


def test_graphs_are_drawn_from_the_series(
    viewer: User, node: Node, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = dict.fromkeys(series.COLUMNS["node"], (10.0, None, 30.0))
    monkeypatch.setattr(series, "fetch", lambda *args, **kwargs: series.Series((10, 20, 30), columns))

    html = client_of(viewer).get(path(node, "?range=6h")).content.decode()

    assert 'aria-label="CPU use over 6 h, 10% to 30%"' in html
    assert re.search(r'class="ln l1" d="M[^"]+M[^"]+"', html), "a gap interrupts the line"


def test_a_page_asks_as_much_of_many_ves_as_of_few(
    viewer: User, node: Node, client_of: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        make_ve(f"more-{number}", node)
    client = client_of(viewer)

    for tab in ("", "?tab=ves", "?tab=network", "?tab=logs"):
        with django_assert_max_num_queries(24):
            client.get(path(node, tab))


def test_maintenance_is_asked_and_set(operator: User, node: Node, client_of: Any) -> None:
    client = client_of(operator)
    dialog = client.get(path(node, "maintenance/"), headers=HTMX).content.decode()
    assert dialog.strip().startswith("<dialog")
    assert "Enter maintenance of primary" in dialog

    answer = client.post(path(node, "maintenance/"), {"enabled": "1"}, headers=HTMX)

    assert answer.status_code == 204
    assert json.loads(answer["HX-Trigger"])["mooring:note"]["text"] == "primary is in maintenance."
    node.refresh_from_db()
    assert node.maintenance
    assert AuditRecord.objects.filter(action="node.set_maintenance", target_id=str(node.pk)).exists()


def test_the_dialogs_are_pages_without_script(administrator: User, node: Node, client_of: Any) -> None:
    client = client_of(administrator)

    for action in ("maintenance/", "location/", "remove/"):
        html = client.get(path(node, action)).content.decode()
        assert "<html" in html
        assert "<dialog" in html


def test_a_location_is_saved_and_without_script_leads_back(administrator: User, node: Node, client_of: Any) -> None:
    answer = client_of(administrator).post(path(node, "location/"), {"room": "hall 1", "row": "", "rack": "a7"})

    assert (answer.status_code, answer["Location"]) == (302, path(node))
    node.refresh_from_db()
    assert node.location == "hall 1 / a7"


def test_a_location_that_is_too_long_keeps_what_was_entered(administrator: User, node: Node, client_of: Any) -> None:
    entered = {"room": "x" * 64, "row": "row 2", "rack": ""}

    answer = client_of(administrator).post(path(node, "location/"), entered, headers=HTMX)

    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Use at most 63 characters." in html
    assert 'aria-invalid="true"' in html
    assert 'value="row 2"' in html
    assert "x" * 64 in html


def test_setting_up_again_starts_one_task(administrator: User, node: Node, client_of: Any, sent: list[Any]) -> None:
    client = client_of(administrator)

    answers = [client.post(path(node, "onboard/"), headers=HTMX) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    task = Task.objects.get()
    assert all(json.loads(answer["HX-Trigger"])["mooring:task-started"]["id"] == task.pk for answer in answers)


def test_removing_is_refused_while_a_task_uses_the_node(
    administrator: User, node: Node, client_of: Any, sent: list[Any]
) -> None:
    client = client_of(administrator)
    client.post(path(node, "onboard/"), headers=HTMX)

    answer = client.post(path(node, "remove/"), headers=HTMX)

    assert answer.status_code == 409
    note = json.loads(answer["HX-Trigger"])["mooring:note"]
    assert note["tone"] == "crit"
    assert "task" in note["text"]
    assert answer["HX-Reswap"] == "none"
    assert Node.objects.filter(pk=node.pk).exists()


@pytest.mark.parametrize("action", ["onboard/"])
def test_a_get_changes_nothing(action: str, administrator: User, node: Node, client_of: Any) -> None:
    assert client_of(administrator).get(path(node, action)).status_code == 405


def test_adding_begins_with_the_address(administrator: User, client_of: Any) -> None:
    html = client_of(administrator).get("/infrastructure/nodes/add/").content.decode()

    assert "Show host key" in html


@pytest.mark.parametrize(
    "entered",
    [{"name": "", "address": "192.0.2.9", "ssh_port": "22"}, {"name": "new", "address": "", "ssh_port": "70000"}],
)
def test_a_form_with_faults_comes_back_with_what_was_entered(
    entered: dict[str, str], administrator: User, client_of: Any
) -> None:
    headers = {**HTMX, "HX-Target": "node-add"}

    answer = client_of(administrator).post("/infrastructure/nodes/add/", {"step": "look", **entered}, headers=headers)

    html = answer.content.decode()
    assert answer.status_code == 422
    assert 'role="alert"' in html
    for value in filter(None, entered.values()):
        assert f'value="{value}"' in html


def test_the_fingerprint_is_shown_to_compare_and_must_be_confirmed(
    administrator: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = "SHA256:" + "a" * 43
    shown = nodes.HostKey(line="ssh-ed25519 AAAA", fingerprint=fingerprint, type="ssh-ed25519")
    monkeypatch.setattr(nodes, "probe", lambda address, port: shown)
    monkeypatch.setattr(nodes, "panel_public_key", lambda: "ssh-ed25519 PANELKEY mooring")
    client = client_of(administrator)
    entered = {"name": "newnode", "address": "192.0.2.9", "ssh_port": "22"}

    second = client.post("/infrastructure/nodes/add/", {"step": "look", **entered}).content.decode()
    unconfirmed = client.post("/infrastructure/nodes/add/", {"step": "add", "fingerprint": fingerprint, **entered})

    assert fingerprint in second
    assert "ssh-ed25519 PANELKEY mooring" in second
    assert unconfirmed.status_code == 422
    assert "Compare the fingerprints first" in unconfirmed.content.decode()
    assert not Node.objects.exists()


def test_a_name_in_use_is_said_before_anything_is_trusted(
    administrator: User, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_node("primary")
    shown = nodes.HostKey(line="ssh-ed25519 AAAA", fingerprint="SHA256:" + "a" * 43, type="ssh-ed25519")
    monkeypatch.setattr(nodes, "probe", lambda address, port: shown)

    answer = client_of(administrator).post(
        "/infrastructure/nodes/add/", {"step": "look", "name": "primary", "address": "192.0.2.77", "ssh_port": "22"}
    )

    assert answer.status_code == 422
    assert "There is a node named primary already" in answer.content.decode()


@pytest.mark.parametrize(
    ("action", "kind"), [("services/", "restart_services"), ("certificates/", "reissue_certificates")]
)
def test_work_on_the_node_is_asked_and_started_once(
    action: str, kind: str, administrator: User, node: Node, client_of: Any, sent: list[Any]
) -> None:
    client = client_of(administrator)
    dialog = client.get(path(node, action), headers=HTMX).content.decode()
    assert dialog.strip().startswith("<dialog")
    assert "2 running VEs go on." in dialog

    answers = [client.post(path(node, action), headers=HTMX) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    task = Task.objects.get()
    assert task.kind == f"node.{kind}"
    assert AuditRecord.objects.filter(action=task.kind, result="ok", target_id=str(node.pk)).exists()


@pytest.mark.parametrize("action", ["services/", "certificates/"])
def test_work_on_the_node_names_what_stands_in_its_way(
    action: str, administrator: User, node: Node, client_of: Any, sent: list[Any]
) -> None:
    client = client_of(administrator)
    client.post(path(node, "onboard/"), headers=HTMX)
    task = Task.objects.get()

    dialog = client.get(path(node, action), headers=HTMX).content.decode()
    answer = client.post(path(node, action), headers=HTMX)

    assert f"Task {task.pk} is running: Setting up node primary" in dialog
    assert 'class="btn btn-p" autofocus disabled' in dialog
    assert answer.status_code == 409
    assert f"(task {task.pk})" in json.loads(answer["HX-Trigger"])["mooring:note"]["text"]
    assert Task.objects.count() == 1


def test_an_operator_restarts_services_but_issues_no_certificates(
    operator: User, node: Node, client_of: Any, sent: list[Any]
) -> None:
    client = client_of(operator)
    assert client.post(path(node, "certificates/"), headers=HTMX).status_code == 403
    assert client.post(path(node, "services/"), headers=HTMX).status_code == 204


def test_a_location_that_another_admin_changed_meanwhile_is_refused_with_the_change(
    administrator: User, node: Node, client_of: Any
) -> None:
    client = client_of(administrator)
    client.post(path(node, "location/"), {"room": "hall 1", "row": "", "rack": "a7", "seen": ""})
    entered = {"room": "cellar", "row": "", "rack": "", "seen": ""}
    answer = client.post(path(node, "location/"), entered, headers=HTMX)

    assert answer.status_code == 409
    shown = answer.content.decode()
    assert "hall 1 / a7" in shown, "it says what changed"
    assert 'value="cellar"' in shown, "what was entered is kept"
    node.refresh_from_db()
    assert node.location == "hall 1 / a7"
    again = client.post(path(node, "location/"), entered | {"seen": "hall 1 / a7"}, headers=HTMX)
    assert again.status_code == 204, "knowing of it, it can be replaced"
    node.refresh_from_db()
    assert node.location == "cellar"
