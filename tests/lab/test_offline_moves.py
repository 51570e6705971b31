"""VEs that are shut down, moved and started again, and disks that only one node has, on real engines."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from infrastructure.services import migration
from infrastructure.services.migration import MigrationOptions
from tasks.models import Task
from tasks.services import cancel
from tests.lab.onboarded import OnboardedLab, completed, lines_of

pytestmark = pytest.mark.lab

IMAGE = "/var/lib/libvirt/images/local-vm.qcow2"
FOLDER = "/var/lib/local-cts"
ROOT = f"{FOLDER}/local-ct"
VM, CT = "00000000-1111-2222-3333-555555555501", "00000000-1111-2222-3333-555555555502"
NODES = ("primary", "secondnode1")
MARK = 16 * "mooring-"


def offline(panel: OnboardedLab, ve: str, target: str, **options: Any) -> Task:
    chosen = MigrationOptions(**options)
    return migration.start(user=panel.admin, ve=panel.ve(ve), target=panel.node(target), live=False, options=chosen)


@pytest.fixture
def local(onboarded_lab: OnboardedLab) -> Iterator[OnboardedLab]:
    """primary has local-vm (64 MiB of its disk written) and local-ct (32 MiB), both running, on storage of its own."""
    lab = onboarded_lab.lab
    _remove(onboarded_lab)
    lab.exec("primary", "qemu-img", "create", "-q", "-f", "qcow2", IMAGE, "256M")
    lab.exec("primary", "qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 0 64M", IMAGE)
    for node in NODES:
        lab.exec(node, "mkdir", "-p", FOLDER)
    lab.exec("primary", "cp", "-a", "/srv/shared/ct/ct1", ROOT)
    lab.exec("primary", "sh", "-c", f"head -c 33554432 /dev/urandom >{ROOT}/root/blob; mknod {ROOT}/root/null c 1 3")
    _define(onboarded_lab, "vmtest", "local-vm", VM, {"/srv/shared/images/vmtest.qcow2": IMAGE})
    _define(onboarded_lab, "ct1", "local-ct", CT, {"/srv/shared/ct/ct1": ROOT})
    onboarded_lab.refresh()
    yield onboarded_lab
    _remove(onboarded_lab)
    onboarded_lab.refresh()


def _define(panel: OnboardedLab, model: str, name: str, uuid: str, paths: dict[str, str]) -> None:
    """A VE like another one, with storage and an address of its own."""
    kind = "lxc" if model.startswith("ct") else "qemu"
    [node] = panel.lab.where(model)
    domain = etree.fromstring(panel.lab.virsh(node, "dumpxml", "--inactive", model, kind=kind).encode())
    domain.find("name").text, domain.find("uuid").text = name, uuid
    for item in domain.iterfind("devices/*/source"):
        for attribute in ("file", "dir"):
            if item.get(attribute) in paths:
                item.set(attribute, paths[item.get(attribute)])
    for mac in domain.iterfind("devices/interface/mac"):
        mac.set("address", f"52:54:00:77:01:{uuid[-2:]}")
    xml = etree.tostring(domain, encoding="unicode")
    panel.lab.run("exec", "primary", "sh", "-c", 'printf %s "$1" >/tmp/ve.xml', "sh", xml)
    panel.lab.virsh("primary", "define", "/tmp/ve.xml", kind=kind)
    panel.lab.virsh("primary", "start", name, kind=kind)


def _remove(panel: OnboardedLab) -> None:
    for node in NODES:
        for kind, name in (("qemu", "local-vm"), ("lxc", "local-ct")):
            for verb in ("destroy", "undefine"):
                panel.lab.attempt("exec", node, "virsh", "-c", f"{kind}:///system", verb, name)
        panel.lab.exec(node, "rm", "-rf", IMAGE, FOLDER)


def there(panel: OnboardedLab, node: str, path: str) -> bool:
    return panel.lab.attempt("exec", node, "test", "-e", path).returncode == 0


def leftovers(panel: OnboardedLab) -> list[str]:
    """Unfinished copies on either node."""
    found = [panel.lab.exec(node, "find", "/var/lib", "-name", ".mooring-*") for node in NODES]
    return [line for text in found for line in text.splitlines()]


def test_a_container_on_shared_storage_moves_there_and_back_and_keeps_what_it_wrote(
    onboarded_lab: OnboardedLab,
) -> None:
    lab = onboarded_lab.lab
    [begin] = lab.where("ct1")
    other = "secondnode1" if begin == "primary" else "primary"
    lab.exec(begin, "sh", "-c", f"echo {MARK} >/srv/shared/ct/ct1/root/mark")
    for target in (other, begin):
        task = onboarded_lab.run(offline(onboarded_lab, "ct1", target))
        completed(task)
        assert lab.where("ct1") == [target]
        assert any(re.fullmatch(r"ct1 did not run for .* s", line) for line in lines_of(task))
        assert task.figures["pause_ms"] > 0
    assert "ct1" not in lab.states(other)
    assert MARK in lab.exec(begin, "cat", "/srv/shared/ct/ct1/root/mark")


def test_a_stopped_vm_moves_by_libvirts_own_offline_migration(onboarded_lab: OnboardedLab) -> None:
    lab = onboarded_lab.lab
    [begin] = [node for node in ("primary", "secondnode1", "secondnode2") if "vm2" in lab.states(node)]
    target = "secondnode1" if begin == "primary" else "primary"
    task = onboarded_lab.run(offline(onboarded_lab, "vm2", target))
    completed(task)
    assert lab.states(target)["vm2"] == "stopped"
    assert "vm2" not in lab.states(begin)
    assert any("--offline" in line for line in lines_of(task))


def test_a_running_vm_is_shut_down_moved_and_booted(onboarded_lab: OnboardedLab) -> None:
    task = onboarded_lab.run(offline(onboarded_lab, "vmtest", "secondnode1"))
    completed(task)
    assert onboarded_lab.lab.where("vmtest") == ["secondnode1"]
    assert "vmtest" not in onboarded_lab.lab.states("primary")


def test_a_containers_root_is_copied_whole_and_the_sources_deleted(local: OnboardedLab) -> None:
    before = local.lab.exec(
        "primary", "sh", "-c", f"cd {ROOT}; md5sum root/blob; stat -c '%A %u %g %n' root/null bin/sh"
    )
    task = local.run(offline(local, "local-ct", "secondnode1", copy_disks=True, delete_source=True))
    completed(task)
    after = local.lab.exec(
        "secondnode1", "sh", "-c", f"cd {ROOT}; md5sum root/blob; stat -c '%A %u %g %n' root/null bin/sh"
    )
    assert after == before
    assert local.lab.where("local-ct") == ["secondnode1"]
    assert not there(local, "primary", ROOT)
    assert leftovers(local) == []
    assert task.figures["disk_total_mib"] > 30


def test_cancelling_a_copy_removes_it_and_starts_the_container_where_it_was(local: OnboardedLab) -> None:
    task = offline(local, "local-ct", "secondnode1", copy_disks=True, bandwidth_mib=2)
    with local.worker(task) as worker:
        local.until_copied(task, 20)
        cancel(task, user=local.admin)
        worker.wait(60)
    task.refresh_from_db()
    assert task.state == "cancelled", task.reason
    assert local.lab.where("local-ct") == ["primary"]
    assert "local-ct" not in local.lab.states("secondnode1")
    assert not there(local, "secondnode1", ROOT)
    assert leftovers(local) == []


def test_a_worker_killed_while_it_copies_is_followed_by_one_that_finishes(local: OnboardedLab) -> None:
    task = offline(local, "local-ct", "secondnode1", copy_disks=True, delete_source=True, bandwidth_mib=4)
    with local.worker(task) as worker:
        local.until_copied(task, 20)
        worker.kill()
        worker.wait()
    Task.objects.filter(pk=task.pk).update(state="queued", recovering=True, recoveries=1)
    completed(local.run(task))
    assert local.lab.where("local-ct") == ["secondnode1"]
    assert not there(local, "primary", ROOT)
    assert leftovers(local) == []


def test_a_running_vm_takes_its_disk_along_without_a_stop(local: OnboardedLab) -> None:
    ticks = int(local.lab.in_guest("primary", "local-vm", "cat /tmp/tick"))
    task = local.run(local.migrate("secondnode1", "local-vm", copy_disks=True, delete_source=True))
    completed(task)
    assert local.lab.where("local-vm") == ["secondnode1"]
    assert int(local.lab.in_guest("secondnode1", "local-vm", "cat /tmp/tick")) >= ticks
    assert not there(local, "primary", IMAGE)
    assert int(local.lab.exec("secondnode1", "du", "-k", IMAGE).split()[0]) < 80_000, "the image is no longer sparse"
    local.lab.virsh("secondnode1", "destroy", "local-vm")
    checked = local.lab.exec("secondnode1", "qemu-io", "-r", "-f", "qcow2", "-c", "read -P 0x5a 0 64M", IMAGE)
    assert "Pattern verification failed" not in checked


def test_cancelling_a_live_move_removes_the_copied_disk(local: OnboardedLab) -> None:
    task = local.migrate("secondnode1", "local-vm", copy_disks=True, delete_source=True, bandwidth_mib=8)
    with local.worker(task) as worker:
        local.until_copied(task, 10)
        cancel(task, user=local.admin)
        worker.wait(60)
    task.refresh_from_db()
    assert task.state == "cancelled", task.reason
    assert local.lab.where("local-vm") == ["primary"]
    assert there(local, "primary", IMAGE)
    assert not there(local, "secondnode1", IMAGE)


# Listens until its input ends; the large buffer is for a machine that is busy with something else.
_SNIFF = """
import select, socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
SO_RCVBUFFORCE = 33
raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
print("listening", flush=True)
seen = clear = 0
while raw in select.select([raw, sys.stdin], [], [])[0]:
    frame = raw.recv(1 << 16)
    seen += len(frame)
    clear += b"Z" * 64 in frame
print(seen, clear)
"""


def test_a_copied_disk_crosses_the_network_encrypted(local: OnboardedLab) -> None:
    """The disk is full of the letter Z: no frame on the source's network may hold a run of it."""
    import subprocess

    command = local.lab.attempt("exec", "primary", "true").args[:3]
    sniffer = subprocess.Popen(
        [*command, "exec", "primary", "python3", "-c", _SNIFF],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sniffer.stdout is not None and sniffer.stdout.readline() == "listening\n"
    completed(local.run(local.migrate("secondnode1", "local-vm", copy_disks=True)))
    seen, clear = map(int, sniffer.communicate(timeout=60)[0].split())
    assert seen > 64 << 20, "the disk did not cross this network"
    assert clear == 0
