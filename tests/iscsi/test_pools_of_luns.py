"""The pools that LUNs share are no datastores: no page lists them, no node attaches them."""

from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from storage.models import Attachment, Datastore
from storage.observe.attaching import AttachSource
from storage.services import attachments, clusters, datastores
from tests.iscsi.world import World


@pytest.fixture
def client(administrator: User, client_of: Callable[[User], Any]) -> Any:
    return client_of(administrator)


def test_they_are_not_among_the_datastores_nor_among_pools_of_others(world: World, client: Any) -> None:
    world.lun(world.target())
    world.storage.observe()
    pool = Datastore.objects.get()
    page = client.get("/storage/datastores/").content.decode()
    assert "No datastores" in page and pool.name not in page and pool.pool not in page
    assert client.get(f"/storage/datastores/{pool.pk}/").status_code == 404
    assert client.get(f"/storage/datastores/{pool.pk}/remove/").status_code == 404


def test_no_node_attaches_them(world: World) -> None:
    world.lun(world.target())
    assert attachments.reconcile(world.nodes["primary"]) == attachments.Outcome(world.nodes["primary"])
    assert not Attachment.objects.exists() and not AttachSource._anything()


def test_no_datastore_can_have_their_name_or_use(world: World, administrator: User) -> None:
    usual = {"cluster": world.storage.row, "tier": 2, "mode": "r2", "domain": "host"}
    for name, use in (("lun.t2.r2.host", "vm"), ("fast", "lun")):
        with pytest.raises(InvalidInput):
            datastores.create(user=administrator, name=name, use=use, **usual)


def test_the_cluster_is_not_let_go_while_it_has_luns(world: World) -> None:
    world.lun(world.target())
    with pytest.raises(NotPossible, match="storage1 holds LUNs"):
        clusters.disconnect(user=None, cluster=world.storage.row)
