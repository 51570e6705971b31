"""A VM's definition, as it is when its disk has moved into Ceph."""

import uuid

import pytest
from lxml import etree

from lab import domains
from lab.errors import LabError
from lab.instance import Instance

POOL = """
<pool type='rbd'>
  <name>mooring-vms</name><uuid>5c2f6a2e-6e3b-5d0a-9d0a-0a4d1e3c9b11</uuid>
  <source>
    <host name='10.78.7.11' port='6789'/><host name='10.78.7.12' port='6789'/>
    <name>mooring-vm.t1.r2.host.vms</name>
    <auth type='ceph' username='mooring-vm'><secret uuid='d9a3f8a0-1111-5222-8333-444455556666'/></auth>
  </source>
</pool>
"""


@pytest.fixture
def vm() -> str:
    return domains.vm_xml(Instance("x", identity=uuid.UUID(int=1), subnet=7), "vmtest", kvm=False)


def test_the_disk_names_the_image_the_monitors_and_the_secret_of_the_pool(vm: str) -> None:
    moved = domains.with_disk(vm, domains.rbd_disk(domains.rbd_pool(POOL), "vmtest"))

    (disk,) = etree.fromstring(moved).findall("devices/disk")
    source, secret = disk.find("source"), disk.find("source/auth/secret")
    assert source is not None and secret is not None
    assert (source.get("protocol"), source.get("name")) == ("rbd", "mooring-vm.t1.r2.host.vms/vmtest")
    assert [host.get("name") for host in source.iterfind("host")] == ["10.78.7.11", "10.78.7.12"]
    assert secret.get("uuid") == "d9a3f8a0-1111-5222-8333-444455556666"
    assert disk.find("target[@dev='vda']") is not None and domains.SHARED not in etree.tostring(disk).decode()
    assert (domains.in_ceph(vm), domains.in_ceph(moved)) == (False, True)


def test_all_else_stays_also_the_disks_address_on_its_bus(vm: str) -> None:
    address = "<address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/>"
    placed = vm.replace('<target dev="vda" bus="virtio"/>', f'<target dev="vda" bus="virtio"/>{address}')
    moved = etree.fromstring(domains.with_disk(placed, domains.rbd_disk(domains.rbd_pool(POOL), "vmtest")))
    assert moved.find("devices/disk/address[@slot='0x05']") is not None
    before = etree.fromstring(placed)
    for root in (before, moved):
        disk = root.find("devices/disk")
        assert disk is not None
        root.find("devices").remove(disk)  # type: ignore[union-attr]
    canonical = [etree.tostring(root, method="c14n").split() for root in (before, moved)]
    assert canonical[0] == canonical[1]


def test_a_pool_that_is_a_folder_is_refused() -> None:
    with pytest.raises(LabError, match="files is not one on Ceph"):
        domains.rbd_pool("<pool type='dir'><name>files</name><source/></pool>")
