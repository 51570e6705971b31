"""A database with a row of everything, twice: what lies in the user's part of the tree, and what does not.

`SLOTS` says for each kind of address which object it names, so that the sweeps over all routes need no list of routes.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from allauth.usersessions.models import UserSession
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from infrastructure.drivers.base import Unreachable
from infrastructure.drivers.fake import AlwaysFailing
from infrastructure.drivers.registry import replaced
from infrastructure.models import VE, ConsoleSession, Node, NodeInterfaces, VEWords
from infrastructure.services.endpoints import endpoint_for
from iscsi.models import ChapUser, IscsiNode, Lun, Portal, Snapshot, Target
from panel.accounts.models import RoleBinding, User
from panel.audit.models import AuditRecord
from panel.audit.services import record
from panel.preferences.models import SavedView
from storage.drivers.facts import HealthCheck
from storage.models import Cluster, Datastore
from tasks.models import Task, TaskLane, TaskLine, TaskLock, TaskStep, TaskTarget
from tests.infrastructure.page_rows import make_node, make_ve
from tests.storage.samples import cluster_facts, make_cluster

RAISED = HealthCheck("OSD_NEARFULL", "HEALTH_WARN", "1 nearfull osd(s)", ("osd.1 is near full",))

# (pattern of the route, its parameters): the objects they name, by the attributes of Part.
SLOTS = (
    (r"infrastructure/nodes/<int:pk>/", {"pk": "node"}),
    (r"infrastructure/ves/<int:pk>/", {"pk": "ve"}),
    (r"tasks/<int:task_id>/", {"task_id": "task"}),
    (r"audit/<int:pk>/", {"pk": "entry"}),
    (r"account/sessions/<int:session>/", {"session": "session"}),
    (r"setup/users/<int:pk>/roles/<int:binding>/", {"pk": "user", "binding": "binding"}),
    (r"setup/users/<int:pk>/sessions/<int:session>/", {"pk": "user", "session": "session"}),
    (r"setup/users/<int:pk>/", {"pk": "user"}),
    (r"preferences/views/<slug:table>/<int:pk>/", {"table": "table", "pk": "view"}),
    (r"preferences/(?:columns|views)/<slug:table>/", {"table": "table"}),
    (r"storage/disks/<int:number>/", {"number": "disk"}),
    (r"storage/datastores/<int:pk>/", {"pk": "datastore"}),
    (r"iscsi/targets/<int:pk>/", {"pk": "iscsi_target"}),
    (r"iscsi/luns/<int:pk>/", {"pk": "lun"}),
    (r"iscsi/snapshots/<int:pk>/", {"pk": "snapshot"}),
    (r"iscsi/users/<int:pk>/", {"pk": "chap_user"}),
    (r"iscsi/nodes/<int:pk>/", {"pk": "node"}),
)


@dataclass
class Part:
    """One of everything; the texts of its rows begin with its name."""

    name: str
    node: Node
    ve: VE
    task: Task
    entry: AuditRecord
    user: User
    binding: RoleBinding
    session: UserSession
    view: SavedView
    disk: str  # its number
    datastore: Datastore
    iscsi_target: Target
    lun: Lun
    snapshot: Snapshot
    chap_user: ChapUser
    table: str = "ves-table"
    more: dict[str, Any] = field(default_factory=dict)

    def number(self, attribute: str) -> str:
        found = getattr(self, attribute)
        return found if isinstance(found, str) else str(found.pk)


def furnish(name: str, user: User) -> Part:
    """A part of the tree with its tasks, and what belongs to this user."""
    node = make_node(f"{name}-node", room=f"{name}-room")
    ve = make_ve(f"{name}-ve", node, disks=[], addresses=["192.0.2.9"])
    VEWords.objects.get_or_create(ve=ve, defaults={"names": ve.name, "addresses": "192.0.2.9"})
    interface = {"name": "vnet0", "kind": "tun", "state": "up", "mac": "", "mtu": 1500, "speed_mbit": 0, "master": "",
                 "addresses": []}  # fmt: skip
    NodeInterfaces.objects.create(node=node, interfaces=[interface], rates={}, observed_at=timezone.now())
    ConsoleSession.objects.create(user=user, username=user.username, ve=ve, kind="screen", node_name=node.name,
                                  opened_at=timezone.now(), seen_at=timezone.now())  # fmt: skip
    more = {state: make_task(name, node, ve, state) for state in ("completed", "warning", "waiting", "running")}
    more["parent"] = make_task(name, node, ve, "waiting", waits_for_children=True)
    make_task(name, node, ve, "failed", parent=more["parent"])
    TaskLane.objects.create(task=more["waiting"], key="lane", limit=2, label=f"{name}-lane")
    TaskLane.objects.create(task=more["running"], key="lane", limit=2, label=f"{name}-lane")
    TaskLock.objects.create(task=more["running"], key=f"node:{node.pk}")
    key = f"key-of-{name}"
    cluster = Cluster.objects.first() or make_cluster(facts=cluster_facts(checks=(RAISED,), racks=("a", "b", "c")))
    session = UserSession.objects.create(user=user, session_key=key, ip="192.0.2.1", user_agent=f"{name}-browser")
    datastore = Datastore.objects.create(cluster=cluster, name=f"{name}-store", tier=1, mode="r2", domain="host",
                                         state="ready", pool=f"{name}-pool", data_pool=f"{name}-pool")  # fmt: skip
    return Part(
        name=name,
        node=node,
        ve=ve,
        task=make_task(name, node, ve, "failed"),
        entry=record(action=f"{name}-act", target=ve, detail=f"{name}-detail"),
        user=user,
        binding=user.role_bindings.first() or RoleBinding.objects.create(user=user, role="viewer"),
        session=session,
        view=SavedView.objects.create(owner=user, table="ves-table", name=f"{name}-view", query="q=1"),
        disk=str(cluster.disks.earliest("number").number),
        datastore=datastore,
        **furnish_iscsi(name, node, datastore),
        more=more,
    )  # fmt: skip


def furnish_iscsi(name: str, node: Node, datastore: Datastore) -> dict[str, Any]:
    """A target with a user, a portal, a session, a LUN and its snapshot; and the role of its node."""
    IscsiNode.objects.create(node=node, state="ready", reason=f"{name}-reason")
    chap = ChapUser.objects.create(name=f"{name}-chap", secret=f"{name}-sealed", version=node.pk,
                                   changed_at=timezone.now())  # fmt: skip
    session = {"initiator": f"{name}-initiator", "address": f"{name}-address"}
    target = Target.objects.create(name=f"{name}-target", iqn=f"iqn.2014-06.test:{name}", node=node, number=1,
                                   chap_user=chap, initiators=[f"{name}-allowed"], stage="ready", state="running",
                                   reason=f"{name}-words", sessions=[session], checked_at=timezone.now())  # fmt: skip
    Portal.objects.create(target=target, address=f"192.0.2.{100 + target.pk % 100}", prefix=24, interface="vnet0")
    lun = Lun.objects.create(target=target, number=1, name=f"{name}-lun", datastore=datastore, image=f"{name}-image",
                             size=1 << 30, stage="ready", reason=f"{name}-words")  # fmt: skip
    snapshot = Snapshot.objects.create(lun=lun, name=f"{name}-snap", size=1 << 30, taken_at=timezone.now())
    return {"iscsi_target": target, "lun": lun, "snapshot": snapshot, "chap_user": chap}


@contextmanager
def engines_fail(words: str) -> Iterator[None]:
    """Every node that is there answers everything with an error of these words."""
    with ExitStack() as stack:
        for node in Node.objects.all():
            error = Unreachable(words, code="no-route", advice=words)
            stack.enter_context(replaced(node.name, AlwaysFailing(endpoint_for(node), error)))
        yield


def make_task(name: str, node: Node, ve: VE, state: str, **columns: Any) -> Task:
    """A task about the VE with a step and a line in its log."""
    now = timezone.now()
    ended = state not in ("waiting", "running")
    task = Task.objects.create(
        kind="ve.start", title=f"{name}-title", queue="default", params={"ve_id": ve.pk}, params_hash="x", state=state,
        reason=f"{name}-reason", advice=f"{name}-advice", traceback=f"{name}-traceback", place=node.name,
        object_type="ve", object_id=ve.pk, object_name=ve.name, initiator_name=f"{name}-initiator", rev=2, log_length=2,
        facts=[[f"{name}-fact", f"{name}-value"]], waiting_for=f"{name}-waiting", started_at=now,
        finished_at=now if ended else None, **columns,
    )  # fmt: skip
    for type, each in (("ve", ve), ("node", node)):
        TaskTarget.objects.create(task=task, object_type=type, object_id=each.pk, object_name=each.name, word="Source")
    step = TaskStep.objects.create(task=task, attempt=1, seq=1, rev=1, key="s", title=f"{name}-step",
                                   note=f"{name}-note", state="completed", started_at=now, depth=0)  # fmt: skip
    TaskLine.objects.create(task=task, step=step, seq=2, rev=2, text=f"{name}-line", at=now, level="error")
    return task


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[tuple[str, Any, str | None]]:
    """(route, view, name) of the panel."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            yield route, entry.callback, entry.name


def slots_of(route: str) -> dict[str, str] | None:
    """What the parameters of a route name; None when nobody has said it."""
    if "<" not in route:
        return {}
    known = next((names for pattern, names in SLOTS if re.match(pattern, route)), {})
    asked = set(re.findall(r"<[^:>]+:([^>]+)>", route))
    return known if known and set(known) == asked else None


def path_of(route: str, part: Part) -> str:
    """The address of a route about this part's objects."""
    slots = slots_of(route)
    assert slots is not None, f"/{route}: say in SLOTS what its parameters name"
    return "/" + re.sub(r"<[^:>]+:([^>]+)>", lambda match: part.number(slots[match[1]]), route)


def text_of(response: Any) -> str:
    """The body, also of a streamed answer, and the headers that carry text."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return str(body.decode()) + "".join(response.get(name, "") for name in ("HX-Trigger", "HX-Location", "Location"))
