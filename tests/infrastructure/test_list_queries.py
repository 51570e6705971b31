"""How much each list asks of the database: the same for many rows as for few, and no more than today."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from panel.accounts.models import User
from panel.audit.services import record
from panel.preferences.services import save_view
from tasks.services import Target, enqueue
from tests.infrastructure.page_rows import make_node, make_ve

pytestmark = pytest.mark.django_db
# The whole page, with tree, dock and navigation; and the list alone, as the browser reads it again while it is open.
PINNED = {
    "/infrastructure/nodes/": (14, 9),
    "/infrastructure/ves/": (14, 9),
    "/infrastructure/ves/?q=vm&columns=status,name,uuid&sort=-cpu": (14, 9),
    "/infrastructure/nodes/{node}/?tab=ves": (15, 10),
    "/tasks/": (13, 8),
    "/audit/": (14, 9),
}
REGIONS = {"nodes": "nodes-table", "ves": "ves-table", "tasks": "task-table", "audit": "audit-table"}


def make_rows(many: int, user: User) -> dict[str, Any]:
    node = make_node("node-0")
    for number in range(many):
        other = make_node(f"node-{number + 1}")
        make_ve(f"vm-{number}", other)
        make_ve(f"vm-own-{number}", node)
        record(action="something", actor=user, target=other)
        target = Target("node", other.pk, other.name)
        enqueue("node.onboard", params={"node_id": other.pk}, title_args={"node": other.name}, targets=[target])
        save_view(user=user, table="ves-table", name=f"view {number}", query=f"q={number}", shared=False)
    return {"node": node.pk}


@pytest.mark.parametrize("many", [2, 30])
@pytest.mark.parametrize("path", PINNED)
def test_a_list_asks_no_more_than_this(path: str, many: int, administrator: User, client_of: Any, sent: Any) -> None:
    rows = make_rows(many, administrator)
    client = client_of(administrator)
    region = "node-ves" if "?tab=ves" in path else REGIONS[path.strip("/").split("/")[-1 if "?" not in path else -2]]
    asked = []
    for headers in ({}, {"HX-Request": "true", "HX-Target": region}):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path.format(**rows), headers=headers).status_code == 200
        asked.append(len(queries))

    assert asked[0] <= PINNED[path][0], asked
    assert asked[1] <= PINNED[path][1], asked
