"""CHAP passwords on every way that takes one: pages that refuse and accept them, tasks that fail and that complete."""

from typing import Any

from infrastructure.drivers.errors import Unreachable
from iscsi.models import ChapUser
from iscsi.services import reconcile
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.iscsi.world import world

SHORT, FIRST, SECOND, MUTUAL = "canary-shrt", "canary-chap-one", "canary-chap-two", "canary-mutual-1"
USERS = "/iscsi/users/"


def walk_iscsi(client: Any) -> dict[str, str]:
    """Add users, one at first with a password too short; a target that asks for them; another password, told late."""
    for name, secret, status in (("canary", SHORT, 422), ("canary", FIRST, 204), ("canary-mutual", MUTUAL, 204)):
        assert _post(client, f"{USERS}add/", name=name, secret=secret) == status
    chap, mutual = (ChapUser.objects.get(name=name) for name in ("canary", "canary-mutual"))
    with world() as made:
        target = made.target(chap_user=chap, mutual_user=mutual)
        for secret, status in ((SHORT, 422), (SECOND, 204)):
            assert _post(client, f"{USERS}{chap.pk}/password/", secret=secret) == status
        made.servers["primary"].fail_next("look", Unreachable("cut off", component="ssh"))
        assert run(Task.objects.latest("pk")).state == "warning"
        reconcile.reconcile(target.pk)
        assert made.servers["primary"].secrets(1)["canary"] == SECOND
    return {
        "CHAP password too short": SHORT,
        "first CHAP password": FIRST,
        "second CHAP password": SECOND,
        "target's password": MUTUAL,
    }


def _post(client: Any, path: str, **fields: str) -> int:
    status: int = client.post(path, fields, headers={"HX-Request": "true"}).status_code
    return status
