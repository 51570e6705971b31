"""Setting real nodes up: over SSH once, over mutual TLS from then on."""

import socket
import ssl

import pytest
from django.conf import settings

from infrastructure.drivers import registry
from infrastructure.models import VE, Node
from infrastructure.services import nodes
from infrastructure.services.errors import InvalidInput
from panel.trust import ca
from tests.lab.onboarded import OnboardedLab, completed, lines_of, steps_of

pytestmark = pytest.mark.lab

LIBVIRTD_CONF = "/etc/libvirt/libvirtd.conf"


def test_three_nodes_are_set_up_and_show_what_virsh_shows(panel_lab: OnboardedLab) -> None:
    for node in panel_lab.lab.nodes:
        task = panel_lab.add(node.name)
        completed(task)
        assert [title for title, _ in steps_of(task)] == [
            f"Connecting to {node.name}",
            "Installing packages",
            "Writing certificates",
            "Configuring libvirt",
            "Connecting over TLS",
            f"Discovering {node.name}",
        ]
        row = panel_lab.node(node.name)
        assert (str(row.uuid), row.hostname, row.state) == (node.host_uuid, node.name, "online")
        assert {ve.name: ve.state for ve in VE.objects.filter(node=row)} == panel_lab.lab.states(node.name)
        assert [network.name for network in row.networks.all()] == ["lan"]


def test_a_second_time_it_finds_everything_done_and_restarts_nothing(onboarded_lab: OnboardedLab) -> None:
    before = onboarded_lab.lab.exec("primary", "cat", "/run/libvirtd.pid")
    task = onboarded_lab.run(nodes.onboard(user=onboarded_lab.admin, node=onboarded_lab.node("primary")))
    completed(task)
    assert sum(line.startswith("already done") for line in lines_of(task)) == 3
    assert onboarded_lab.lab.exec("primary", "cat", "/run/libvirtd.pid") == before


def test_guests_run_on_while_a_node_is_removed_and_added_again(onboarded_lab: OnboardedLab) -> None:
    lab = onboarded_lab.lab
    foreign = [line for line in lab.exec("primary", "cat", LIBVIRTD_CONF).splitlines() if line.startswith("host_uuid")]
    ids = lab.virsh("primary", "list", "--id")
    completed(onboarded_lab.run(nodes.remove(user=onboarded_lab.admin, node=onboarded_lab.node("primary"))))
    assert not Node.objects.filter(name="primary").exists()
    text = lab.exec("primary", "cat", LIBVIRTD_CONF, "/etc/libvirt/qemu.conf", "/etc/default/libvirtd")
    assert "Mooring" not in text and "mooring" not in text
    assert lab.attempt("exec", "primary", "ls", "/etc/pki/mooring").returncode != 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((lab.node("primary").address, 16514), timeout=3)

    completed(onboarded_lab.add("primary"))
    assert lab.virsh("primary", "list", "--id") == ids, "a guest was restarted"
    after = [line for line in lab.exec("primary", "cat", LIBVIRTD_CONF).splitlines() if line.startswith("host_uuid")]
    assert after == foreign and len(foreign) == 1


def test_libvirt_takes_no_connection_without_our_certificate(onboarded_lab: OnboardedLab) -> None:
    address = onboarded_lab.lab.node("primary").address
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 16509), timeout=3)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(settings.PKI_DIR / "cacert.pem")
    with (
        socket.create_connection((address, 16514), timeout=3) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
        context.wrap_socket(plain, server_hostname=address) as secure,
    ):
        if not secure.recv(1):
            raise ConnectionResetError


def test_a_certificate_of_ours_with_another_name_is_refused(onboarded_lab: OnboardedLab, tmp_path: object) -> None:
    """The web server's certificate is signed by the same authority, and yet nobody to libvirt."""
    ca.ensure_web_certificate(["panel.example.org"])
    address = onboarded_lab.lab.node("primary").address
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(settings.PKI_DIR / "cacert.pem")
    context.load_cert_chain(settings.KEYS_DIR / "web.crt", settings.KEYS_DIR / "web.key")
    with (
        socket.create_connection((address, 16514), timeout=3) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
        context.wrap_socket(plain, server_hostname=address) as secure,
    ):
        if not secure.recv(1):
            raise ConnectionResetError


def test_keys_on_the_node_are_roots_alone(onboarded_lab: OnboardedLab) -> None:
    found = onboarded_lab.lab.exec(
        "primary",
        "sh",
        "-c",
        "stat -c '%a %U' /etc/pki/mooring /etc/pki/mooring/*key.pem /etc/pki/qemu/mooring/*key.pem",
    )
    assert found.splitlines() == ["700 root", "400 root", "400 root", "400 root", "400 root"]


def test_a_wrong_fingerprint_is_refused_with_both(panel_lab: OnboardedLab) -> None:
    shown = panel_lab.lab.node("primary")
    other = panel_lab.lab.node("secondnode1").fingerprint
    with pytest.raises(InvalidInput) as refusal:
        nodes.add(user=panel_lab.admin, name="primary", address=shown.address, ssh_port=22, fingerprint=other)
    assert shown.fingerprint in str(refusal.value) and other in str(refusal.value)


def test_without_the_panels_key_the_task_fails_and_says_where_to_put_it(panel_lab: OnboardedLab) -> None:
    panel_lab.lab.exec("primary", "sh", "-c", ": >/root/.ssh/authorized_keys")
    registry.drop_all()
    task = panel_lab.add("primary")
    assert task.state == "failed"
    assert "does not accept the panel's SSH key" in task.reason
    assert "/root/.ssh/authorized_keys" in task.advice
    panel_lab.install_key("primary")
    completed(panel_lab.run(nodes.onboard(user=panel_lab.admin, node=panel_lab.node("primary"))))


def test_two_nodes_with_one_host_uuid_are_not_taken_for_one(onboarded_lab: OnboardedLab) -> None:
    lab = onboarded_lab.lab
    first, second = lab.node("primary").host_uuid, lab.node("secondnode2").host_uuid
    completed(onboarded_lab.run(nodes.remove(user=onboarded_lab.admin, node=onboarded_lab.node("secondnode2"))))
    lab.exec("secondnode2", "sed", "-i", f"s/{second}/{first}/", LIBVIRTD_CONF)
    try:
        task = onboarded_lab.add("secondnode2")
        assert task.state == "failed"
        assert f"host UUID {first}, which is that of primary" in task.reason
        assert f"set host_uuid in {LIBVIRTD_CONF} of secondnode2" in task.advice
        assert onboarded_lab.node("secondnode2").uuid is None
    finally:
        lab.exec("secondnode2", "sed", "-i", f"s/{first}/{second}/", LIBVIRTD_CONF)
        lab.exec("secondnode2", "service", "libvirtd", "restart")
    completed(onboarded_lab.run(nodes.onboard(user=onboarded_lab.admin, node=onboarded_lab.node("secondnode2"))))
