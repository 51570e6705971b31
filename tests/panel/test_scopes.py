"""What a role over a part of the tree lets somebody see."""

import uuid
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.models import VE, Node
from panel.accounts.models import RoleBinding, User
from panel.accounts.permissions import can_anywhere
from panel.accounts.roles import Role
from panel.accounts.scopes import visible
from panel.audit.models import AuditRecord
from panel.audit.services import record
from tasks.models import Task, TaskTarget

pytestmark = pytest.mark.django_db


@pytest.fixture
def nodes() -> tuple[Node, Node]:
    own, foreign = (Node.objects.create(name=name, address=name, state="online") for name in ("own", "foreign"))
    return own, foreign


def a_ve(name: str, node: Node) -> VE:
    return VE.objects.create(uuid=uuid.uuid4(), name=name, kind="vm", node=node, state="running")


def test_a_role_over_everything_sees_everything(viewer: User, nodes: tuple[Node, Node]) -> None:
    assert set(visible(viewer, "infrastructure.view", Node.objects.all())) == set(nodes)


def test_a_role_over_a_node_sees_it_and_what_runs_there(
    make_user: Any, nodes: tuple[Node, Node], django_assert_num_queries: Any
) -> None:
    mine, theirs = a_ve("mine", nodes[0]), a_ve("theirs", nodes[1])
    user = User.objects.prefetch_related("role_bindings").get(
        pk=make_user("ana", Role.VIEWER, scope=("node", nodes[0].pk)).pk
    )

    assert list(visible(user, "infrastructure.view", Node.objects.all())) == [nodes[0]]
    with django_assert_num_queries(1):
        assert list(visible(user, "infrastructure.view", VE.objects.all())) == [mine]
    VE.objects.filter(pk=theirs.pk).update(node=nodes[0])
    assert set(visible(user, "infrastructure.view", VE.objects.all())) == {mine, theirs}


def test_two_roles_add_up_and_no_row_comes_twice(make_user: Any, nodes: tuple[Node, Node]) -> None:
    user = make_user("ana", Role.VIEWER, scope=("node", nodes[0].pk))
    RoleBinding.objects.create(user=user, role=Role.OPERATOR, scope_type="node", scope_id=nodes[0].pk)
    RoleBinding.objects.create(user=user, role=Role.VIEWER, scope_type="node", scope_id=nodes[1].pk)
    a_ve("one", nodes[0]), a_ve("two", nodes[1])

    assert [ve.name for ve in visible(user, "infrastructure.view", VE.objects.order_by("name"))] == ["one", "two"]
    assert [ve.name for ve in visible(user, "ve.operate", VE.objects.all())] == ["one"]


@pytest.mark.parametrize("case", ["no role", "another permission", "disabled", "anonymous"])
def test_who_lacks_the_permission_sees_nothing(case: str, make_user: Any, nodes: tuple[Node, Node]) -> None:
    user = make_user("ana", None if case == "no role" else Role.VIEWER)
    if case == "disabled":
        user.is_active = False
    asked = "ve.operate" if case == "another permission" else "infrastructure.view"

    assert not visible(None if case == "anonymous" else user, asked, Node.objects.all()).exists()


def test_rows_that_nobody_can_narrow_are_an_error_not_a_leak(make_user: Any, nodes: tuple[Node, Node]) -> None:
    user = make_user("ana", Role.ADMINISTRATOR, scope=("node", nodes[0].pk))

    with pytest.raises(LookupError, match=r"nobody has said how rows of accounts\.User are narrowed"):
        visible(user, "infrastructure.view", User.objects.all())


def test_a_scope_of_a_kind_that_is_gone_covers_nothing(make_user: Any, nodes: tuple[Node, Node]) -> None:
    user = make_user("ana", Role.VIEWER, scope=("rack", 1))

    assert not visible(user, "infrastructure.view", Node.objects.all()).exists()


def test_managing_users_has_no_part_of_the_tree(make_user: Any, nodes: tuple[Node, Node], client_of: Any) -> None:
    user = make_user("ana", Role.ADMINISTRATOR, scope=("node", nodes[0].pk))

    assert not can_anywhere(user, "user.manage")
    assert client_of(user).get("/setup/users/").status_code == 403
    assert 'href="/setup/users/"' not in client_of(user).get("/health/").content.decode()


def test_the_audit_of_a_node_s_administrator_has_that_node_its_ves_and_their_own_acts(
    make_user: Any, nodes: tuple[Node, Node], client_of: Any
) -> None:
    user = make_user("ana", Role.ADMINISTRATOR, scope=("node", nodes[0].pk))
    client = client_of(user)
    AuditRecord.objects.all().delete()
    mine, theirs = a_ve("mine", nodes[0]), a_ve("theirs", nodes[1])
    seen = [
        record(action="a", target=nodes[0]),
        record(action="b", target=mine),
        record(action="c", actor=user, target=user),
    ]
    hidden = [record(action="d", target=nodes[1]), record(action="e", target=theirs), record(action="f", target=None)]
    # A user whose id is that of the node: the type decides, not the number.
    AuditRecord.objects.create(action="g", target_type="user", target_id=str(nodes[0].pk), at=timezone.now())

    html = client.get("/audit/").content.decode()
    exported = b"".join(client.get("/audit/export.json").streaming_content).decode()

    for row in seen:
        assert f'id="audit-{row.pk}"' in html
        assert client.get(f"/audit/{row.pk}/").status_code == 200
    for row in hidden:
        assert f'id="audit-{row.pk}"' not in html
        assert client.get(f"/audit/{row.pk}/").status_code == 404
        assert f'"id": {row.pk},' not in exported
    assert html.count('<tr id="audit-') == 3


def test_a_role_over_one_ve_covers_no_other(make_user: Any, nodes: tuple[Node, Node]) -> None:
    mine, _theirs = a_ve("mine", nodes[0]), a_ve("theirs", nodes[0])
    user = make_user("ana", Role.VIEWER, scope=("ve", mine.pk))

    assert list(visible(user, "infrastructure.view", VE.objects.all())) == [mine]
    assert not visible(user, "infrastructure.view", Node.objects.all()).exists()


def test_tasks_are_seen_by_what_they_are_about_and_by_who_started_them(
    make_user: Any, nodes: tuple[Node, Node]
) -> None:
    user = make_user("ana", Role.OPERATOR, scope=("node", nodes[0].pk))
    mine = a_ve("mine", nodes[0])

    def a_task(title: str, *targets: tuple[str, int], initiator: User | None = None) -> Task:
        task = Task.objects.create(kind="ve.start", title=title, state="completed", initiator=initiator)
        for type, id in targets:
            TaskTarget.objects.create(task=task, object_type=type, object_id=id, object_name=title)
        return task

    a_task("node", ("node", nodes[0].pk)), a_task("ve", ("ve", mine.pk), ("node", nodes[1].pk))
    a_task("own", initiator=user)
    a_task("foreign", ("node", nodes[1].pk)), a_task("nobody's")

    assert {task.title for task in visible(user, "task.view", Task.objects.all())} == {"node", "ve", "own"}
