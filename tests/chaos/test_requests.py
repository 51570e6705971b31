"""Many requests, or many admins, at once: one task, and everybody is told the truth."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.asking import Asker
from tests.chaos.invariants import Invariants
from tests.chaos.migration import Migration
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import Dice

pytestmark = pytest.mark.chaos


def test_fifty_identical_requests_at_once_are_one_task(
    dice: Dice, panel: Panel, lab: Nodes, query: Asker, migration: Migration, invariants: Invariants
) -> None:
    before = query("Task.objects.count()")
    path, form = f"/infrastructure/ves/{migration.ve}/migrate/", migration.form(bandwidth=32)
    dice.hit("the dialog's button", "50 times at once")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: panel.copy().post(path, timeout=60, **form), range(50)))

    assert {answer.status for answer in answers} <= {204, 302}, [(a.status, a.text[:200]) for a in answers]
    assert query("Task.objects.count()") - before == 1
    migration.task = query("Task.objects.latest('id').pk")
    assert {answer.headers["location"] for answer in answers} == {f"/tasks/{migration.task}/"}
    assert migration.until_final() == "completed"
    assert lab.where("vmtest") == [migration.target]


def test_two_admins_on_the_same_objects_are_told_of_each_other(
    dice: Dice, panel: Panel, other_admin: Panel, query: Asker, migration: Migration, invariants: Invariants
) -> None:
    node = query("Node.objects.get(name='secondnode2').pk")
    before = query("Task.objects.count()")
    location = f"/infrastructure/nodes/{node}/location/"
    migration.start(bandwidth=8)
    seen, theirs = panel.form_of(location), other_admin.form_of(location)
    migration.in_the_middle(dice, longest=3)

    _assert_refused(dice, other_admin, migration)
    assert query("Task.objects.count()") - before == 1
    new = f"hall {dice.randint(1, 10**6)}"
    assert other_admin.post(location, htmx=True, **(theirs | {"room": new})).status == 204
    _assert_stale(panel, location, seen | {"room": f"room {dice.randint(1, 10**6)}"}, new)
    assert migration.until_final() == "completed"


def _assert_refused(dice: Dice, other: Panel, migration: Migration) -> None:
    """Another action on the VE that moves is refused with the number of the task in its way."""
    action = dice.choice(["stop", "force-off", "restart", "pause", "migrate"])
    form = migration.form(bandwidth=32) if action == "migrate" else {}
    answer = other.post(f"/infrastructure/ves/{migration.ve}/{action}/", htmx=True, **form)
    print(f"    {action}: {answer.status} {answer.headers.get('hx-trigger', answer.text[:200])}")
    assert answer.status == 409
    assert f"vmtest is being migrated (task {migration.task})" in answer.headers.get("hx-trigger", "") + answer.text


def _assert_stale(panel: Panel, path: str, entered: dict[str, str], meanwhile: str) -> None:
    """An edit of what somebody changed meanwhile is refused with the change; what was entered is kept."""
    answer = panel.post(path, htmx=True, **entered)
    assert answer.status == 409, answer.status
    assert meanwhile in answer.text, "it does not say what changed"
    shown = panel.fields(answer.text)
    assert shown["room"] == entered["room"], "what was entered is lost"
    assert panel.post(path, htmx=True, **shown).status == 204, "knowing of it, it can be saved"
