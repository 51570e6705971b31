"""The Network tabs: what was observed, with its age, and which VE's adapter is on which bridge."""

from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers import registry
from infrastructure.models import VE, Node, NodeInterfaces, NodeNetwork
from panel.accounts.models import User
from tests.infrastructure.page_rows import make_cluster, make_ve

pytestmark = pytest.mark.django_db


def interface(name: str, **columns: Any) -> dict[str, Any]:
    known = {"kind": "", "state": "up", "mac": "", "mtu": 1500, "speed_mbit": 0, "master": "", "addresses": []}
    return {"name": name, **known, **columns}


@pytest.fixture
def node() -> Node:
    made: Node = make_cluster()["primary"]
    NodeNetwork.objects.filter(node=made).update(
        mode="nat", autostart=True, addresses=["192.168.122.1/24"], dhcp=["192.168.122.2 - 192.168.122.254"]
    )
    NodeInterfaces.objects.create(
        node=made,
        observed_at=timezone.now(),
        interfaces=[
            interface("vnet4", kind="tun", master="virbr0"),
            interface("eth0", speed_mbit=10000, addresses=["192.0.2.11/24"]),
            interface("virbr0", kind="bridge", mac="0e:00:00:00:00:01"),
        ],
        rates={"vnet4": [2048, 1024], "eth0": [3 * 1024**2, 0]},
    )
    nic = {"mac": "52:54:00:00:00:09", "network": "default", "bridge": "", "model": "virtio", "target": "vnet4"}
    VE.objects.filter(name="vmtest").update(nics=[{**nic, "addresses": []}])
    return made


def page(client: Any, node: Node) -> str:
    html: str = client.get(f"/infrastructure/nodes/{node.pk}/?tab=network").content.decode()
    return html.split('id="tab-panel"')[1].split("</main>")[0]


def test_networks_interfaces_and_adapters_are_listed(viewer: User, node: Node, client_of: Any) -> None:
    html = page(client_of(viewer), node)

    for text in ("Nat", "192.168.122.1/24", "192.168.122.2 - 192.168.122.254", "virbr0"):
        assert text in html
    assert "10,000 Mbit/s" in html
    assert "3 MiB/s" in html
    assert "52:54:00:00:00:09" in html
    assert "192.0.2.174" in html, "the only adapter has the VE's address"
    assert "Interfaces observed" in html


def test_a_bridge_names_its_members_and_an_adapter_its_ve(viewer: User, node: Node, client_of: Any) -> None:
    html = page(client_of(viewer), node)
    ve = VE.objects.get(name="vmtest")

    bridge = html.split('<td class="mono b">virbr0</td>')[1].split("</tr>")[0]
    assert "vnet4" in bridge
    assert "No data" in bridge, "no rate is known of it"
    tap = html.split('<td class="mono b">vnet4</td>')[1].split("</tr>")[0]
    assert f'Adapter of <a href="/infrastructure/ves/{ve.pk}/">vmtest</a>' in tap
    order = [html.index(f'<td class="mono b">{name}</td>') for name in ("virbr0", "eth0", "vnet4")]
    assert order == sorted(order), "the adapters of VEs come last"


def test_a_ve_shows_its_adapters_with_what_they_carry(viewer: User, node: Node, client_of: Any) -> None:
    ve = VE.objects.get(name="vmtest")
    html = client_of(viewer).get(f"/infrastructure/ves/{ve.pk}/?tab=network").content.decode()
    row = html.split("52:54:00:00:00:09")[1].split("</tr>")[0]
    assert "virbr0" in row and "virtio" in row and "vnet4" in row
    assert row.index("1 KiB/s") < row.index("2 KiB/s"), "the VE receives what the node sends"


def test_a_node_without_any_news_says_so(viewer: User, client_of: Any) -> None:
    node = make_cluster()["primary"]
    html = page(client_of(viewer), node)
    assert "Interfaces not observed yet" in html
    assert "has not told its interfaces yet" in html


def test_the_page_asks_the_database_alone_and_as_much_for_many_ves_as_for_few(
    viewer: User,
    node: Node,
    client_of: Any,
    django_assert_max_num_queries: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(60):
        make_ve(f"more-{number}", node)
    monkeypatch.setattr(registry, "driver_for", lambda endpoint: pytest.fail("a page load asked a node"))
    client = client_of(viewer)
    with django_assert_max_num_queries(22):
        assert "more-59" in page(client, node)


def test_the_security_facts_are_on_the_summary(viewer: User, node: Node, client_of: Any) -> None:
    Node.objects.filter(pk=node.pk).update(
        host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIENGgoNg4JxHR+0H7Jm8+35Ny7cXjvHB5CS+gVjKhkjq",
        certificate_serial="2B6EC1F5",
        certificate_issuer="O=Mooring CA,CN=Mooring main",
        certificate_expires_at=timezone.now(),
    )
    html = client_of(viewer).get(f"/infrastructure/nodes/{node.pk}/").content.decode()
    card = html.split('id="node-security"')[1].split("</section>")[0]
    assert "2B6EC1F5" in card and "O=Mooring CA,CN=Mooring main" in card
    from infrastructure.drivers.ssh import host_key

    known = host_key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIENGgoNg4JxHR+0H7Jm8+35Ny7cXjvHB5CS+gVjKhkjq")
    assert known.fingerprint in card, "the same as ssh-keygen prints"
