"""libiscsi's tests of targets say of a LUN of Mooring's what they say of one that was made by hand.

Debian's tgt fails some of them by itself; a LUN of Mooring's fails those and no others.
"""

import re
from collections.abc import Iterator

import pytest

from tests.lab import ceph
from tests.lab.iscsi_panel import IscsiPanel, url

pytestmark = pytest.mark.lab

NODE, INITIATOR = "secondnode1", "secondnode2"
NUMBER, IQN, POOL = 99, "iqn.2001-04.com.example:by-hand", "by-hand"
# What an initiator uses. Left out are families that take minutes, such as WriteSame, and single tests that send a
# request of no blocks: tgt dies of it when its store is Ceph (the contract suite shows that it comes back).
FAMILIES = (
    *("TestUnitReady", "Inquiry", "Mandatory", "ModeSense6", "ReadCapacity10", "ReadCapacity16", "StartStopUnit"),
    *("Read6", "Read10", "Read12", "Read16", "Write10", "Write12", "Write16", "Verify10", "CompareAndWrite", "Unmap"),
    *("PrinReadKeys", "PrinReportCapabilities", "ProutRegister", "ProutReserve", "ProutClear", "ProutPreempt"),
    *("Reserve6", "ReportSupportedOpcodes", "iSCSIcmdsn"),
)
LEFT_OUT = ".ZeroBlocks"
_TEST = re.compile(r"^  Test: (\w[\w-]*) \.\.\.", re.MULTILINE)
_FAILED = re.compile(r"^FAILED$|\.\.\.FAILED$", re.MULTILINE)
_MAKE = f"""
ip address add "$2/24" dev br0
setsid tgtd -f -C {NUMBER} --iscsi portal="$2:3260" </dev/null >/dev/null 2>&1 &
until tgtadm -C {NUMBER} --lld iscsi --op show --mode sys >/dev/null 2>&1; do sleep 0.1; done
tell() {{ tgtadm -C {NUMBER} --lld iscsi "$@"; }}
tell --op new --mode target --tid 1 -T {IQN}
tell --op new --mode logicalunit --tid 1 --lun 1 --bstype rbd --backing-store "$1"
tell --op bind --mode target --tid 1 -I ALL
"""
_REMOVE = f"pkill -KILL -f '^tgtd -f -C {NUMBER} '; ip address del \"$0/24\" dev br0; true"
_RUN = """
url=$1; shift
for test in "$@"; do echo "Run: $test"; timeout 60 iscsi-test-cu -d -v -t "$test" "$url" 2>&1; done | cat -v
"""


@pytest.fixture
def by_hand(iscsi_panel: IscsiPanel) -> Iterator[str]:
    """A LUN as an administrator makes it on the command line: where it is."""
    lab, address = iscsi_panel.lab, iscsi_panel.free_address()
    ceph.ceph(lab, "osd", "pool", "create", POOL, "8")
    ceph.ceph(lab, "osd", "pool", "application", "enable", POOL, "rbd")
    ceph.rbd(lab, "create", f"{POOL}/lun", "--size", "1G")
    lab.exec(NODE, "sh", "-ec", _MAKE, "sh", f"{POOL}/lun", address)
    yield f"iscsi://{address}:3260/{IQN}/1"
    lab.exec(NODE, "sh", "-c", _REMOVE, address)
    ceph.ceph(lab, "osd", "pool", "delete", POOL, POOL, "--yes-i-really-really-mean-it")


def chosen(listed: str) -> list[str]:
    """Whole families, which are quicker; of those with a test that is left out, the others one by one."""
    tests = re.findall(r"^ALL\.[\w-]+\.[\w-]+$", listed, re.MULTILINE)
    found = []
    for family in FAMILIES:
        of_it = [test for test in tests if test.startswith(f"ALL.{family}.")]
        kept = [test for test in of_it if not test.endswith(LEFT_OUT)]
        found += kept if kept != of_it else [f"ALL.{family}"]
    return found


def verdicts(said: str) -> dict[str, str]:
    """Test → "passed", "failed", or "skipped" for what the target does not offer."""
    found = {}
    for run in said.split("Run: ")[1:]:
        family = ".".join(run.split(maxsplit=1)[0].split(".")[:2])
        parts = _TEST.split(run)[1:]
        assert parts, f"nothing was tested: {run[:600]}"
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            verdict = "failed" if _FAILED.search(text) else "skipped" if "[SKIPPED]" in text else "passed"
            found[f"{family}.{name}"] = verdict
    return found


def test_a_lun_does_all_that_one_made_by_hand_does(iscsi_panel: IscsiPanel, by_hand: str) -> None:
    target = iscsi_panel.target("conformance", NODE)
    lun = iscsi_panel.lun(target)
    lab = iscsi_panel.lab
    tests = chosen(lab.exec(INITIATOR, "sh", "-c", "iscsi-test-cu -l 2>&1"))

    def ask(where: str) -> dict[str, str]:
        return verdicts(lab.exec(INITIATOR, "sh", "-c", _RUN, "sh", where, *tests))

    theirs, ours = ask(by_hand), ask(url(target))

    print(f"{len(ours)} tests: {sum(each == 'passed' for each in ours.values())} passed,", end=" ")
    print(f"failed: {[name for name, each in ours.items() if each == 'failed']}")
    assert ours == theirs
    assert len([name for name, each in ours.items() if each == "passed"]) > 60
    lun.refresh_from_db()
    assert lun.served, "a server died of a test"
