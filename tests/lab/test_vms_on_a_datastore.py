"""VMs whose disks lie on a datastore: they move live while they write, and never notice that a node died."""

from collections.abc import Iterator

import pytest

from storage.models import Attachment, Datastore
from tests.e2e.lab import NODES
from tests.lab.ceph import rbd, told
from tests.lab.conftest import RunningLab
from tests.lab.onboarded import completed
from tests.lab.storage_panel import StoragePanel

pytestmark = pytest.mark.lab

VMS = ("vm2", "vmd-cli", "vmd-desktop", "vmtest")


def homes_of(lab: RunningLab) -> dict[str, str]:
    """VM → where it is now: other tests move them."""
    return {name: node for node in NODES for name in lab.states(node) if name in VMS}


@pytest.fixture
def datastore(storage_panel: StoragePanel) -> Iterator[Datastore]:
    made = storage_panel.create("fast")
    yield made
    storage_panel.remove(made)
    assert not [pool for pool in told(storage_panel.lab, "osd", "pool", "ls") if "fast" in pool]
    assert "mooring-fast" not in storage_panel.lab.virsh("primary", "pool-list", "--all")


@pytest.fixture
def fresh_vms_afterwards(lab: RunningLab, datastore: Datastore) -> Iterator[None]:
    """The lab's VMs are as it makes them when the test is over, and nothing of them is on the datastore."""
    yield
    for name, node in homes_of(lab).items():
        lab.exec(node, "sh", "-c", f"virsh destroy {name}; virsh undefine {name}")
    lab.up()
    for name in rbd(lab, "ls", datastore.pool).split():
        rbd(lab, "rm", "--no-progress", f"{datastore.pool}/{name}")


def test_it_is_attached_to_all_nodes(storage_panel: StoragePanel, datastore: Datastore) -> None:
    assert list(Attachment.objects.values_list("node__name", "state").order_by("node__name")) == [
        ("primary", "attached"),
        ("secondnode1", "attached"),
        ("secondnode2", "attached"),
    ]
    for node in ("primary", "secondnode1", "secondnode2"):
        assert "mooring-fast" in storage_panel.lab.virsh(node, "pool-list")


def test_vms_move_while_they_write_and_survive_the_loss_of_a_node(
    storage_panel: StoragePanel, datastore: Datastore
) -> None:
    lab = storage_panel.lab
    with (
        storage_panel.vm("mover", "primary", datastore) as mover,
        storage_panel.vm("stayer", "secondnode1", datastore) as stayer,
    ):
        for vm in (mover, stayer):
            vm.begin()
        mover.until_written(5)
        completed(storage_panel.nodes.run(storage_panel.nodes.migrate("secondnode1", ve="mover")))
        arrived = mover.written()
        assert mover.node == "secondnode1"
        mover.until_written(arrived + 5)
        blocks = mover.stop()
        mover.check(blocks)
        lab.power_off("secondnode2")
        try:
            before = stayer.written()
            stayer.until_written(before + 5)
            assert stayer.errors() == mover.errors() == ""
        finally:
            lab.power_on("secondnode2")
        stayer.check(stayer.stop())
        assert stayer.errors() == ""
        mover.check(blocks)


def test_the_labs_own_vms_move_their_disks_while_they_run(
    storage_panel: StoragePanel, datastore: Datastore, fresh_vms_afterwards: None
) -> None:
    lab = storage_panel.lab
    homes, before = homes_of(lab), {node: lab.states(node) for node in NODES}
    began = lab.in_guest(homes["vmtest"], "vmtest", "echo kept | dd of=/dev/vda conv=fsync 2>/dev/null; cat /tmp/tick")

    lab.run("move-disks", "mooring-fast")

    assert {node: lab.states(node) for node in NODES} == before
    for name, node in homes.items():
        for defined in ((), ("--inactive",)):
            assert f"{datastore.pool}/{name}'" in lab.virsh(node, "dumpxml", *defined, name)
    assert sorted(rbd(lab, "ls", datastore.pool).split()) == sorted(homes) == list(VMS)
    read = "echo 3 >/proc/sys/vm/drop_caches; head -n 1 /dev/vda; cat /tmp/tick"
    text, ticks = lab.in_guest(homes["vmtest"], "vmtest", read).split()
    assert (text, int(ticks) >= int(began)) == ("kept", True), "the guest began anew"
    assert "All disks of VMs lie in Ceph already." in lab.run("move-disks", "mooring-fast")
