"""What each check says, with its figure and fix, and what happens when an engine does not answer.

tests/lab/test_preflight.py makes each one fail on a real engine.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infrastructure.choices import Kind, NodeState
from infrastructure.drivers.base import (
    Completed,
    CpuVerdict,
    DiskFacts,
    NetworkFacts,
    NicFacts,
    NotFound,
    Refused,
    TimedOut,
    VEState,
)
from infrastructure.drivers.fake import FakeNode
from infrastructure.models import VE, Node
from infrastructure.services import preflight
from infrastructure.services.preflight import Check
from tests.infrastructure.fake_nodes import VMTEST, Cluster
from tests.infrastructure.inventory_facts import ve_facts

GIB = 1 << 30
MIB = 1 << 20


@pytest.fixture
def checks(cluster: Cluster) -> Callable[..., dict[str, Check]]:
    def run(*, live: bool = True, copy_disks: bool = False) -> dict[str, Check]:
        target = Node.objects.get(name="secondnode1")
        found = preflight.run(cluster.vmtest, target, live=live, copy_disks=copy_disks)
        return {check.key: check for check in found}

    return run


class Disk:
    """Files of a node, so that markers and checksums mean something."""

    def __init__(self, node: FakeNode, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, Exception] = {}
        self.free = GIB
        self.has_folder = True
        self.image: dict[str, Any] = {}  # what qemu-img says of any
        monkeypatch.setattr(node, "run", self.run)

    def run(self, argv: list[str], *, input: bytes | None = None, **_: Any) -> Completed:
        if argv[0] in self.faults:
            raise self.faults[argv[0]]
        paths = argv[argv.index("--") + 1 :] if "--" in argv else argv[1:]
        if argv[0] == "tee":
            self.files[paths[0]] = input or b""
        if argv[0] == "test" and argv[1] == "-L":
            return Completed(b"", b"", 0 if self.files.get(paths[-1]) == b"link" else 1)
        if argv[0] == "qemu-img":
            return Completed(json.dumps(self.image).encode(), b"", 0)
        shown = {
            "realpath": lambda path: f"{path}\n".encode(),
            "sha256sum": lambda path: f"{hash(self.files[path])} *{path}\n".encode(),
            "cat": lambda path: self.files[path],
            # One block of a MiB for each byte, so that sizes can be told apart.
            "stat": lambda path: f"{f'{len(self.files[path])} {MIB} ' if '%b' in argv[2] else ''}{path}\n".encode(),
        }.get(argv[0], lambda path: b"")
        if argv[0] == "df":
            return Completed(f"Avail Mounted on\n{self.free} /srv\n".encode(), b"", 0 if self.has_folder else 1)
        known = [path for path in paths if path in self.files]
        said = b"".join(shown(path) for path in known)
        if argv[0] == "rm":
            self.files.pop(paths[0], None)
        return Completed(said, b"", 0 if known == paths else 1)


@pytest.fixture
def storage(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Disk, Disk]]:
    """storage(shared=True): vmtest's disk lies in a folder of both nodes, or in one of the same name on each."""

    def make(*, shared: bool, target_has_it: bool = True, **disk: Any) -> tuple[Disk, Disk]:
        path = "/srv/images/vmtest.qcow2"
        here = {path: b"disk"}
        there = here if shared else {path: b"another"} if target_has_it else {}
        made = Disk(cluster.primary, monkeypatch, here), Disk(cluster.secondnode1, monkeypatch, there)
        facts = DiskFacts("vda", path, "file", "qcow2")
        cluster.show(cluster.primary, disks=(replace(facts, **disk),))
        return made

    return make


def test_all_pass_for_a_ve_that_can_move(checks: Callable[..., dict[str, Check]]) -> None:
    found = checks()
    assert {check.state for check in found.values()} == {"passed"}
    assert list(found) == [check.key for check in preflight.planned()]
    assert all(check.text for check in found.values())
    assert preflight.blocking(found.values()) == []


def test_each_result_is_told_as_soon_as_it_is_made(cluster: Cluster) -> None:
    told: list[str] = []
    target = Node.objects.get(name="secondnode1")
    returned = preflight.run(cluster.vmtest, target, on_result=lambda check: told.append(check.key))
    assert told == [check.key for check in returned]


def test_memory_is_told_as_free_of_needed(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.show(cluster.primary, memory_bytes=2 * GIB)
    cluster.secondnode1._facts = replace(cluster.secondnode1._facts, memory_free=int(1.2 * GIB))
    check = checks()["memory"]
    assert (check.state, check.text) == ("failed", "secondnode1: 1.2 of 2.0 GiB free: not enough memory")
    assert check.fix == "Free 819 MiB on secondnode1, or choose another node."


def test_memory_that_gets_tight_is_a_warning_and_does_not_block(
    cluster: Cluster, checks: Callable[..., dict[str, Check]]
) -> None:
    cluster.secondnode1._facts = replace(cluster.secondnode1._facts, memory_bytes=8 * GIB, memory_free=int(1.5 * GIB))
    found = checks()
    assert found["memory"].state == "warning"
    assert "94% of secondnode1 in use after the move" in found["memory"].text
    assert preflight.blocking(found.values()) == []


def test_a_target_in_maintenance_fails(checks: Callable[..., dict[str, Check]]) -> None:
    Node.objects.filter(name="secondnode1").update(maintenance=True)
    assert checks()["maintenance"].state == "failed"


@pytest.mark.parametrize("state", [NodeState.NEW, NodeState.UNREACHABLE, NodeState.REFUSED])
def test_a_target_that_is_not_online_is_not_asked(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], state: str
) -> None:
    Node.objects.filter(name="secondnode1").update(state=state, state_reason="No contact since 22:30")
    cluster.secondnode1.calls.clear()
    found = checks()
    assert found["online"].state == "failed"
    assert found["memory"].state == "unknown"
    assert found["memory"].text == "Could not ask: secondnode1 does not answer"
    assert cluster.secondnode1.calls == []


def test_a_silent_target_costs_one_question_and_the_rest_is_unknown(
    cluster: Cluster, checks: Callable[..., dict[str, Check]]
) -> None:
    cluster.secondnode1.fail("facts", TimedOut("secondnode1 did not answer within 3 s"), times=100)
    cluster.secondnode1.calls.clear()
    found = checks()
    assert found["online"].state == "unknown"
    assert found["online"].text == "Could not ask: secondnode1 did not answer within 3 s."
    assert cluster.secondnode1.calls == ["facts"]
    assert {found[key].state for key in ("place", "memory", "cpu", "networks", "disks", "media")} == {"unknown"}
    assert {found[key].state for key in ("state", "snapshots", "devices")} == {"passed"}


def test_a_silent_source_is_asked_once(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.primary.fail("ve", TimedOut("primary did not answer within 3 s"), times=100)
    cluster.primary.calls.clear()
    found = checks()
    assert found["state"].state == found["snapshots"].state == "unknown"
    assert cluster.primary.calls.count("ve") == 1


def test_a_container_is_refused_with_the_reason(checks: Callable[..., dict[str, Check]]) -> None:
    VE.objects.filter(uuid=VMTEST).update(kind=Kind.CT)
    check = checks()["state"]
    assert (check.state, check.text) == ("failed", "vmtest is a container, and libvirt cannot move containers live")


@pytest.mark.parametrize(
    ("state", "reason", "live", "expected"),
    [
        (VEState.RUNNING, "booted", True, "passed"),
        (VEState.PAUSED, "user", True, "failed"),
        (VEState.PAUSED, "user", False, "failed"),
        (VEState.PAUSED, "io-error", True, "failed"),
        (VEState.STOPPED, "shutdown", True, "failed"),
        (VEState.STOPPED, "shutdown", False, "passed"),
        (VEState.CRASHED, "panicked", True, "failed"),
    ],
)
def test_only_a_steady_guest_moves(
    cluster: Cluster,
    checks: Callable[..., dict[str, Check]],
    state: VEState,
    reason: str,
    live: bool,
    expected: str,
) -> None:
    cluster.show(cluster.primary, state=state, reason=reason)
    assert checks(live=live)["state"].state == expected


def test_saved_memory_does_not_move(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.show(cluster.primary, state=VEState.STOPPED, managed_save=True)
    check = checks(live=False)["state"]
    assert (check.state, check.text) == ("failed", "The memory of vmtest is saved on primary")


def test_a_stale_definition_on_the_target_is_named_with_the_command(
    cluster: Cluster, checks: Callable[..., dict[str, Check]]
) -> None:
    cluster.show(cluster.secondnode1, state=VEState.STOPPED)
    check = checks()["place"]
    assert (check.state, check.text) == ("failed", "secondnode1 has vmtest too (stopped)")
    assert "virsh undefine vmtest" in check.fix


def test_another_ve_of_the_same_name_on_the_target_fails(
    cluster: Cluster, checks: Callable[..., dict[str, Check]]
) -> None:
    other = replace(ve_facts("vmtest"), uuid="00000000-0000-0000-0000-000000000001")
    cluster.secondnode1.ves_by_uuid[other.uuid] = other
    assert checks()["place"].text == "secondnode1 has another VE named vmtest"


def test_the_node_it_is_on_is_no_target(cluster: Cluster) -> None:
    found = {check.key: check for check in preflight.run(cluster.vmtest, Node.objects.get(name="primary"))}
    assert found["place"].text == "vmtest is on primary already"


def test_a_disk_on_network_storage_needs_its_key_on_the_target(
    cluster: Cluster, checks: Callable[..., dict[str, Check]]
) -> None:
    disk = DiskFacts("vda", "fast/vmtest", "network", "raw", protocol="rbd", secret="1234-5678")
    cluster.show(cluster.primary, disks=(disk,))
    check = checks()["disks"]
    assert (check.state, check.text) == ("failed", "vda: secondnode1 lacks the key that fast/vmtest is opened with")
    assert "1234-5678" in check.fix
    cluster.secondnode1.keys["1234-5678"] = b"key"
    check = checks()["disks"]
    assert (check.state, check.text) == ("passed", "vda fast/vmtest (raw, rbd)")


def test_missing_cpu_features_are_named(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = CpuVerdict(compatible=False, reason="incompatible", missing=("avx512f", "rtm"))
    monkeypatch.setattr(cluster.secondnode1, "check_cpu", lambda xml: verdict)
    check = checks()["cpu"]
    assert (check.state, check.text) == (
        "failed",
        "The CPU of secondnode1 lacks avx512f, rtm, which vmtest uses",
    )


def test_an_engine_that_refuses_the_comparison_fails_the_check(
    cluster: Cluster, checks: Callable[..., dict[str, Check]]
) -> None:
    cluster.secondnode1.fail("check_cpu", Refused("no such machine type"))
    check = checks()["cpu"]
    assert (check.state, check.text) == ("failed", "no such machine type.")


@pytest.mark.parametrize(
    ("nic", "state", "text"),
    [
        (NicFacts("52:54:00:00:00:01", network="default"), "passed", "default exists on secondnode1"),
        (NicFacts("52:54:00:00:00:01", network="lan"), "failed", "secondnode1 has no network lan"),
        (NicFacts("52:54:00:00:00:01", network="off"), "failed", "The network off of secondnode1 is not active"),
        (NicFacts("52:54:00:00:00:01", bridge="br9"), "failed", "secondnode1 has no bridge br9"),
        (NicFacts("52:54:00:00:00:01", bridge="virbr0"), "passed", "virbr0 exists on secondnode1"),
    ],
)
def test_networks_are_looked_for_by_name(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], nic: NicFacts, state: str, text: str
) -> None:
    networks = (NetworkFacts("default", "virbr0"), NetworkFacts("off", "virbr1", active=False))
    cluster.secondnode1._facts = replace(cluster.secondnode1._facts, networks=networks)
    cluster.show(cluster.primary, nics=(nic,))
    check = checks()["networks"]
    assert (check.state, check.text) == (state, text)


def test_a_disk_in_a_shared_folder_passes_by_proof(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, _ = storage(shared=True)
    check = checks()["disks"]
    assert check.state == "passed"
    assert check.text == "vda /srv/images/vmtest.qcow2 (qcow2). Both nodes see the same /srv/images"
    assert check.shared_by_proof
    assert list(source.files) == ["/srv/images/vmtest.qcow2"], "a marker was left behind"


def test_a_folder_of_the_same_name_is_not_the_same_folder(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, _ = storage(shared=False)
    check = checks()["disks"]
    assert check.state == "failed" and not check.shared_by_proof
    assert check.text.startswith("Not on secondnode1, or another one there: vda /srv/images/vmtest.qcow2")
    assert "Copy disks" in check.fix
    assert list(source.files) == ["/srv/images/vmtest.qcow2"], "a marker was left behind"


def test_the_marker_goes_away_even_when_the_target_falls_silent(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, target = storage(shared=True)
    target.faults["cat"] = TimedOut("secondnode1 did not answer")
    check = checks()["disks"]
    assert check.state == "unknown" and not check.shared_by_proof
    assert list(source.files) == ["/srv/images/vmtest.qcow2"]


def test_a_marker_that_the_source_cannot_delete_is_deleted_by_the_target_and_the_cause_is_kept(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, target = storage(shared=True)
    target.faults["cat"] = TimedOut("secondnode1 did not answer")
    source.faults["rm"] = TimedOut("primary did not finish rm")
    check = checks()["disks"]
    assert (check.state, check.text) == ("unknown", "Could not ask: secondnode1 did not answer.")
    assert list(source.files) == ["/srv/images/vmtest.qcow2"]


def test_the_proof_stands_even_when_no_node_deletes_the_marker(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    for disk in storage(shared=True):
        disk.faults["rm"] = TimedOut("no answer")
    assert checks()["disks"].shared_by_proof


def test_a_folder_that_cannot_be_written_is_not_proved(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, _ = storage(shared=True)
    source.faults["tee"] = Refused("read-only file system")
    assert checks()["disks"].state == "failed"


def test_a_disk_of_the_sources_own_is_copied_on_request_with_its_size_and_the_room(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    storage(shared=False, target_has_it=False, size_bytes=256 * MIB)
    check = checks(copy_disks=True)["disks"]
    assert (check.state, check.shared_by_proof) == ("passed", False)
    assert check.text == "4 MiB to copy: vda /srv/images/vmtest.qcow2; 1.0 GiB free on secondnode1"
    (copy,) = check.copies
    assert (copy.disk, copy.format, copy.virtual_bytes, copy.used_bytes) == ("vda", "qcow2", 256 * MIB, 4 * MIB)


def test_a_shared_disk_is_not_copied_even_on_request(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    storage(shared=True)
    assert checks(copy_disks=True)["disks"].copies == ()


def test_a_copy_needs_room_a_folder_and_a_free_name(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    _, target = storage(shared=False, target_has_it=False)
    target.free = 3 * MIB
    check = checks(copy_disks=True)["disks"]
    assert (check.state, check.text) == ("failed", "secondnode1: 3 MiB free in /srv, 4 MiB needed")
    target.has_folder = False
    assert checks(copy_disks=True)["disks"].text == "secondnode1 has no folder /srv/images"
    target.files["/srv/images/vmtest.qcow2"] = b"someone's"
    assert "has another /srv/images/vmtest.qcow2 already" in checks(copy_disks=True)["disks"].text


@pytest.mark.parametrize(
    ("disk", "live", "words"),
    [
        ({"shareable": True}, True, "shared with other VEs"),
        ({"format": "vmdk"}, True, "only raw and qcow2"),
        ({"readonly": True}, True, "read-only, which libvirt does not copy live"),
        ({"backing": ("/srv/images/base.qcow2",)}, False, "builds upon /srv/images/base.qcow2"),
    ],
)
def test_what_cannot_be_copied_says_why(
    cluster: Cluster,
    checks: Callable[..., dict[str, Check]],
    storage: Callable[..., tuple[Disk, Disk]],
    disk: dict[str, Any],
    live: bool,
    words: str,
) -> None:
    storage(shared=False, target_has_it=False, **disk)
    check = checks(copy_disks=True, live=live)["disks"]
    assert check.state == "failed" and words in check.text


def test_a_stopped_ves_image_is_asked_what_it_builds_upon(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, _ = storage(shared=False, target_has_it=False)
    cluster.show(cluster.primary, state=VEState.STOPPED)
    assert checks(copy_disks=True, live=False)["disks"].state == "passed"
    source.image["backing-filename"] = "base.qcow2"
    check = checks(copy_disks=True, live=False)["disks"]
    assert (check.state, check.text) == ("failed", "vda builds upon base.qcow2, which only primary has")


def test_a_link_is_not_copied_in_place_of_the_disk(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    source, _ = storage(shared=False, target_has_it=False)
    source.files["/srv/images/vmtest.qcow2"] = b"link"
    check = checks(copy_disks=True)["disks"]
    assert check.state == "failed" and "is a symbolic link" in check.text


def test_a_path_of_two_lines_is_not_copied(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    storage(shared=False, target_has_it=False, source="/srv/images/vm\n/etc.qcow2")
    check = checks(copy_disks=True)["disks"]
    assert check.state == "failed" and "not a plain path" in check.text


def test_files_below_a_disk_are_checked_too(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    storage(shared=True, backing=("/local/base.qcow2",))
    assert "/local/base.qcow2" in checks()["disks"].text
    assert checks()["disks"].state == "failed"


def test_an_image_that_only_the_source_has_blocks_and_the_fix_ejects_it(
    checks: Callable[..., dict[str, Check]], storage: Callable[..., tuple[Disk, Disk]]
) -> None:
    storage(shared=False, target_has_it=False, device="cdrom", target="sda")
    found = checks()
    assert found["disks"].state == "passed"
    assert found["media"].text == "sda holds /srv/images/vmtest.qcow2, which only primary has"
    assert "--eject" in found["media"].fix


def test_an_empty_drive_does_not_matter(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.show(cluster.primary, disks=(DiskFacts("sda", "", "file", device="cdrom"),))
    assert checks()["media"].text == "no local media inserted"


def test_a_kernel_that_differs_on_the_target_fails(
    cluster: Cluster, checks: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(cluster.primary, monkeypatch, {"/boot/vmlinuz": b"one"})
    Disk(cluster.secondnode1, monkeypatch, {"/boot/vmlinuz": b"other"})
    cluster.show(cluster.primary, kernel="/boot/vmlinuz")
    assert checks()["disks"].text == "/boot/vmlinuz is missing on secondnode1, or another file there"


def test_snapshots_block(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.show(cluster.primary, snapshots=2)
    assert checks()["snapshots"].text == "vmtest has 2 snapshots, which libvirt cannot move"


def test_devices_of_the_node_block(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.show(cluster.primary, host_devices=("pci 0000:01:00.0",))
    assert checks()["devices"].text == "vmtest uses devices of primary: pci 0000:01:00.0"


def test_a_ve_that_vanished_fails_and_does_not_raise(cluster: Cluster, checks: Callable[..., dict[str, Check]]) -> None:
    cluster.primary.fail("ve", NotFound("primary has no vmtest"), times=10)
    assert checks()["state"].state == "failed"


def test_a_ve_without_a_node_fails_every_check(cluster: Cluster) -> None:
    VE.objects.update(node=None)
    found = preflight.run(cluster.vmtest, Node.objects.get(name="secondnode1"))
    assert {check.state for check in found} == {"failed"}
