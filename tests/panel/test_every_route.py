"""Sweeps over all routes: looking changes nothing, a change takes a POST with its token, and no text becomes markup."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db.models import CharField, JSONField, Model, TextField
from lxml import html as parser

from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.live import registry
from panel.live.consumer import Admitted, admit, read_shared
from tests.panel.asked_of_query import concerns, parameters_read
from tests.panel.furnished import Part, engines_fail, furnish, path_of, routes, text_of
from tests.panel.test_object_permissions import TOPICS

pytestmark = pytest.mark.django_db

ROUTES = list(routes())
IDS = [f"/{route}" for route, _, _ in ROUTES]
# Who was here, and when: looking at a page may say so.
SEEN = {"sessions.Session", "usersessions.UserSession"}
RECORDED = ("audit/export.csv", "audit/export.json")  # who takes the trail along is in the trail
PAYLOAD = """"'><img src=x onerror=pwn()><p id=pwned>"""
ECHOED = "?q={payload}&scope={payload}&sort={payload}&columns={payload}&page={payload}"
ALWAYS = ("", ECHOED)
QUERIES = (
    *ALWAYS, "?tab=summary", "?tab=ves", "?tab=network", "?tab=logs", "?kind=text", "?kind=screen&window=1",
    "?mode=offline", "?q=pwn", "?range=7d",
    "?text={payload}&node={payload}&initiator={payload}&status={payload}", "?next={payload}&query={payload}",
    "?action=stop&ve={ve}", "?action=migrate&ve={ve}", "?action=location&node={node}", "?of=ve&ve={ve}",
    "?map={payload}&range={payload}&tier={payload}&host={payload}", "?map=fill", "?map=latency",
    "?open={parent}", "?open={node}&selected=ve:{ve}", "?target={other}", "?ve={ve}",
)  # fmt: skip


@pytest.fixture
def part(administrator: User) -> Iterator[Part]:
    """A row of everything, of the administrator who looks; its nodes refuse with the payload in their words."""
    part, other = furnish("own", administrator), furnish("other", User.objects.create_user("other"))
    part.more["other"] = other
    with engines_fail(PAYLOAD):
        yield part


def addresses(route: str, part: Part, client: Any) -> list[str]:
    """The route alone, with an odd query, since pages repeat their address, and with each of which it reads something.

    Alone where it answers no GET.
    """
    with parameters_read() as names:
        if client.get(path_of(route, part)).status_code == 405:
            return [path_of(route, part)]
    values = {"payload": PAYLOAD.replace("#", ""), "ve": part.ve.pk, "node": part.node.pk,
              "parent": part.more["parent"].pk, "other": part.more["other"].node.pk}  # fmt: skip
    return [path_of(route, part) + query.format(**values) for query in QUERIES
            if query in ALWAYS or concerns(query, names)]  # fmt: skip


def everything() -> dict[str, list[Any]]:
    """All rows of all tables."""
    models = [model for model in apps.get_models() if model._meta.label not in SEEN]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


@pytest.mark.parametrize(("route", "view", "name"), ROUTES, ids=IDS)
def test_looking_changes_nothing(
    route: str, view: Any, name: str, part: Part, administrator: User, client_of: Any
) -> None:
    client = client_of(administrator)
    client.get("/")  # a first visit reads what a session keeps
    before = everything()

    for path in addresses(route, part, client):
        text_of(client.get(path))
    text_of(client.get(path_of(route, part), headers={"HX-Request": "true"}))
    client.head(path_of(route, part))

    if route in RECORDED:
        AuditRecord.objects.filter(action="audit.export").delete()
    assert everything() == before


@pytest.mark.parametrize(("route", "view", "name"), ROUTES, ids=IDS)
def test_a_post_without_its_token_is_refused(
    route: str, view: Any, name: str, part: Part, administrator: User, client_class: Any
) -> None:
    client = client_class(enforce_csrf_checks=True)
    client.force_login(administrator)
    before = everything()

    for headers in ({}, {"Referer": "https://testserver/"}, {"HX-Request": "true", "Origin": "https://evil.example"}):
        for method in ("post", "put", "patch", "delete"):
            answer = getattr(client, method)(path_of(route, part), headers=headers)
            assert answer.status_code == 403, f"{method} without a token was answered {answer.status_code}"
            assert "security token" in answer.content.decode()
    assert everything() == before


# Columns that choose what is done, not what is shown: a payload there would only make the row unreadable.
KEPT = {
    "RoleBinding.scope_type", "Task.kind", "Task.queue", "Task.object_type", "TaskTarget.object_type",
    "TaskStep.undo_name", "SavedView.table", "ColumnChoice.table", "AuditRecord.target_type", "Removal.kind",
    "User.password", "ConsoleTicket.digest", "TaskLane.key", "TaskLock.key", "Beat.name", "Session.session_key",
    "Session.session_data", "UserSession.session_key", "Span.name", "Span.state", "Node.host_key",
    "Datastore.mode", "Datastore.domain", "ContentType.app_label", "ContentType.model", "Permission.codename",
}  # fmt: skip
LEAVES = {"Task.params", "TaskStep.undo_args", "ColumnChoice.columns", "Task.phases", "TaskStep.samples", "Beat.detail"}


def poison() -> int:
    """Put the payload into every text of every row. How many texts took it."""
    taken = 0
    for model in apps.get_models():
        columns = [column for column in model._meta.concrete_fields if takes_payload(model, column)]
        for row in model._default_manager.all() if columns else ():
            values = {column.name: poisoned(column, row) for column in columns}
            values = {name: value for name, value in values.items() if value is not None}
            if values:
                model._default_manager.filter(pk=row.pk).update(**values)
            taken += len(values)
    return taken


def takes_payload(model: type[Model], column: Any) -> bool:
    label = f"{model.__name__}.{column.name}"
    return label not in KEPT | LEAVES and not column.choices and not column.primary_key


def poisoned(column: Any, row: Model) -> Any:
    if type(column) is JSONField:
        return leaves(getattr(row, column.name)) or None
    if type(column) not in (CharField, TextField):
        return None
    text = f"{PAYLOAD}{row.pk}" if column.unique else PAYLOAD
    longest = column.max_length or 500
    return text if len(text) <= longest else f"{row.pk if column.unique else ''}{PAYLOAD}"[:longest]


def leaves(value: Any) -> Any:
    """The same JSON with the payload as every text."""
    if isinstance(value, dict):
        return {key: leaves(each) for key, each in value.items()}
    if isinstance(value, list):
        return [leaves(each) for each in value]
    return PAYLOAD if isinstance(value, str) else value


def assert_tame(text: str, where: str) -> None:
    """No element or attribute is made of the payload, and none that the content policy would have to stop."""
    if not text.strip():
        return
    for element in parser.document_fromstring(f"<div>{text}</div>" if "<html" not in text else text).iter():
        if not isinstance(element.tag, str):
            continue
        assert element.get("id") != "pwned", f"{where}: {beginning(element)}"
        assert element.tag != "img" or element.get("src") != "x", f"{where}: {beginning(element)}"
        assert element.tag != "style", f"{where}: {beginning(element)}"
        assert element.tag != "script" or element.get("src") or element.get("type") == "application/json", where
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on"), f"{where}: {beginning(element)}"
            assert name not in ("style", "hx-on", "srcdoc"), f"{where}: {beginning(element)}"
            assert not value.strip().lower().startswith(("javascript:", "data:text")), f"{where}: {beginning(element)}"


def beginning(element: Any) -> str:
    return str(parser.tostring(element, encoding="unicode"))[:300]


@pytest.mark.parametrize(("route", "view", "name"), ROUTES, ids=IDS)
def test_no_text_becomes_markup(
    route: str, view: Any, name: str, part: Part, administrator: User, client_of: Any
) -> None:
    client = client_of(administrator)
    assert poison() > 100
    assert client.get("/health/").status_code == 200, "the sweep would meet nothing but the login"

    with engines_fail(PAYLOAD):  # the nodes have other names now
        for path in addresses(route, part, client):
            assert_answer(client.get(path), path)
        assert_answer(client.get(path_of(route, part), headers={"HX-Request": "true"}), f"/{route} as a fragment")
        for action in ("", "stop", "migrate", "location"):
            entered = {**dict.fromkeys(FIELDS, PAYLOAD), "action": action or PAYLOAD, "ve": part.ve.pk}
            assert_answer(client.post(path_of(route, part), entered), f"POST /{route}")


def assert_answer(answer: Any, where: str) -> None:
    assert answer.status_code < 500 or where.startswith("/healthz")
    if "html" in answer.get("Content-Type", ""):
        assert_tame(text_of(answer), where)
    assert_policy(answer, where)


FIELDS = (
    "name", "address", "ssh_port", "room", "row", "rack", "username", "query", "next", "step", "fingerprint", "target",
    "columns", "bandwidth_mib", "open", "back", "login", "code", "role", "full_name", "force_after",
)  # fmt: skip


def assert_policy(answer: Any, where: str) -> None:
    """The policy forbids inline script everywhere, and inline style but on the page of a terminal."""
    policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    loose = {name for name, value in policy.items() if "unsafe" in value}
    terminal = "/console/" in where and "/ticket/" not in where
    assert not loose or (terminal and loose <= {"style-src-elem", "style-src-attr"}), where
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("topic", registry.declared(), ids=lambda topic: topic.prefix)
def test_no_news_become_markup(topic: registry.Topic, part: Part, administrator: User) -> None:
    poison()
    name = TOPICS[topic.prefix](part)

    news = admit({"headers": []}, administrator.pk, name, 0)
    if isinstance(news, Admitted):
        news = read_shared(name, 0, None, news.variant)

    if news is not None:
        assert_tame(json.loads(news.text)["html"], name)


def test_the_sweep_would_see_markup() -> None:
    for text in (PAYLOAD, '<a href="javascript:x()">x</a>', "<script>x()</script>", '<p style="x">', '<p onclick="x">'):
        with pytest.raises(AssertionError):
            assert_tame(f"<p>{text}</p>", "here")
