"""The columns of a list: the default, what a user chose, what the address asks for; and that all lists can do it."""

import re
from typing import Any

import pytest

from infrastructure.tables import NodeTable, VETable
from panel.accounts.models import User
from panel.audit.services import record
from panel.preferences.models import ColumnChoice
from panel.ui.columns import chosen_columns
from panel.ui.tables import Table, table_named
from tests.infrastructure.page_rows import make_cluster

pytestmark = pytest.mark.django_db
VES = "/infrastructure/ves/"
CHOOSE = "/preferences/columns/ves-table/"


@pytest.fixture
def client(viewer: User, client_of: Any) -> Any:
    make_cluster()
    return client_of(viewer)


def headers(client: Any, path: str = VES) -> list[str]:
    html = client.get(path).content.decode()
    row = re.search(r"<thead>.*?</tr>", html, re.S)
    assert row is not None
    cells = re.findall(r'<th scope="col".*?</th>', row.group(), re.S)
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells if 'class="ck"' not in cell]


def cells_of_first_row(client: Any, path: str = VES) -> int:
    row = re.search(r"<tbody>.*?</tr>", client.get(path).content.decode(), re.S)
    assert row is not None
    return row.group().count("<td")


DEFAULT = ["Status", "Name", "Type", "Node", "IP address", "CPU", "RAM", "Uptime"]


def test_without_a_choice_the_default_columns_are_shown(client: Any) -> None:
    assert headers(client) == DEFAULT


def test_a_choice_is_kept_for_this_user_and_this_list_alone(client: Any, operator: User, client_of: Any) -> None:
    answer = client.post(CHOOSE, {"columns": ["name", "uuid", "status"], "next": VES})

    assert (answer.status_code, answer["Location"]) == (302, VES)
    assert headers(client) == ["Name", "UUID", "Status"]
    assert cells_of_first_row(client) == 4
    assert "CPU" in headers(client, "/infrastructure/nodes/")
    assert headers(client_of(operator)) == DEFAULT


@pytest.mark.parametrize("rows", ["²", "٥٠", "9" * 5000, "7", "-20"])
def test_a_page_size_that_is_none_of_the_list_is_the_default(client: Any, rows: str) -> None:
    assert client.get(VES, {"rows": rows}).status_code == 200


def test_an_address_that_is_too_long_for_a_view_is_still_a_list(client: Any) -> None:
    assert client.get(VES, {"name": "x" * 2500}).status_code == 200


def test_status_and_name_cannot_be_hidden(client: Any) -> None:
    client.post(CHOOSE, {"columns": ["cpu"]})

    assert headers(client) == ["Status", "Name", "CPU"]
    assert headers(client, f"{VES}?columns=node") == ["Status", "Name", "Node"]


def test_a_column_is_moved_and_the_default_comes_back(client: Any) -> None:
    client.post(CHOOSE, {"columns": ["status", "name", "cpu"], "move": "cpu:up"})
    assert headers(client) == ["Status", "CPU", "Name"]
    client.post(CHOOSE, {"columns": ["status", "cpu", "name"], "move": "status:up"})  # it is the first already
    assert headers(client) == ["Status", "CPU", "Name"]

    client.post(CHOOSE, {"columns": ["status"], "reset": "1"})
    assert headers(client) == DEFAULT
    assert not ColumnChoice.objects.exists()


def test_the_address_comes_before_the_choice(client: Any) -> None:
    client.post(CHOOSE, {"columns": ["status", "name"]})

    assert headers(client, f"{VES}?columns=name,memory,status") == ["Name", "RAM", "Status"]
    assert headers(client, f"{VES}?columns=nonsense") == ["Status", "Name"]


def test_a_change_leaves_an_address_that_names_columns(client: Any) -> None:
    fields = {"columns": ["status", "name"], "next": f"{VES}?q=vm", "overridden": "1"}

    answer = client.post(CHOOSE, fields, headers={"HX-Request": "true"})

    assert answer.status_code == 204
    assert f'"path": "{VES}?q=vm"' in answer["HX-Location"]


def test_nobody_is_led_to_another_site(client: Any) -> None:
    for address in ("https://example.org/", "//example.org/", "javascript:alert(1)"):
        assert client.post(CHOOSE, {"columns": ["name"], "next": address})["Location"] == "/"


def test_unknown_lists_and_columns_are_refused_or_left_out(client: Any) -> None:
    assert client.post("/preferences/columns/no-such-table/", {"columns": ["name"]}).status_code == 404
    client.post(CHOOSE, {"columns": ["<script>", "name", "name"]})
    assert headers(client) == ["Status", "Name"]


def test_the_filter_of_a_hidden_column_stays_in_force(client: Any) -> None:
    html = client.get(f"{VES}?columns=status,name&node=primary&kind=vm").content.decode()

    form = html.split('id="ves-table-filter"')[1]
    for name, value in (("node", "primary"), ("kind", "vm"), ("columns", "status,name")):
        assert f'<input type="hidden" name="{name}" value="{value}">' in form


def test_fixed_columns_come_back_in_front() -> None:
    shown = chosen_columns(VETable.columns, ["cpu", "name", "cpu", "x"])
    assert [column.key for column in shown] == ["status", "cpu", "name"]


LISTS = [
    ("/infrastructure/nodes/", "nodes-table"),
    (VES, "ves-table"),
    ("/infrastructure/nodes/{node}/?tab=ves", "node-ves"),
    ("/tasks/", "task-table"),
    ("/audit/", "audit-table"),
]


@pytest.mark.parametrize(("path", "region"), LISTS)
def test_every_list_has_a_cell_for_each_of_its_columns(
    path: str, region: str, administrator: User, client_of: Any
) -> None:
    """By declaration alone: columns in any order, also those that are not shown by default."""
    from tasks.services import enqueue

    rows = make_cluster()
    record(action="something", actor=administrator)
    enqueue("node.onboard", params={"node_id": rows["primary"].pk}, title_args={"node": "primary"})
    table = table_named(region)
    assert table is not None
    client = client_of(administrator)
    path = path.format(node=rows["primary"].pk)
    keys = [column.key for column in table.columns][::-1]

    client.post(f"/preferences/columns/{region}/", {"columns": keys})

    assert headers(client, path) == [column.label for column in table.columns][::-1]
    selects = 'data-select="' in client.get(path).content.decode()
    assert cells_of_first_row(client, path) == len(keys) + 1 + selects
    for label in ("Views", "Columns"):
        assert f'aria-label="{label}"' in client.get(path).content.decode()


@pytest.mark.parametrize("table", [NodeTable, VETable])
def test_status_and_name_are_declared_as_fixed(table: type[Table]) -> None:
    assert [column.key for column in table.columns if column.fixed] == ["status", "name"]
