"""Each check of the preflight, made to fail on real engines."""

import time
from collections.abc import Iterator

import pytest
from lxml import etree
from lxml.builder import E

from infrastructure.models import VE, Node
from infrastructure.services import preflight
from infrastructure.services.preflight import Check
from tests.lab.onboarded import OnboardedLab

pytestmark = pytest.mark.lab

PROBE = "00000000-1111-2222-3333-444444444444"
IMAGES = "/var/lib/libvirt/images"


def probe_xml() -> str:
    """A VM that cannot move: too large, a CPU nobody has, a network, a disk, a CD and a device of its node alone."""
    domain = E.domain(
        E.name("probe"),
        E.uuid(PROBE),
        E.memory("512", unit="GiB"),
        E.vcpu("1"),
        E.os(E.type("hvm", arch="x86_64", machine="pc"), E.kernel(f"{IMAGES}/vmlinuz")),
        E.cpu(
            E.model("qemu64", fallback="forbid"),
            E.feature(policy="require", name="avx512f"),
            mode="custom",
            match="exact",
        ),
        E.devices(
            E.disk(
                E.driver(name="qemu", type="qcow2"),
                E.source(file=f"{IMAGES}/probe.qcow2"),
                E.target(dev="vda", bus="virtio"),
                type="file",
                device="disk",
            ),
            E.disk(
                E.driver(name="qemu", type="raw"),
                E.source(file=f"{IMAGES}/probe.iso"),
                E.target(dev="hda", bus="ide"),
                E.readonly(),
                type="file",
                device="cdrom",
            ),
            E.interface(E.source(network="nowhere"), E.model(type="virtio"), type="network"),
            E.hostdev(
                E.source(E.vendor(id="0x1234"), E.product(id="0xbeef")), mode="subsystem", type="usb", managed="yes"
            ),
        ),
        type="qemu",
    )
    return str(etree.tostring(domain, encoding="unicode"))


@pytest.fixture
def probe(onboarded_lab: OnboardedLab) -> Iterator[VE]:
    lab = onboarded_lab.lab
    # The same name on both nodes, as a careless copy would leave it: it must not pass for shared storage.
    for node in ("primary", "secondnode1"):
        lab.exec(node, "qemu-img", "create", "-q", "-f", "qcow2", f"{IMAGES}/probe.qcow2", "1M")
    lab.exec("primary", "truncate", "-s", "1M", f"{IMAGES}/probe.iso", f"{IMAGES}/vmlinuz")
    assert lab.attempt("exec", "primary", "virsh", "define", "/dev/stdin", stdin=probe_xml()).returncode == 0
    lab.virsh("primary", "snapshot-create-as", "probe", "before")
    onboarded_lab.refresh()
    yield VE.objects.get(uuid=PROBE)
    lab.virsh("primary", "snapshot-delete", "probe", "before")
    lab.virsh("primary", "undefine", "probe")
    for node in ("primary", "secondnode1"):
        lab.exec(node, "sh", "-c", f"rm -f {IMAGES}/probe.* {IMAGES}/vmlinuz")


def checks(ve: VE, target: Node, *, live: bool = True) -> dict[str, Check]:
    return {check.key: check for check in preflight.run(ve, target, live=live)}


def test_everything_passes_for_vmtest_by_proof_of_its_folder(onboarded_lab: OnboardedLab) -> None:
    found = checks(onboarded_lab.ve("vmtest"), onboarded_lab.node("secondnode1"))
    assert {key: check.text for key, check in found.items() if check.state != "passed"} == {}
    assert found["disks"].shared_by_proof
    assert "Both nodes see the same /srv/shared/images" in found["disks"].text
    left = onboarded_lab.lab.exec("primary", "find", "/srv/shared", "-name", ".mooring-marker-*")
    assert left == "", "a marker was left behind"


def test_what_cannot_move_fails_with_figure_and_reason(onboarded_lab: OnboardedLab, probe: VE) -> None:
    found = checks(probe, onboarded_lab.node("secondnode1"))
    failed = {key: check.text for key, check in found.items() if check.state == "failed"}
    assert failed.keys() == {"state", "memory", "cpu", "networks", "disks", "media", "snapshots", "devices"}
    assert failed["state"] == "probe is stopped: only a running VE moves live"
    assert "of 512.0 GiB free: not enough memory" in failed["memory"]
    assert failed["cpu"] == "The CPU of secondnode1 lacks avx512f, which probe uses"
    assert failed["networks"] == "secondnode1 has no network nowhere"
    assert failed["disks"].startswith(f"Not on secondnode1, or another one there: vda {IMAGES}/probe.qcow2 (")
    assert failed["media"] == f"hda holds {IMAGES}/probe.iso, which only primary has"
    assert failed["snapshots"] == "probe has 1 snapshot, which libvirt cannot move"
    assert "probe uses devices of primary" in failed["devices"]
    assert all(found[key].fix for key in failed)
    assert not found["disks"].shared_by_proof


def test_a_kernel_that_the_target_lacks_fails(onboarded_lab: OnboardedLab, probe: VE) -> None:
    lab = onboarded_lab.lab
    lab.virsh("primary", "detach-disk", "probe", "vda", "--config")
    try:
        check = checks(probe, onboarded_lab.node("secondnode1"))["disks"]
        assert check.text == f"{IMAGES}/vmlinuz is missing on secondnode1, or another file there"
    finally:
        lab.virsh("primary", "attach-disk", "probe", f"{IMAGES}/probe.qcow2", "vda", "--subdriver", "qcow2", "--config")


def test_a_container_fails_with_the_reason(onboarded_lab: OnboardedLab) -> None:
    check = checks(onboarded_lab.ve("ct1"), onboarded_lab.node("secondnode1"))["state"]
    assert (check.state, check.text) == ("failed", "ct1 is a container, and libvirt cannot move containers live")


def test_a_node_in_maintenance_fails(onboarded_lab: OnboardedLab) -> None:
    Node.objects.filter(name="secondnode1").update(maintenance=True)
    assert checks(onboarded_lab.ve("vmtest"), onboarded_lab.node("secondnode1"))["maintenance"].state == "failed"


def test_a_stale_definition_on_the_target_fails(onboarded_lab: OnboardedLab) -> None:
    lab = onboarded_lab.lab
    definition = lab.virsh("primary", "dumpxml", "--inactive", "vmtest")
    assert lab.attempt("exec", "secondnode1", "virsh", "define", "/dev/stdin", stdin=definition).returncode == 0
    try:
        check = checks(onboarded_lab.ve("vmtest"), onboarded_lab.node("secondnode1"))["place"]
        assert (check.state, check.text) == ("failed", "secondnode1 has vmtest too (stopped)")
    finally:
        lab.virsh("secondnode1", "undefine", "vmtest")


def test_a_network_that_is_not_active_fails(onboarded_lab: OnboardedLab) -> None:
    onboarded_lab.lab.virsh("secondnode1", "net-destroy", "lan")
    try:
        check = checks(onboarded_lab.ve("vmtest"), onboarded_lab.node("secondnode1"))["networks"]
        assert (check.state, check.text) == ("failed", "The network lan of secondnode1 is not active")
    finally:
        onboarded_lab.lab.virsh("secondnode1", "net-start", "lan")


def test_a_target_that_is_cut_off_is_unknown_and_costs_one_deadline(onboarded_lab: OnboardedLab) -> None:
    onboarded_lab.lab.cut("secondnode2")
    try:
        began = time.monotonic()
        found = checks(onboarded_lab.ve("vmtest"), onboarded_lab.node("secondnode2"))
        assert time.monotonic() - began < 9
    finally:
        onboarded_lab.lab.heal("secondnode2")
    assert found["online"].state == "unknown" and found["online"].text.startswith("Could not ask: ")
    assert found["memory"].state == "unknown"
    assert found["state"].state == "passed"
    assert preflight.blocking(found.values())


def test_the_worker_makes_the_same_checks(onboarded_lab: OnboardedLab) -> None:
    task = onboarded_lab.migrate("secondnode1")
    Node.objects.filter(name="secondnode1").update(maintenance=True)
    onboarded_lab.run(task)
    assert (task.state, task.reason) == ("failed", "secondnode1 is in maintenance.")
    assert onboarded_lab.lab.where("vmtest") == ["primary"]
