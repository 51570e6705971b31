"""A VE's page, its actions and the Migrate dialog."""

import json
import re
from typing import Any

import pytest

from infrastructure.models import VE, Node
from infrastructure.services import preflight
from infrastructure.services.preflight import Check
from panel.accounts.models import RoleBinding, User
from tasks.models import Task, TaskLock
from tests.infrastructure.page_rows import make_cluster, silence

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def path(ve: VE, action: str = "") -> str:
    return f"/infrastructure/ves/{ve.pk}/{action}"


@pytest.fixture
def cluster() -> dict[str, Any]:
    return make_cluster()


@pytest.fixture
def ve(cluster: dict[str, Any]) -> VE:
    found: VE = cluster["vmtest"]
    return found


def main_of(client: Any, ve: VE, query: str = "") -> str:
    return str(client.get(path(ve, query)).content.decode().split("<main")[1].split('id="dock"')[0])


def button(html: str, label: str) -> str:
    """The markup of a toolbar button."""
    found = re.search(rf"<(?:button|a)(?:(?!<(?:button|a)).)*?</i>{label}(?:<i[^>]*></i>)?</(?:button|a)>", html, re.S)
    assert found, f"no button {label}"
    return found.group()


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
@pytest.mark.parametrize("name", ["vmtest", "vm2", "ct1", "vmd-desktop"])
def test_every_role_sees_every_ve(
    role: str, name: str, cluster: dict[str, Any], make_user: Any, client_of: Any
) -> None:
    client = client_of(make_user("somebody", role))

    for tab in ("", "?tab=logs"):
        assert client.get(path(cluster[name], tab)).status_code == 200


def test_a_viewer_finds_every_action_off(viewer: User, ve: VE, client_of: Any) -> None:
    html = main_of(client_of(viewer), ve)

    for label in ("Start", "Stop", "Restart", "Pause", "Console", "Migrate"):
        assert "disabled" in button(html, label)
    assert "hx-post" not in html
    assert "Your role does not allow this" in html


def test_actions_follow_the_state(operator: User, cluster: dict[str, Any], client_of: Any) -> None:
    client = client_of(operator)

    running = main_of(client, cluster["vmtest"])
    assert 'disabled title="vmtest is running"' in button(running, "Start")
    assert "disabled" not in button(running, "Restart")
    stopped = main_of(client, cluster["vm2"])
    assert "disabled" not in button(stopped, "Start")
    assert "disabled" not in button(stopped, "Migrate")
    assert "disabled" not in button(main_of(client, cluster["vmd-desktop"]), "Resume")
    assert "disabled" not in button(main_of(client, cluster["ct1"]), "Migrate")


def test_nothing_can_be_asked_of_a_ve_whose_node_is_silent(operator: User, ve: VE, client_of: Any) -> None:
    assert ve.node is not None
    silence(ve.node)

    html = main_of(client_of(operator), ve)

    assert 'disabled title="primary does not answer"' in button(html, "Restart")
    assert "Whether vmtest runs is not known" in html


def test_a_running_task_stands_in_the_way_and_is_linked(operator: User, ve: VE, client_of: Any) -> None:
    task = Task.objects.create(
        kind="ve.migrate", title="Migrating vmtest", queue="migrate", params_hash="x", state="running"
    )
    TaskLock.objects.create(key=f"ve:{ve.pk}", task=task)
    VE.objects.filter(pk=ve.pk).update(state="migrating", migrating_to=Node.objects.get(name="secondnode1"))

    html = main_of(client_of(operator), ve)

    assert "vmtest is being migrated to secondnode1." in html
    assert f'href="/tasks/{task.pk}/"' in html
    assert f"Task {task.pk} is running: Migrating vmtest" in button(html, "Migrate")
    assert "disabled" not in button(html, "Console")


@pytest.mark.parametrize(
    ("action", "name", "kind"),
    [
        ("start/", "vm2", "ve.start"),
        ("stop/", "vmtest", "ve.stop"),
        ("force-off/", "vmtest", "ve.force_off"),
        ("restart/", "vmtest", "ve.restart"),
        ("pause/", "vmtest", "ve.pause"),
        ("resume/", "vmd-desktop", "ve.resume"),
    ],
)
def test_an_action_starts_its_task(
    action: str, name: str, kind: str, operator: User, cluster: dict[str, Any], client_of: Any, sent: list[Any]
) -> None:
    answer = client_of(operator).post(path(cluster[name], action), headers=HTMX)

    task = Task.objects.get()
    assert (answer.status_code, task.kind) == (204, kind)
    assert json.loads(answer["HX-Trigger"])["mooring:task-started"]["id"] == task.pk


def test_without_script_an_action_leads_to_its_task(operator: User, ve: VE, client_of: Any, sent: list[Any]) -> None:
    answer = client_of(operator).post(path(ve, "restart/"))

    assert (answer.status_code, answer["Location"]) == (302, f"/tasks/{Task.objects.get().pk}/")


def test_a_conflict_names_the_task_and_links_to_it(operator: User, ve: VE, client_of: Any, sent: list[Any]) -> None:
    client = client_of(operator)
    client.post(path(ve, "restart/"), headers=HTMX)

    answer = client.post(path(ve, "pause/"), headers=HTMX)

    task = Task.objects.get()
    assert answer.status_code == 409
    note = json.loads(answer["HX-Trigger"])["mooring:note"]
    assert note["url"] == f"/tasks/{task.pk}/"
    assert str(task.pk) in note["text"]


@pytest.mark.parametrize("action", ["start/", "restart/", "pause/", "resume/"])
def test_a_get_changes_nothing(action: str, operator: User, ve: VE, client_of: Any) -> None:
    assert client_of(operator).get(path(ve, action)).status_code == 405
    assert not Task.objects.exists()


def test_forcing_asks_for_consent_and_names_the_effect(operator: User, ve: VE, client_of: Any) -> None:
    html = client_of(operator).get(path(ve, "force-off/"), headers=HTMX).content.decode()

    assert html.strip().startswith("<dialog")
    assert "vmtest loses what it has not written to its disks." in html
    assert not Task.objects.exists()


def test_stopping_forces_only_with_consent(operator: User, ve: VE, client_of: Any, sent: list[Any]) -> None:
    client = client_of(operator)

    refused = client.post(path(ve, "stop/"), {"force_after": "99999"}, headers=HTMX)
    accepted = client.post(path(ve, "stop/"), {"force_after": "90"}, headers=HTMX)

    assert refused.status_code == 422
    assert "Use 1 to 3,600." in refused.content.decode()
    assert 'value="99999"' in refused.content.decode()
    assert accepted.status_code == 204
    assert Task.objects.get().params["force_after"] == 90


def test_the_migrate_dialog_opens_from_the_database(
    operator: User, ve: VE, cluster: dict[str, Any], client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Node.objects.filter(name="secondnode2").update(maintenance=True)
    monkeypatch.setattr(preflight, "run", lambda *args, **kwargs: pytest.fail("no engine may be asked"))

    html = client_of(operator).get(path(ve, "migrate/"), headers=HTMX).content.decode()

    assert html.strip().startswith("<dialog")
    assert "2 nodes: 1 ready, 1 blocked" in html
    assert "Node is in maintenance" in html
    assert f'hx-get="{path(ve, "migrate/checks/")}" hx-include="#migrate-form" hx-trigger="load"' in html
    submit = re.search(r'<button type="submit" form="migrate-form".*?</button>', html, re.S)
    assert submit is not None
    assert "disabled" in submit.group()
    assert "Migrate to secondnode1" in submit.group()


@pytest.mark.parametrize(
    ("state", "enabled"), [("passed", True), ("warning", True), ("failed", False), ("unknown", False)]
)
def test_only_passed_checks_enable_the_button(
    state: Any,
    enabled: bool,
    operator: User,
    ve: VE,
    cluster: dict[str, Any],
    client_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checks = [
        Check("online", "Target online", "passed", "secondnode1 answers"),
        Check("memory", "Memory", state, "so", "do"),
    ]
    monkeypatch.setattr(preflight, "run", lambda *args, **kwargs: checks)

    html = client_of(operator).get(path(ve, f"migrate/checks/?target={cluster['secondnode1'].pk}"), headers=HTMX)

    shown = html.content.decode()
    submit = shown[shown.index('<button type="submit"') :]
    assert ("disabled" not in submit) is enabled
    assert 'hx-swap-oob="true"' in submit
    assert f'data-check="memory" data-state="{state}"' in shown


def test_a_migration_starts_with_its_options(
    operator: User, ve: VE, cluster: dict[str, Any], client_of: Any, sent: list[Any]
) -> None:
    values = {
        "target": cluster["secondnode1"].pk,
        "bandwidth_mib": "16",
        "max_downtime_ms": "250",
        "auto_converge": "on",
    }

    answer = client_of(operator).post(path(ve, "migrate/"), values, headers=HTMX)

    task = Task.objects.get()
    assert answer.status_code == 204
    assert task.kind == "ve.migrate"
    assert task.params["target_id"] == cluster["secondnode1"].pk
    assert (task.params["bandwidth_mib"], task.params["max_downtime_ms"], task.params["auto_converge"]) == (
        16,
        250,
        True,
    )


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("bandwidth_mib", "-1", "Use 0 to"),
        ("bandwidth_mib", "fast", "Enter a whole number."),
        ("max_downtime_ms", "0", "Use 1 to"),
        ("target", "", "Choose a target node."),
        ("target", "987654", "This node cannot be chosen"),
    ],
)
def test_a_faulty_value_comes_back_with_all_that_was_entered(
    field: str, value: str, words: str, operator: User, ve: VE, cluster: dict[str, Any], client_of: Any
) -> None:
    values = {"target": cluster["secondnode1"].pk, "bandwidth_mib": "16", "max_downtime_ms": "250", field: value}

    answer = client_of(operator).post(path(ve, "migrate/"), values, headers=HTMX)

    html = answer.content.decode()
    assert answer.status_code == 422
    assert words in html
    assert html.strip().startswith("<dialog")
    if field != "bandwidth_mib":
        assert 'value="16"' in html
    if field != "target":
        assert re.search(rf'value="{cluster["secondnode1"].pk}" data-name="secondnode1" checked', html)
    assert not Task.objects.exists()


def test_offline_is_told_with_its_pause_and_keeps_what_was_entered(
    operator: User, ve: VE, cluster: dict[str, Any], client_of: Any
) -> None:
    entered = {"mode": "offline", "bandwidth_mib": "17", "max_downtime_ms": "250", "copy_disks": "on"}

    html = client_of(operator).get(path(ve, "migrate/"), entered, headers=HTMX).content.decode()

    assert re.search(r'value="offline" checked', html)
    assert f"{ve} is shut down and does not run for about 30 s." in html
    assert 'value="17"' in html
    assert '<input type="hidden" name="max_downtime_ms" value="250">' in html
    assert re.search(r'name="copy_disks"[^>]* checked', html)
    assert "Slow down the guest" not in html


def test_a_container_moves_offline_only(operator: User, cluster: dict[str, Any], client_of: Any) -> None:
    html = client_of(operator).get(path(cluster["ct1"], "migrate/"), headers=HTMX).content.decode()

    assert re.search(r'value="live" disabled', html)
    assert "libvirt moves containers offline only" in html
    assert re.search(r'value="offline" checked', html)


def test_an_offline_move_starts_whatever_the_hidden_live_options_hold(
    operator: User, cluster: dict[str, Any], client_of: Any, sent: list[Any]
) -> None:
    ct = cluster["ct1"]
    target = next(node for node in Node.objects.all() if node.pk != ct.node_id)
    values = {"mode": "offline", "target": target.pk, "bandwidth_mib": "5", "max_downtime_ms": "no number"}

    answer = client_of(operator).post(path(ct, "migrate/"), values | {"force_off": "on"}, headers=HTMX)

    task = Task.objects.get()
    assert answer.status_code == 204
    assert (task.kind, task.params["bandwidth_mib"], task.params["force_off"]) == ("ve.move", 5, True)


def test_the_pause_of_an_offline_move_is_estimated_from_earlier_ones(
    operator: User, ve: VE, cluster: dict[str, Any], client_of: Any
) -> None:
    for milliseconds in (7000, 9000, 30000):
        Task.objects.create(
            kind="ve.move", title="x", queue="migrate", params_hash="x", state="completed", object_type="ve",
            object_id=ve.pk, figures={"restart_ms": milliseconds},
        )  # fmt: skip

    html = client_of(operator).get(path(ve, "migrate/"), {"mode": "offline"}, headers=HTMX).content.decode()

    assert "does not run for about 9 s as measured before" in html


@pytest.mark.parametrize("action", ["migrate/", "migrate/checks/", "start/", "stop/", "force-off/"])
def test_a_viewer_is_refused(action: str, viewer: User, ve: VE, client_of: Any) -> None:
    client = client_of(viewer)

    assert client.get(path(ve, action)).status_code == 403
    assert client.post(path(ve, action)).status_code == 403
    assert not Task.objects.exists()


def test_a_right_over_another_node_is_not_enough(
    ve: VE, cluster: dict[str, Any], make_user: Any, client_of: Any
) -> None:
    user = make_user("scoped", "operator", scope=("node", cluster["secondnode1"].pk))
    client = client_of(user)

    assert client.get(path(ve)).status_code == client.get(path(ve, "migrate/")).status_code == 404
    assert client.post(path(ve, "restart/")).status_code == 404
    RoleBinding.objects.create(user=user, role="viewer")  # now he sees it
    client = client_of(user)
    assert client.get(path(ve, "migrate/")).status_code == 403
    assert client.post(path(ve, "restart/")).status_code == 403
    assert "disabled" in button(main_of(client, ve), "Restart")
    assert not Task.objects.exists()


@pytest.mark.parametrize("action", ["", "migrate/", "stop/", "force-off/", "console/"])
def test_the_head_of_every_page_is_read_again_as_a_head(action: str, operator: User, ve: VE, client_of: Any) -> None:
    client = client_of(operator)
    html = client.get(path(ve, action)).content.decode()
    found = re.search(r'id="page-title"[^>]* hx-get="([^"]+)"', html)
    assert found

    answer = client.get(found[1], headers={**HTMX, "HX-Target": "page-title"}).content.decode()

    assert answer.lstrip().startswith('<div id="page-title"')
    assert "<dialog" not in answer
