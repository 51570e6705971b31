"""Links to objects by type and id."""

import pytest

from panel.ui import objects
from panel.ui.objects import Kind, url_of


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_kinds", {})


def test_an_object_with_a_page_of_its_own_is_linked_to_it() -> None:
    objects.register("node", route="infrastructure:node", icon="server-2", word="Node")
    assert url_of("node", 7) == "/infrastructure/nodes/7/"


def test_objects_that_share_a_page_are_linked_to_that() -> None:
    objects.register("node", route="infrastructure:nodes", icon="server-2", word="Node", single=True)
    assert url_of("node", 7) == url_of("node", 8) == "/infrastructure/nodes/"
    assert objects.kind_of("node") == Kind("node", "infrastructure:nodes", "server-2", "Node", True)


def test_what_has_no_page_is_not_linked() -> None:
    objects.register("disk", route="nowhere:at_all", icon="disc", word="Disk", single=True)
    assert url_of("disk", 1) == url_of("unknown", 1) == ""
    assert url_of("disk", None) == ""
