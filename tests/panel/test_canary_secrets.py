"""Canaries for every secret; after flows that succeed and that fail they are in no row, log or message.

Secrets that a session carries are those of its table alone: there they are what signs in.
"""

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import structlog
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.cache import cache
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from infrastructure.consumers import ConsoleSocket
from infrastructure.drivers import registry
from infrastructure.drivers.base import DriverError
from infrastructure.drivers.fake import FakeCluster as FakeNodes
from infrastructure.models import ConsoleTicket, Node
from infrastructure.services import nodes
from infrastructure.services.endpoints import endpoint_for
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.live.poke import Publisher
from panel.trust import encryption, ssh_key
from storage.drivers import registry as storage_registry
from storage.drivers.fake import AlwaysFailing as SilentCluster
from storage.drivers.fake import cluster as usual_cluster
from storage.models import Cluster, Datastore
from storage.services import attachments, clusters
from tasks import messages
from tasks.models import Task, TaskLine, TaskStep
from tasks.runner import execute
from tests.infrastructure.inventory_facts import make_node as storage_node
from tests.infrastructure.inventory_facts import node_facts
from tests.infrastructure.page_rows import make_node, make_ve
from tests.iscsi.canary import walk_iscsi
from tests.panel.codes import code_at
from tests.panel.furnished import text_of
from tests.panel.live_helpers import Browser
from tests.storage.ceph_host import NODE_KEY, PANEL_KEY, CephHost

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "canary-right-pass-phrase"
WRONG = "canary-wrong-pass-phrase"
FRESH = "canary-fresh-pass-phrase"
# The row of a session is what a cookie is compared with.
SESSION_TABLES = {"sessions.Session", "usersessions.UserSession", "infrastructure.ConsoleTicket"}


class Heard:
    """Everything that leaves the process or is kept: log lines, messages to workers, pokes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        self.lines.append(repr(event))
        return event


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Heard]:
    heard = Heard()
    add = Publisher.add
    monkeypatch.setattr(Publisher, "add", lambda self, *args: (heard.lines.append(repr(args)), add(self, *args))[1])

    def send(**message: Any) -> None:
        heard.lines.append(repr(message))

    monkeypatch.setattr(messages.run, "apply_async", send)
    caplog.set_level(logging.INFO)  # as in production
    processors = structlog.get_config()["processors"]
    processors.insert(0, heard)  # in place: loggers keep the list they were made with
    yield heard
    processors.remove(heard)


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.VAR, settings.KEYS_DIR = tmp_path, tmp_path / "keys"
    settings.SSH_KEY_PATH = settings.KEYS_DIR / "ssh" / "id_ed25519"
    encryption.ensure_key()
    ssh_key.ensure_ssh_key()
    cache.clear()
    return tmp_path


def enter(client: Any, password: str) -> Any:
    return client.post("/account/login/", {"login": "ana", "password": password})


def walk_accounts(user: User, client_class: Any) -> dict[str, str]:
    """Sign in wrongly and rightly, add an app, get recovery codes, use both, change the password. The secrets met."""
    client = client_class()
    assert enter(client, WRONG).status_code != 302
    assert enter(client, PASSWORD).status_code == 302
    client.post("/account/confirm/", {"password": WRONG})
    client.post("/account/confirm/", {"password": PASSWORD})
    page = client.get("/account/two-factor/app/").content.decode()
    secret = re.search(r'id="secret">([^<]+)<', page)[1].replace(" ", "")
    client.post("/account/two-factor/app/", {"code": "000000"})
    assert client.post("/account/two-factor/app/", {"code": code_at(secret, time.time())}).status_code == 302
    shown = client.get("/account/two-factor/codes/").content.decode()
    codes = re.search(r'id="codes">([\d\s]+)<', shown)[1].split()
    second = client_class()
    enter(second, PASSWORD)
    second.post("/account/login/code/", {"code": "999999"})
    second.post("/account/login/code/", {"code": codes[0]})
    assert second.get("/health/").status_code == 200
    second.post("/account/password/", {"oldpassword": WRONG, "password1": FRESH, "password2": FRESH})
    second.post("/account/password/", {"oldpassword": PASSWORD, "password1": FRESH, "password2": FRESH})
    user.refresh_from_db()
    assert user.check_password(FRESH)
    session = second.session.session_key
    assert session
    return {
        "secret of the app": secret,
        "session": session,
        **{f"recovery code {n}": code for n, code in enumerate(codes)},
    }


def walk_console(user: User, client_of: Any) -> dict[str, str]:
    """Get tickets; show one for another VE, one twice."""
    node = make_node("canary-console")
    ve, other = make_ve("vm1", node), make_ve("vm2", node)
    client = client_of(user)
    tickets = [client.post(f"/infrastructure/ves/{ve.pk}/console/ticket/").json()["ticket"] for _ in range(2)]
    key = client.session.session_key

    async def show(ticket: str, number: int) -> str:
        async def nowhere(*args: Any) -> Any:
            raise DriverError("There is no such display", code="none")

        page = Browser(key, path="/console/", application=ConsoleSocket(locate=nowhere))
        assert await page.connect()
        page.say_json({"ticket": ticket, "ve": number})
        return str((await page.closed())["code"])

    for ticket, number in ((tickets[0], other.pk), (tickets[1], ve.pk), (tickets[1], ve.pk)):
        async_to_sync(show)(ticket, number)
    assert ConsoleTicket.objects.filter(used_at__isnull=False).count() == 1
    return {f"ticket {n}": ticket for n, ticket in enumerate(tickets)} | {"session of a console": key}


def walk_node(folder: Path) -> dict[str, str]:
    """Set a node up that does not answer, and one that refuses the key. The parts of the key's file."""
    key = (folder / "keys" / "ssh" / "id_ed25519").read_text()
    body = [line for line in key.splitlines() if "-----" not in line]
    host = asyncssh.generate_private_key("ssh-ed25519")
    line = host.export_public_key().decode()

    async def refuse() -> None:
        server = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host], authorized_client_keys=str(folder / "none")
        )
        (folder / "port").write_text(str(server.get_port()))
        while not (folder / "done").exists():
            await asyncio.sleep(0.05)
        server.close()

    (folder / "none").write_text(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        silent = closed.getsockname()[1]
    thread = threading.Thread(target=lambda: asyncio.run(refuse()))
    thread.start()
    try:
        while not (folder / "port").exists():
            thread.join(0.05)
        for name, address, port in (
            ("deaf", "127.0.0.1", silent),
            ("stern", "localhost", int((folder / "port").read_text())),
        ):
            node = Node.objects.create(name=name, address=address, ssh_port=port, host_key=line)
            task = nodes.onboard(user=None, node=node)
            execute(task.pk, worker="test")
            task.refresh_from_db()
            assert task.state == "failed", task.reason
    finally:
        (folder / "done").touch()
        thread.join()
        registry.drop_all()
    return {f"line {n} of the SSH key": text for n, text in enumerate(body)}


def walk_storage() -> dict[str, str]:
    """Connect a cluster that does not answer, then one that does; attach to a node, at the second try."""
    host = CephHost(storage_node("canary-ceph"))
    node = FakeNodes().add(endpoint_for(host.row), node_facts(host.row.name))
    node.run = host.run  # type: ignore[method-assign]
    engine = usual_cluster()
    engine.fsid = host.fsid
    with registry.replaced(host.row.name, node):
        for driver, state in ((SilentCluster(), "failed"), (engine, "completed")):
            with storage_registry.replaced("storage1", driver):
                task = clusters.connect(user=None, name="storage1", through=host.row)[1]
                execute(task.pk, worker="test")
                task.refresh_from_db()
                assert task.state == state, task.reason
        values = {"tier": 2, "mode": "r2", "domain": "host", "state": "ready", "pool": "canary"}
        Datastore.objects.create(cluster=Cluster.objects.get(), name="canary", **values)
        node.fail("keep_pool", DriverError("The pool does not start"))
        for _ in range(2):
            attachments.reconcile(host.row)
        assert list(node.pools) == ["mooring-canary"]
    return {"key of the panel's cephx user": PANEL_KEY, "key of the nodes' cephx user": NODE_KEY}


def dump() -> dict[str, str]:
    """Each table as text, the cache's among them."""
    rows = {
        model._meta.label: json.dumps(list(model._default_manager.values()), cls=DjangoJSONEncoder, default=repr)
        for model in apps.get_models()
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key, value FROM cache")
        rows["cache"] = repr(cursor.fetchall())
    return rows


def test_no_secret_is_found_where_it_does_not_belong(
    heard: Heard,
    folder: Path,
    make_user: Any,
    client_class: Any,
    client_of: Any,
    administrator: User,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    user = make_user("ana", "operator")
    user.set_password(PASSWORD)
    user.save()

    secrets = {"password": PASSWORD, "wrong password": WRONG, "new password": FRESH}
    secrets |= walk_accounts(user, client_class)
    secrets |= walk_console(administrator, client_of)
    secrets |= walk_node(folder)
    secrets |= walk_storage()
    secrets["key of the database's secrets"] = (folder / "keys" / "fernet_key").read_text().strip()
    said = told(client_of(administrator), heard, caplog, capfd)

    assert AuditRecord.objects.filter(result="refused").exists()
    assert not leaks(secrets, said)
    kept = "\n".join(dump()[label] for label in SESSION_TABLES)
    assert not [name for name in secrets if "session" not in name and holds(kept, secrets[name])]


def test_no_chap_password_is_found_where_it_does_not_belong(
    heard: Heard,
    folder: Path,
    client_of: Any,
    administrator: User,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    client = client_of(administrator)
    secrets = walk_iscsi(client)

    assert not leaks(secrets, told(client, heard, caplog, capfd))


def told(client: Any, heard: Heard, caplog: pytest.LogCaptureFixture, capfd: Any) -> dict[str, str]:
    """Everything that was kept, said or sent: the place → its text."""
    exports = [text_of(client.get(f"/audit/export.{kind}")) for kind in ("csv", "json")]
    exports += [text_of(client.get(f"/tasks/{pk}/log.{kind}")) for pk in Task.objects.values_list("pk", flat=True)
                for kind in ("txt", "json")]  # fmt: skip
    said = capfd.readouterr()
    for rows in (Task, TaskStep, TaskLine, AuditRecord):
        assert rows.objects.exists()
    assert any("tasks" in line for line in heard.lines), "no message was heard"
    places = {f"table {label}": text for label, text in dump().items() if label not in SESSION_TABLES}
    return places | {"logs": caplog.text, "output": said.out + said.err, "messages": "\n".join(heard.lines),
                     "exports": "\n".join(exports)}  # fmt: skip


def leaks(secrets: dict[str, str], places: dict[str, str]) -> list[str]:
    return [f"the {name} is in {place}" for name in secrets for place in places if holds(places[place], secrets[name])]


def holds(text: str, secret: str) -> bool:
    """Whether the secret is there, and not only its digits within a longer number."""
    return secret in text and re.search(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])", text) is not None


def test_the_search_finds_what_it_looks_for() -> None:
    assert holds('{"code": "12345678"}', "12345678")
    assert not holds("1123456789", "12345678")
