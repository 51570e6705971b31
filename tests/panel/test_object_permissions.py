"""Every route and topic × role × own and foreign object. One that takes an object nobody knows here fails.

The rule: what a user may not see does not exist for him (404); what he sees and may not act upon is refused (403).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.services.console import issue_ticket
from panel.accounts.middleware import declared_permission
from panel.accounts.models import RoleBinding, User
from panel.accounts.roles import GRANTS, SYSTEM_WIDE, Role
from panel.audit.models import AuditRecord
from panel.live import registry
from panel.live.consumer import Admitted, Refused, admit, read_shared
from tasks.models import Task
from tests.panel.furnished import Part, engines_fail, furnish, path_of, routes, slots_of, text_of

pytestmark = pytest.mark.django_db

ROUTES = list(routes())
ABOUT = [entry for entry in ROUTES if "<int:" in entry[0]]
IDS = [route for route, _, _ in ABOUT]
UNSEEN = "unseen"  # begins the texts of what lies outside; the searches ask for a part of it
# It answers alike for what is not there, what is somebody else's, and what had ended already.
IDEMPOTENT = ("account/sessions/<int:session>/end/",)
NOT_ALLOWED = 405  # said before anything is looked up
# Lists and dialogs, with what makes them show most.
PAGES = [
    *(f"/{route}" for route, _, _ in ROUTES if "<" not in route),
    "/search/?q=nseen", "/search/?q=192.0.2&scope=addresses", "/search/?q=nseen&scope=tasks",
    "/tree/?open={foreign.node},{own.node}", "/tree/?q=nseen", "/tree/?find=unsee", "/tree/?selected=ve:{foreign.ve}",
    "/infrastructure/nodes/?q=nseen", "/infrastructure/ves/?node=nseen", "/tasks/?text=nseen&open={foreign.parent}",
    "/tasks/?open={own.parent}", "/infrastructure/nodes/{own.node}/?tab=ves",
    "/infrastructure/nodes/{own.node}/?tab=logs",
    "/infrastructure/nodes/{own.node}/?tab=network", "/infrastructure/ves/{own.ve}/?tab=logs",
    "/infrastructure/bulk/?action=migrate&ve={own.ve}&ve={foreign.ve}", "/infrastructure/bulk/?action=stop&found=",
    "/infrastructure/bulk/?action=location&node={own.node}&node={foreign.node}",
    "/infrastructure/bulk/bar/?of=ve&ve={foreign.ve}", "/infrastructure/bulk/bar/?of=node&node={foreign.node}",
    "/infrastructure/ves/{own.ve}/migrate/?target={foreign.node}",
]  # fmt: skip


@pytest.fixture
def own(make_user: Any) -> Part:
    return furnish("own", make_user("owner"))


@pytest.fixture
def foreign(own: Part, make_user: Any) -> Iterator[Part]:
    part = furnish(UNSEEN, make_user("foreigner"))
    with engines_fail("It does not answer."):
        yield part


@pytest.fixture
def mine(own: Part, make_user: Any) -> Any:
    """mine("operator") → a user with the role over own-node, whose session and view those of `own` are."""

    def make(role: str) -> User:
        user: User = make_user("ana", role, scope=("node", own.node.pk))
        for row in (own.session, own.view):
            setattr(row, "user" if row is own.session else "owner", user)
            row.save()
        return user

    return make


def holds(role: str, route: str, view: Any, name: str | None) -> bool:
    permission = declared_permission(view, name)
    return permission in GRANTS[role] - SYSTEM_WIDE


@pytest.mark.parametrize("route", [route for route, _, _ in ROUTES if "<" in route])
def test_every_route_with_an_object_is_in_the_matrix(route: str) -> None:
    assert slots_of(route) is not None, f"/{route}: say in SLOTS what its parameters name"


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize(("route", "view", "name"), ABOUT, ids=IDS)
def test_what_lies_outside_does_not_exist(
    route: str, view: Any, name: str, role: str, own: Part, foreign: Part, mine: Any, client_of: Any
) -> None:
    client, tasks = client_of(mine(role)), Task.objects.count()
    stands = snapshot(foreign)

    for method in ("get", "post"):
        call = getattr(client, method)
        here, there = (call(path_of(route, part), {"target": own.node.pk}) for part in (own, foreign))

        if not holds(role, route, view, name):
            assert (here.status_code, there.status_code) == (403, 403), f"{method} {route} let {role} in"
        elif here.status_code == NOT_ALLOWED:
            assert there.status_code in (404, NOT_ALLOWED)
        elif route in IDEMPOTENT:
            assert (there.status_code, there["Location"]) == (here.status_code, here["Location"])
        else:
            assert there.status_code == 404, f"{method} {route} answered {role} with {there.status_code}"
            assert here.status_code != 404, f"{method} {route} hides from {role} what is his"
        assert UNSEEN not in text_of(there)
    assert Task.objects.filter(object_id=foreign.ve.pk, object_type="ve").count() + 1 <= tasks
    assert snapshot(foreign) == stands


def snapshot(part: Part) -> list[Any]:
    """What could have been changed of it."""
    rows = [part.node, part.ve, part.task, part.user, part.binding, part.session, part.view]
    return [type(row)._default_manager.filter(pk=row.pk).values().first() for row in rows]


ACTIONS = [
    entry
    for entry in ABOUT
    if entry[0].startswith("infrastructure/") and declared_permission(*entry[1:]) != "infrastructure.view"
]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR])
@pytest.mark.parametrize(("route", "view", "name"), ACTIONS, ids=[route for route, _, _ in ACTIONS])
def test_what_is_only_seen_is_not_acted_upon(
    route: str, view: Any, name: str, role: str, own: Part, foreign: Part, mine: Any, client_of: Any
) -> None:
    user = mine(role)
    RoleBinding.objects.create(user=user, role=Role.VIEWER)
    client, tasks = client_of(user), Task.objects.count()
    asked = {"target": own.node.pk, "name": foreign.node.name}

    for method in ("get", "post"):
        answer = getattr(client, method)(path_of(route, foreign), asked)

        assert answer.status_code in (403, NOT_ALLOWED), f"{method} {route} answered {answer.status_code}"
    assert Task.objects.count() == tasks


@pytest.mark.parametrize("role", Role.values)
@pytest.mark.parametrize("page", PAGES)
def test_no_page_tells_of_what_lies_outside(
    page: str, role: str, own: Part, foreign: Part, mine: Any, client_of: Any
) -> None:
    numbers = {"own": Numbers(own), "foreign": Numbers(foreign)}
    client = client_of(mine(role))
    path = page.format(**numbers)

    for headers in ({}, {"HX-Request": "true"}):
        told = text_of(client.get(path, headers=headers))

        assert UNSEEN not in told, f"{page} tells {role} of it"


class Numbers:
    """Ids of a part for `format`."""

    def __init__(self, part: Part) -> None:
        self.node, self.ve, self.parent = part.node.pk, part.ve.pk, part.more["parent"].pk


def test_the_same_pages_do_show_it_to_who_sees_everything(
    own: Part, foreign: Part, administrator: User, client_of: Any
) -> None:
    client = client_of(administrator)

    for page in ("/tree/?q=nseen-node", "/infrastructure/ves/", "/infrastructure/nodes/", "/tasks/", "/audit/"):
        assert f"{UNSEEN}-" in text_of(client.get(page))


TOPICS = {
    "task": lambda part: f"task:{part.task.pk}",
    "task-children": lambda part: f"task-children:{part.more['parent'].pk}",
    "console": lambda part: f"console:{part.ve.pk}",
    "inventory": lambda part: "inventory",
    "tasks": lambda part: "tasks",
    "storage": lambda part: "storage",
    "iscsi": lambda part: "iscsi",
}


@pytest.mark.parametrize("role", [None, *Role.values])
@pytest.mark.parametrize("topic", registry.declared(), ids=lambda topic: topic.prefix)
def test_a_topic_tells_of_what_lies_inside_alone(
    topic: registry.Topic, role: str | None, own: Part, foreign: Part, mine: Any, make_user: Any
) -> None:
    assert topic.prefix in TOPICS, f"say in TOPICS what {topic.prefix} is about"
    user = mine(role) if role else make_user("nobody")
    # A role that is bound to a node never carries what is of the whole system.
    granted = role is not None and topic.permission in GRANTS[role] - SYSTEM_WIDE
    InventoryRevision.objects.update_or_create(pk=1, defaults={"value": 9})
    Node.objects.update(rev=9)
    VE.objects.update(rev=9)

    for part in (own, foreign):
        name = TOPICS[topic.prefix](part)
        if not granted or (topic.subject and part is foreign):
            with pytest.raises(Refused):
                admit({"headers": []}, user.pk, name, 1)
            continue
        news = admit({"headers": []}, user.pk, name, 1)
        if isinstance(news, Admitted):
            news = read_shared(name, 1, None, news.variant)
        assert news is not None, "nothing was told, so nothing was tried"
        assert UNSEEN not in news.text
        if topic.prefix == "inventory":
            assert (news.update.data["nodes"], news.update.data["ves"]) == ([own.node.pk], [own.ve.pk])


def test_a_waiting_task_does_not_name_the_foreign_ones_before_it(
    own: Part, foreign: Part, mine: Any, client_of: Any
) -> None:
    html = text_of(client_of(mine(Role.OPERATOR)).get(f"/tasks/{own.more['waiting'].pk}/"))

    assert "own-title" in html
    assert UNSEEN not in html


def test_a_bulk_action_shows_each_reader_his_own_tasks_below_it(
    own: Part, foreign: Part, mine: Any, client_of: Any
) -> None:
    parent = own.more["parent"]
    Task.objects.filter(pk=foreign.task.pk).update(parent=parent, state="failed")

    html = text_of(client_of(mine(Role.VIEWER)).get(f"/tasks/{parent.pk}/"))

    assert f"/tasks/{foreign.task.pk}/" not in html
    assert UNSEEN not in html


def test_a_bulk_request_that_names_a_foreign_ve_is_refused_as_a_whole(
    own: Part, foreign: Part, mine: Any, client_of: Any
) -> None:
    tasks = Task.objects.count()
    user = mine(Role.OPERATOR)

    answer = client_of(user).post(
        "/infrastructure/bulk/", {"action": "stop", "ve": [own.ve.pk, foreign.ve.pk], "at_most": "2"}
    )

    assert answer.status_code == 403
    assert UNSEEN not in text_of(answer)
    assert Task.objects.count() == tasks
    assert AuditRecord.objects.filter(actor=user, result="refused").exists()


def test_no_ticket_opens_a_foreign_console(own: Part, foreign: Part, mine: Any) -> None:
    user = mine(Role.OPERATOR)

    assert issue_ticket(user=user, session_key="s", ve=own.ve)
    with pytest.raises(PermissionDenied):
        issue_ticket(user=user, session_key="s", ve=foreign.ve)
