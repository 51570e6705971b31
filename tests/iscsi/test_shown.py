"""What tgtd prints, read into facts: also when an initiator chose its name to look like something else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.errors import DriverError
from iscsi.drivers import shown
from iscsi.drivers.facts import LunFacts, SessionFacts

IQN = "iqn.2014-06.com.vstorage:web"
CONTROLLER = """\
        LUN: 0
            Type: controller
            SCSI ID: IET     00010000
            SCSI SN: beaf10
            Size: 0 MB, Block size: 1
            Online: Yes
            Removable media: No
            Prevent removal: No
            Readonly: No
            SWP: No
            Thin-provisioning: No
            Backing store type: null
            Backing store path: None
            Backing store flags: 
"""  # noqa: W291 (tgtd prints it so)
DISK = """\
        LUN: {number}
            Type: disk
            SCSI ID: 6f3a
            SCSI SN: {serial}
            Size: 10737 MB, Block size: 512
            Online: {online}
            Removable media: No
            Prevent removal: No
            Readonly: No
            SWP: No
            Thin-provisioning: Yes
            Backing store type: rbd
            Backing store path: {path}
            Backing store flags: 
"""  # noqa: W291


def nexus(number: int, initiator: str, address: str = "10.0.0.9", alias: str = "none") -> str:
    return (
        f"        I_T nexus: {number}\n            Initiator: {initiator} alias: {alias}\n"
        f"            Connection: 0\n                IP Address: {address}\n"
    )


def disk(number: int, path: str = "mooring-p/lun-1", serial: str = "abc", online: str = "Yes") -> str:
    return DISK.format(number=number, path=path, serial=serial, online=online)


def target(nexuses: str = "", luns: str = "", accounts: str = "", acl: str = "", state: str = "ready") -> str:
    return (
        f"Target 7: {IQN}\n    System information:\n        Driver: iscsi\n        State: {state}\n"
        f"    I_T nexus information:\n{nexuses}    LUN information:\n{CONTROLLER}{luns}"
        f"    Account information:\n{accounts}    ACL information:\n{acl}\0"
    )


def test_a_whole_target_is_read() -> None:
    text = target(
        nexus(3, "iqn.1993-08.org.debian:01:abc") + nexus(4, "iqn.2001.com.x:y", "fd00::9"),
        disk(1) + disk(12, "mooring-q/lun-2", "def", "No"),
        "        ana\n        bob\n        panel (outgoing)\n",
        "        iqn.2001.com.x:y\n        iqn.1993-08.org.debian:01:abc\n",
    )
    number, facts = shown.target_of(text, {"ana": 4, "panel": 2}) or (0, None)
    assert facts is not None
    assert (number, facts.iqn, facts.ready) == (7, IQN, True)
    assert facts.luns == (
        LunFacts(1, "mooring-p", "lun-1", "abc", 10_737_000_000),
        LunFacts(12, "mooring-q", "lun-2", "def", 10_737_000_000, online=False),
    )
    assert facts.accounts == {"ana": 4, "bob": None}
    assert facts.mutual == ("panel", 2)
    assert facts.initiators == ("iqn.1993-08.org.debian:01:abc", "iqn.2001.com.x:y")
    assert facts.sessions == (
        SessionFacts(3, "iqn.1993-08.org.debian:01:abc", "10.0.0.9"),
        SessionFacts(4, "iqn.2001.com.x:y", "fd00::9"),
    )


def test_without_rules_nobody_may_log_in_and_with_all_everybody() -> None:
    for acl, wanted in (("", None), ("        ALL\n", ()), ("        iqn.2001.com.x\n        ALL\n", ())):
        _, facts = shown.target_of(target(acl=acl), {}) or (0, None)
        assert facts is not None and facts.initiators == wanted
    assert shown.rules_of(target(acl="        iqn.2001.com.x\n        ALL\n")) == ("iqn.2001.com.x", "ALL")


def test_a_server_without_target_has_none_and_another_text_is_an_error() -> None:
    assert shown.target_of("", {}) is None
    assert shown.target_of("\0", {}) is None
    for text in ("something else", target()[:200], "Target x: y\n"):
        with pytest.raises(DriverError):
            shown.target_of(text, {})


def test_a_target_that_is_offline_is_not_ready() -> None:
    _, facts = shown.target_of(target(acl="        ALL\n", state="offline"), {}) or (0, None)
    assert facts is not None and not facts.ready
    assert facts.initiators is None, "nobody may log in"


@given(st.text(max_size=400), st.text(max_size=100))
def test_whatever_an_initiator_calls_itself_only_its_session_is_touched(name: str, alias: str) -> None:
    text = target(nexus(3, name, alias=alias), disk(1), "        ana\n", "        iqn.2001.com.x:y\n")
    _, facts = shown.target_of(text, {}) or (0, None)
    assert facts is not None
    assert [lun.image for lun in facts.luns] == ["lun-1"]
    assert (facts.iqn, facts.accounts, facts.initiators) == (IQN, {"ana": None}, ("iqn.2001.com.x:y",))


@pytest.mark.parametrize(
    "name",
    [
        "x\n    LUN information:\n" + disk(9, "evil/evil"),
        "x\n    Account information:\n        eve\n    ACL information:\n        ALL\n",
        "x\n    LUN information:\n    Account information:\n        eve\n    ACL information:\n        ALL\n",
        "x\nTarget 8: iqn.2001.com.evil\n    System information:\n        State: offline\n",
    ],
)
def test_a_name_that_looks_like_a_part_of_the_target_changes_nothing_of_it(name: str) -> None:
    text = target(nexus(3, name), disk(1), "        ana\n", "        iqn.2001.com.x:y\n")
    _, facts = shown.target_of(text, {}) or (0, None)
    assert facts is not None
    assert [(lun.number, lun.pool) for lun in facts.luns] == [(1, "mooring-p")]
    assert (facts.iqn, facts.ready, facts.accounts, facts.initiators) == (
        IQN,
        True,
        {"ana": None},
        ("iqn.2001.com.x:y",),
    )


def test_names_are_told_without_what_a_page_would_not_show() -> None:
    text = target(nexus(3, "a\x1b[31mb\u202ec"))
    _, facts = shown.target_of(text, {}) or (0, None)
    assert facts is not None
    assert facts.sessions[0].initiator == "a�[31mb�c"


def test_revisions_are_those_of_accounts_that_carry_one() -> None:
    text = "Account list:\n    ana#12\n    ana\n    bob\n    weird#x\n\0"
    assert shown.revisions_of(text) == {"ana": 12}
    assert shown.users_of(text) == ["ana#12", "ana", "bob", "weird#x"]
    assert shown.marker("ana", 12) == "ana#12"


def test_portals_are_told_by_address_and_others_with_their_port() -> None:
    text = "Portal: 10.0.0.5:3260,1\nPortal: [fd00::5]:3260,1\nPortal: 10.0.0.6:860,1\n\0"
    assert shown.portals_of(text) == ("10.0.0.5", "[10.0.0.6]:860", "fd00::5")
