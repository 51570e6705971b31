"""What a connection is told, and what is refused before anything is dialled."""

import base64
import re
import struct
from dataclasses import replace

import pytest

from infrastructure.drivers.errors import NotSupported, Refused
from storage.drivers import ceph_access
from storage.drivers.base import Access


def key(kind: int) -> str:
    return base64.b64encode(struct.pack("<HIIH", kind, 1, 0, 16) + bytes(16)).decode()


ACCESS = Access("ceph", "", ("192.0.2.1:3300", "192.0.2.2:3300"), "mooring", key(1))


def test_a_usual_key_passes() -> None:
    ceph_access.check(ACCESS)


def test_a_key_of_a_newer_ceph_is_named_as_such() -> None:
    with pytest.raises(NotSupported, match="type 2") as caught:
        ceph_access.check(replace(ACCESS, key=key(2)))
    assert "newer librados" in str(caught.value)


@pytest.mark.parametrize("bad", ["", "A", "not base64!", "schlüssel"])
def test_what_is_no_key_is_refused_without_repeating_it(bad: str) -> None:
    with pytest.raises(Refused, match=r"client\.mooring is not a cephx key") as caught:
        ceph_access.check(replace(ACCESS, key=bad))
    assert not bad or bad == "A" or bad not in str(caught.value)


def test_a_cluster_without_monitors_is_refused() -> None:
    with pytest.raises(Refused, match="no monitors"):
        ceph_access.check(replace(ACCESS, monitors=()))


def test_a_handle_reads_no_files_and_waits_no_longer_than_a_look() -> None:
    told = ceph_access.conf(ACCESS)
    assert told["mon_host"] == "192.0.2.1:3300,192.0.2.2:3300"
    assert (told["keyring"], told["admin_socket"], told["log_file"]) == ("", "", "")
    assert float(told["client_mount_timeout"]) < 4


def test_the_capabilities_name_each_command_and_only_the_panels_names() -> None:
    told = dict(ceph_access.CAPABILITIES)
    assert set(told) == {"mon", "mgr", "osd", "mds"}
    assert "*" not in told["mon"] + told["mgr"]
    assert "auth" not in told["mon"]
    wide = {part.removeprefix("allow ") for part in told["mon"].split(", ") if " with " not in part}
    assert wide <= {"r", "service mooring-none w"} | {
        f'command "{command}"'
        for command in (
            "osd crush set-device-class",
            "osd crush rm-device-class",
            "osd in",
            "osd out",
            "osd new",
            "osd crush add",
            "osd crush move",
            "osd set-nearfull-ratio",
            "osd set-backfillfull-ratio",
            "osd set-full-ratio",
        )
    }
    narrow = [part for part in told["mon"].split(", ") if " with " in part]
    narrow_enough = (
        "prefix mooring-",
        "who=osd name=osd_",
        "with fs_name=mooring",
        'add-bucket" with type=r',
        "with name regex",
        "with blocklistop=add",
    )
    assert all(any(words in part for words in narrow_enough) for part in narrow)

    assert [daemons for daemons, _ in ceph_access.CAPABILITIES] == ["mon", "mgr", "osd", "mds"]


def test_what_may_be_removed_from_the_map_is_no_disk() -> None:
    told = dict(ceph_access.CAPABILITIES)["mon"]
    allowed = re.search(r'"osd crush rm" with name regex "([^"]+)"', told)
    assert allowed is not None
    assert re.fullmatch(allowed[1], "rack-a1")
    assert not re.fullmatch(allowed[1], "osd.3")
