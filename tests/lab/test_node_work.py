"""Work on a real node as a whole: its daemons restarted, its certificate re-issued, its networks observed."""

import time
from typing import Any

import pytest

from infrastructure.drivers import registry
from infrastructure.models import Node
from infrastructure.observe.interfaces import read
from infrastructure.services import node_logs, node_work
from infrastructure.services.endpoints import driver
from infrastructure.services.onboarding import certificates
from panel.trust import ca
from tests.lab.onboarded import OnboardedLab, completed, lines_of, steps_of

pytestmark = pytest.mark.lab


def pids(lab: OnboardedLab) -> list[str]:
    return [lab.lab.exec("primary", "cat", f"/run/{name}.pid").strip() for name in ("libvirtd", "virtlogd")]


def ids(lab: OnboardedLab) -> str:
    return lab.lab.virsh("primary", "list", "--id") + lab.lab.virsh("primary", "list", "--id", kind="lxc")


def guests(lab: OnboardedLab) -> str:
    """The processes of vmtest and of each container, and when the kernel started them."""
    script = "for each; do cut -d ' ' -f 1,22 /proc/$(cat $each)/stat; done"
    files = ("/run/libvirt/qemu/vmtest.pid", "/run/libvirt/lxc/ct1.pid", "/run/libvirt/lxc/va-mn.pid")
    return lab.lab.exec("primary", "sh", "-c", script, "sh", *files)


def shown(lab: OnboardedLab) -> str:
    return ca.describe(driver(lab.node("primary")).shown_certificate()).serial


def test_services_are_restarted_and_every_ve_runs_on(onboarded_lab: OnboardedLab) -> None:
    libvirtd, virtlogd = pids(onboarded_lab)
    before = ids(onboarded_lab), guests(onboarded_lab)

    task = onboarded_lab.run(node_work.restart_services(user=onboarded_lab.admin, node=onboarded_lab.node("primary")))

    completed(task)
    after = pids(onboarded_lab)
    assert after[0] != libvirtd, "libvirtd was not restarted"
    assert after[1] == virtlogd, "virtlogd starts itself anew in its own process"
    assert (ids(onboarded_lab), guests(onboarded_lab)) == before
    assert "service libvirtd restart" in lines_of(task)
    assert any(line.startswith("Run on as before:") and "vmtest" in line for line in lines_of(task))


def test_virtlogd_keeps_the_logs_of_running_guests_open(onboarded_lab: OnboardedLab) -> None:
    completed(
        onboarded_lab.run(node_work.restart_services(user=onboarded_lab.admin, node=onboarded_lab.node("primary")))
    )
    held = onboarded_lab.lab.exec("primary", "sh", "-c", "ls -l /proc/$(cat /run/virtlogd.pid)/fd")
    assert "/var/log/libvirt/qemu/vmtest.log" in held


def test_a_node_gets_a_new_certificate_and_can_still_be_migrated_to(onboarded_lab: OnboardedLab) -> None:
    node = onboarded_lab.node("primary")
    before, running = shown(onboarded_lab), guests(onboarded_lab)
    assert node.certificate_serial == before

    task = onboarded_lab.run(node_work.reissue_certificates(user=onboarded_lab.admin, node=node))

    completed(task)
    node.refresh_from_db()
    assert node.certificate_serial == shown(onboarded_lab) != before
    assert guests(onboarded_lab) == running
    left = onboarded_lab.lab.exec("primary", "ls", "/etc/pki", "/etc/pki/qemu")
    assert ".old" not in left and ".new" not in left
    completed(onboarded_lab.run(onboarded_lab.migrate("secondnode1")))
    completed(onboarded_lab.run(onboarded_lab.migrate("primary")))


def test_a_certificate_that_is_not_accepted_is_taken_back(
    onboarded_lab: OnboardedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real libvirtd takes up a certificate for another machine, which the panel's TLS refuses."""
    node = onboarded_lab.node("primary")
    before, running = shown(onboarded_lab), guests(onboarded_lab)
    issue = ca.issue_node_certificates
    monkeypatch.setattr(ca, "issue_node_certificates", lambda name, addresses: issue("other", ["192.0.2.99"]))

    task = onboarded_lab.run(node_work.reissue_certificates(user=onboarded_lab.admin, node=node))

    assert task.state == "failed", steps_of(task)
    assert any(f"The old certificate {before} is in use again" in line for line in lines_of(task)), lines_of(task)
    assert shown(onboarded_lab) == before
    assert guests(onboarded_lab) == running
    node.refresh_from_db()
    assert node.certificate_serial == before
    assert not certificates.swapped(driver(node))


def test_a_libvirtd_that_cannot_start_with_the_new_key_gets_the_old_one_back(
    onboarded_lab: OnboardedLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = onboarded_lab.node("primary")
    before = shown(onboarded_lab)
    swap = certificates.swap

    def swap_and_damage(host: Any) -> None:
        swap(host)
        host.write_file(f"{certificates.LIBVIRT_DIR}/serverkey.pem", b"not a key\n", mode=0o400)

    monkeypatch.setattr(certificates, "swap", swap_and_damage)
    monkeypatch.setattr("infrastructure.services.onboarding.libvirt_settings.START_SECONDS", 3.0)

    task = onboarded_lab.run(node_work.reissue_certificates(user=onboarded_lab.admin, node=node))

    assert task.state == "failed"
    assert shown(onboarded_lab) == before
    assert onboarded_lab.lab.states("primary")["vmtest"] == "running"


def test_interfaces_and_bridges_are_what_the_node_has(onboarded_lab: OnboardedLab) -> None:
    node = onboarded_lab.node("primary")
    found, traffic = read(driver(node))
    by_name = {each.name: each for each in found}

    assert by_name["br0"].kind == "bridge"
    assert any(address.startswith(node.address) for address in by_name["br0"].addresses)
    assert by_name["eth0"].master == "br0"
    assert traffic["eth0"][0] > 0
    adapters = onboarded_lab.lab.virsh("primary", "domiflist", "vmtest")
    tap = next(word for word in adapters.split() if word.startswith("vnet"))
    assert by_name[tap].master == "br0"
    assert by_name[tap].state == "up"
    onboarded_lab.refresh()
    assert tap in [nic["target"] for nic in onboarded_lab.ve("vmtest").nics]


def test_networks_show_their_mode(onboarded_lab: OnboardedLab) -> None:
    lan = onboarded_lab.node("primary").networks.get(name="lan")
    assert (lan.mode, lan.bridge, lan.active, lan.autostart) == ("bridge", "br0", True, True)


def test_the_logs_of_the_node_and_of_a_ve_are_read(onboarded_lab: OnboardedLab) -> None:
    node = onboarded_lab.node("primary")
    of_ve = node_logs.read(user=onboarded_lab.admin, node=node, ve=onboarded_lab.ve("vmtest"))
    assert of_ve.source == "/var/log/libvirt/qemu/vmtest.log"
    assert any("qemu-system" in line for line in of_ve.lines)
    begun = time.monotonic()
    assert node_logs.read(user=onboarded_lab.admin, node=node).source == "/var/log/libvirt/libvirtd.log"
    assert time.monotonic() - begun < 2 * node_logs.READ_SECONDS


def test_a_node_that_hangs_does_not_hold_up_who_asks_for_its_log(onboarded_lab: OnboardedLab) -> None:
    node: Node = onboarded_lab.node("secondnode2")
    node_logs.read(user=onboarded_lab.admin, node=node)
    onboarded_lab.lab.cut("secondnode2")
    try:
        begun = time.monotonic()
        with pytest.raises(Exception, match="secondnode2"):
            node_logs.read(user=onboarded_lab.admin, node=node)
        assert time.monotonic() - begun < 4 * node_logs.READ_SECONDS
    finally:
        onboarded_lab.lab.heal("secondnode2")
        registry.drop_all()
