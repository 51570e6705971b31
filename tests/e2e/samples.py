"""What the pages show while they are looked at: objects of the lab, rows made for it, and people in every stage."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page

from tests.e2e.conftest import URL, make_user, run_manage, sign_in
from tests.e2e.test_accounts import add_app, enter

SECRET = "looking at every single page"

_MAKE = """
import json
from django.utils import timezone
from infrastructure.models import Node, VE
from iscsi.models import ChapUser, IscsiNode, Lun, Snapshot, Target
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.preferences.models import SavedView
from storage.models import Cluster, Datastore
from tasks.models import Task, TaskLine, TaskStep
now = timezone.now()
admin = User.objects.get(username="admin")
ve = VE.objects.get(name="vmtest")
ended = dict(queue="migrate", kind="ve.migrate", object_type="ve", object_id=ve.pk, object_name=ve.name, rev=9,
             initiator=admin, initiator_name="admin", params={}, started_at=now, finished_at=now, place="a → b")
parent = Task.objects.create(**{**ended, "kind": "ve.bulk_migrate"}, title="Migrating 3 VEs", state="warning",
                             reason="1 of 3 tasks failed.", advice="Look at it below.", waits_for_children=True)
reason = dict(reason="secondnode1 has no room for 4 GiB.", advice="Stop a VE there, or choose another node.")
failed = Task.objects.create(**ended, title="Migrating vmtest", state="failed", parent=parent, **reason)
lost = Task.objects.create(**ended, title="Migrating vmtest", state="lost", parent=parent, traceback="Traceback: ...")
Task.objects.create(**ended, title="Migrating vmtest", state="completed", parent=parent)
step = TaskStep.objects.create(task=failed, seq=1, rev=2, key="1", title="Checking secondnode1", state="failed",
                               attempt=1, started_at=now, finished_at=now, depth=0)
for seq, level in enumerate(("info", "warning", "error", "command"), start=2):
    TaskLine.objects.create(task=failed, step=step, seq=seq, rev=3, level=level, text=f"a line: {level}", at=now)
view, _ = SavedView.objects.get_or_create(
    owner=admin, table="ves-table", name=f"Stopped ones of {USER}", defaults={"query": "status=stopped"}
)
# Not created: one that is ready would be attached to the nodes, and it has no pool.
datastore, _ = Datastore.objects.get_or_create(name=USER, defaults={
    "cluster": Cluster.objects.first(), "tier": 1, "mode": "r2", "domain": "host", "state": "failed",
    "pool": f"mooring-vm.t1.r2.host.{USER}", "data_pool": f"mooring-vm.t1.r2.host.{USER}",
})
# Of stages that nothing is served of, and that nobody looks at: there is no server.
node = Node.objects.get(name="primary")
IscsiNode.objects.get_or_create(node=node, defaults={"state": "failed", "reason": "A sample"})
chap, _ = ChapUser.objects.get_or_create(name=USER, defaults={"secret": "", "version": 0, "changed_at": now})
target, _ = Target.objects.get_or_create(name=USER, defaults={
    "iqn": f"iqn.2014-06.com.vstorage:{USER}", "node": node, "number": 1000 + int(USER[-6:], 16) % 30_000,
    "started": False, "stage": "partly",
    "chap_user": chap, "initiators": ["iqn.1993-08.org.debian:01:b81a24"], "limit_iops": 2000,
    "sessions": [{"initiator": "iqn.1993-08.org.debian:01:b81a24", "address": "192.0.2.31"}],
})
lun, _ = Lun.objects.get_or_create(image=f"lun-{USER}", defaults={
    "target": target, "number": 1, "datastore": datastore, "size": 1 << 30, "stage": "failed",
})
snapshot, _ = Snapshot.objects.get_or_create(lun=lun, name="sample", defaults={"size": 1 << 30, "taken_at": now})
print("@@" + json.dumps({
    "node": Node.objects.get(name="primary").pk,
    "ve": ve.pk,
    "ct": VE.objects.get(name="ct1").pk,
    "stopped": VE.objects.get(name="vm2").pk,
    "node_task": Task.objects.filter(kind="node.onboard").latest("pk").pk,
    "datastore": datastore.pk,
    "target": target.pk, "lun": lun.pk, "snapshot": snapshot.pk, "chap_user": chap.pk,
    "parent": parent.pk, "failed": failed.pk, "lost": lost.pk, "view": view.pk,
    "audit": AuditRecord.objects.latest("pk").pk,
    "user": User.objects.get(username=USER).pk,
}))
"""
_REMOVE = """
from iscsi.models import ChapUser, IscsiNode, Lun, Target
from panel.preferences.models import SavedView
from storage.models import Datastore
from tasks.models import Task
Task.objects.filter(parent=ids["parent"]).delete()
Task.objects.filter(pk=ids["parent"]).delete()
SavedView.objects.filter(pk=ids["view"]).delete()
Lun.objects.filter(pk=ids["lun"]).delete()
Target.objects.filter(pk=ids["target"]).delete()
ChapUser.objects.filter(pk=ids["chap_user"]).delete()
if not Target.objects.filter(name__startswith="sample-").exists():  # of tests beside these
    IscsiNode.objects.filter(reason="A sample").delete()
Datastore.objects.filter(pk=ids["datastore"]).delete()
"""


def make(user: str) -> dict[str, int]:
    """Rows that a fresh lab does not have; returns the ids of all sample objects by name.

    `user` is the sample user, after whom those are named whose names must differ from those of tests beside these.
    """
    text = run_manage("shell", "-c", f"USER = {user!r}\n{_MAKE}")
    ids: dict[str, int] = json.loads(text.rsplit("@@", 1)[1])
    return ids


def remove(ids: dict[str, int]) -> None:
    run_manage("shell", "-c", f"ids = {ids!r}\n{_REMOVE}")


class People:
    """A browser page for each stage of signing in, kept as long as the module runs."""

    def __init__(self, browser: Browser, admin_state: Any) -> None:
        self._browser = browser
        self._admin_state = admin_state
        self._pages: dict[str, Page] = {}
        self.tag = secrets.token_hex(3)

    def page_of(self, who: str) -> Page:
        if who not in self._pages:
            stage: Callable[[], Page] = getattr(self, f"_{who}")
            self._pages[who] = stage()
        return self._pages[who]

    def close(self) -> None:
        for page in self._pages.values():
            page.context.close()

    def _page(self, state: Any = None) -> Page:
        context = self._browser.new_context(
            base_url=URL, ignore_https_errors=True, reduced_motion="reduce", storage_state=state
        )
        return context.new_page()

    def _admin(self) -> Page:
        return self._page(self._admin_state)

    def _stranger(self) -> Page:
        return self._page()

    def _viewer(self) -> Page:
        page = self._page()
        sign_in(page, make_user(f"looks-{self.tag}", "viewer", SECRET), SECRET)
        return page

    def _newcomer(self) -> Page:
        name, page = f"first-{self.tag}", self._page()
        run_manage("add_user", name, "--role", "viewer", "--password-stdin", stdin=f"{SECRET}\n")
        enter(page, name, SECRET)
        page.wait_for_load_state("load")
        return page

    def _factor(self) -> Page:
        page = self._page()
        sign_in(page, make_user(f"app-{self.tag}", "viewer", SECRET), SECRET)
        page.goto("/account/two-factor/app/")
        _confirm(page)
        add_app(page)
        page.wait_for_load_state("load")
        return page

    def _halfway(self) -> Page:
        self.page_of("factor")
        page = self._page()
        enter(page, f"app-{self.tag}", SECRET)
        page.wait_for_load_state("load")
        return page


def _confirm(page: Page) -> None:
    """Give the password once more, as what concerns the second factor asks for."""
    page.get_by_label("Password", exact=True).fill(SECRET)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_load_state("load")
