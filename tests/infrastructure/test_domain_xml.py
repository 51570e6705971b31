"""Reading domain XML: what libvirt writes, and what an attacker might."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.base import DomainXmlError, VEKind
from infrastructure.drivers.libvirt_xml import MAX_BYTES, domain_facts

UUID = "7895325f-2250-5e7a-974c-08312439da70"
VM = f"""
<domain type='kvm' id='3'>
  <name>vmtest</name><uuid>{UUID.upper()}</uuid><title>A test</title>
  <metadata><libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
    <libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo></metadata>
  <memory unit='GiB'>2</memory><currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static' current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><kernel>/boot/k</kernel><initrd>/boot/i</initrd></os>
  <cpu mode='custom' match='exact'><model fallback='forbid'>Broadwell</model></cpu>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/a.qcow2'/>
      <backingStore type='file'><source file='/srv/base.qcow2'/><backingStore/></backingStore>
      <target dev='vda' bus='virtio'/><shareable/></disk>
    <disk type='network' device='disk'><auth username='vm'><secret type='ceph' uuid='{UUID}'/></auth>
      <source protocol='rbd' name='ves/b'/><target dev='vdb'/></disk>
    <disk type='volume' device='disk'><source pool='default' volume='c'/><target dev='vdc'/></disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='lan' bridge='br0'/>
      <target dev='vnet1'/><model type='virtio'/></interface>
    <graphics type='vnc' socket='/run/vnc.sock'><listen type='socket' socket='/run/vnc.sock'/></graphics>
    <graphics type='vnc' port='5901' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
    <hostdev mode='subsystem' type='pci'><source><address domain='0x0000' bus='0x01'/></source></hostdev>
  </devices>
</domain>"""
CT = f"""
<domain type='lxc'><name>ct1</name><uuid>{UUID}</uuid><memory>65536</memory><vcpu>1</vcpu>
  <devices>
    <filesystem type='mount'><source dir='/srv/ct1'/><target dir='/'/></filesystem>
    <interface type='bridge'><source bridge='br0'/><ip address='10.0.0.5' family='ipv4' prefix='24'/></interface>
  </devices></domain>"""


def test_it_reads_a_virtual_machine() -> None:
    facts = domain_facts(VM)
    assert (facts.uuid, facts.name, facts.kind, facts.title) == (UUID, "vmtest", VEKind.VM, "A test")
    assert (facts.vcpus, facts.memory_bytes, facts.memory_max_bytes) == (2, 1 << 30, 2 << 30)
    assert (facts.os, facts.arch, facts.machine, facts.virt) == ("debian 12", "x86_64", "pc-q35-7.2", "kvm")
    assert (facts.cpu_mode, facts.cpu_model) == ("custom", "Broadwell")
    assert (facts.kernel, facts.initrd, facts.domain_id) == ("/boot/k", "/boot/i", 3)
    assert facts.agent_configured
    assert facts.agent_connected
    assert facts.host_devices == ("pci bus=0x01 domain=0x0000",)


def test_it_reads_disks_of_every_type() -> None:
    image, rbd, volume, cdrom = domain_facts(VM).disks
    assert (image.source, image.format, image.shareable, image.backing) == (
        "/srv/a.qcow2",
        "qcow2",
        True,
        ("/srv/base.qcow2",),
    )
    assert (rbd.source, rbd.protocol, rbd.type, rbd.secret) == ("ves/b", "rbd", "network", UUID)
    assert volume.source == "default/c"
    assert (cdrom.device, cdrom.source, cdrom.readonly) == ("cdrom", "", True)


def test_it_reads_adapters_and_displays() -> None:
    facts = domain_facts(VM)
    (nic,) = facts.nics
    assert (nic.mac, nic.network, nic.bridge, nic.target) == ("52:54:00:aa:bb:cc", "lan", "br0", "vnet1")
    private, public = facts.graphics
    assert (private.listen, private.socket, private.exposed) == ("socket", "/run/vnc.sock", False)
    assert (public.port, public.exposed) == (5901, True)


def test_it_reads_a_container() -> None:
    facts = domain_facts(CT)
    assert (facts.kind, facts.memory_bytes, facts.addresses) == (VEKind.CT, 64 << 20, ("10.0.0.5",))
    (root,) = facts.disks
    assert (root.target, root.source, root.device) == ("/", "/srv/ct1", "filesystem")


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<domain>",
        "<network><name>x</name></network>",
        "<domain><name>x</name></domain>",
        "\ud800",
        "<?xml version='1.0' encoding='utf-16'?><domain/>",
        "<domain>" * 400 + "</domain>" * 400,
        "x" * (MAX_BYTES + 1),
    ],
    ids=["empty", "open", "other root", "no uuid", "surrogate", "wrong encoding", "deep", "large"],
)
def test_it_rejects_what_is_no_domain(xml: str) -> None:
    with pytest.raises(DomainXmlError):
        domain_facts(xml)


def test_it_resolves_no_entity(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    xml = f"<!DOCTYPE d [<!ENTITY x SYSTEM 'file://{secret}'>]><domain><name>a&x;</name><uuid>{UUID}</uuid></domain>"
    assert "canary" not in domain_facts(xml).name


def test_it_expands_no_bomb() -> None:
    entities = "<!ENTITY a0 'aaaaaaaaaa'>" + "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 10))
    xml = f"<!DOCTYPE d [{entities}]><domain><name>n&a9;</name><uuid>{UUID}</uuid></domain>"
    try:
        name = domain_facts(xml).name
    except DomainXmlError:
        return
    assert len(name) < 100


@pytest.mark.parametrize("number", ["-1", "1e9", "", "9" * 40, "٣", "1 2", str(2**63)])
def test_a_number_that_is_none_counts_as_zero(number: str) -> None:
    xml = f"<domain><name>a</name><uuid>{UUID}</uuid><memory>{number}</memory><vcpu>{number}</vcpu></domain>"
    facts = domain_facts(xml)
    assert (facts.memory_bytes, facts.vcpus) == (0, 0)


NESTING = ["domain", "devices", "disk", "source", "target", "driver", "interface", "mac", "graphics", "listen", "ip"]
OTHERS = ["channel", "vcpu", "memory", "os", "type", "cpu", "model", "name", "uuid", "backingStore", "filesystem"]
words = st.sampled_from([*NESTING, *OTHERS, "hostdev", "address", "metadata"])
names = st.sampled_from(
    ["type", "dev", "file", "name", "unit", "id", "mode", "socket", "port", "address", "listen", "state", "bus"]
)
values = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="<>&'\""), max_size=12)


def elements(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    attributes = st.dictionaries(names, values, max_size=3).map(
        lambda items: "".join(f" {name}='{value}'" for name, value in items.items())
    )
    return st.builds(
        lambda tag, attrs, inner: f"<{tag}{attrs}>{''.join(inner)}</{tag}>",
        words,
        attributes,
        st.lists(children, max_size=4),
    )


trees = st.recursive(values, elements, max_leaves=25)


@given(st.lists(trees, max_size=6))
def test_odd_domains_never_raise_anything_else(parts: list[str]) -> None:
    xml = f"<domain><name>a</name><uuid>{UUID}</uuid>{''.join(parts)}<devices>{''.join(parts)}</devices></domain>"
    try:
        domain_facts(xml)
    except DomainXmlError:
        return


@given(st.text(max_size=200))
def test_any_text_is_a_domain_or_an_error_of_ours(text: str) -> None:
    try:
        domain_facts(text)
    except DomainXmlError:
        return
