"""The file system of a cluster in memory: what the driver refuses, and what is asked of libcephfs on a real one."""

from typing import Any

import cephfs
import pytest

from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused, TimedOut
from storage.drivers import ceph_access, fake
from storage.drivers.ceph_files import Files
from storage.drivers.facts import FilesystemFacts
from storage.drivers.fake import FakeCluster
from storage.drivers.matching import FILES_METADATA, FILES_ROOT, FILESYSTEM

MARKS = {"mooring": "files"}
DATA = "mooring-files.t1.r2.host.iso"


@pytest.fixture
def cluster() -> FakeCluster:
    made = fake.cluster()
    made.make_rule("mooring-t1.host", device_class="tier1", domain="host")
    for name in (FILES_METADATA, FILES_ROOT, DATA):
        made.make_replicated_pool(name, size=2, rule="mooring-t1.host", application="cephfs", marks=MARKS)
    return made


@pytest.fixture
def served(cluster: FakeCluster) -> FakeCluster:
    cluster.make_filesystem()
    cluster.add_data_pool(DATA)
    return cluster


def test_it_is_made_of_its_two_pools_once(cluster: FakeCluster) -> None:
    assert cluster.filesystem() is None
    assert (cluster.make_filesystem(), cluster.make_filesystem()) == (True, False)
    assert cluster.filesystem() == FilesystemFacts(FILESYSTEM, FILES_METADATA, (FILES_ROOT,), serving=True)
    assert dict(cluster.pools_by_name[FILES_ROOT].applications["cephfs"]) == {"mooring": "files", "data": "mooring"}


def test_somebody_elses_of_the_name_is_left(cluster: FakeCluster) -> None:
    cluster.files = FilesystemFacts(FILESYSTEM, "theirs.meta", ("theirs.data",))
    for call in (cluster.filesystem, cluster.make_filesystem, cluster.remove_filesystem):
        with pytest.raises(Conflict, match=r"already whose metadata lie in the pool theirs\.meta"):
            call()


def test_a_pool_of_images_is_refused(cluster: FakeCluster) -> None:
    cluster.make_filesystem()
    cluster.make_replicated_pool("mooring-vm.x", size=2, rule="mooring-t1.host", application="rbd", marks=MARKS)
    with pytest.raises(Conflict, match="non-CephFS"):
        cluster.add_data_pool("mooring-vm.x")


def test_neither_a_pool_that_it_uses_nor_one_that_is_used_goes(served: FakeCluster) -> None:
    with pytest.raises(Conflict, match="in use by CephFS"):
        served.remove_pool(DATA, marks=MARKS)
    with pytest.raises(Conflict, match=f"keeps data in {DATA}"):
        served.remove_filesystem()
    assert served.remove_data_pool(DATA) is True
    assert served.remove_data_pool(DATA) is False
    assert served.remove_filesystem() is True
    assert served.remove_filesystem() is False
    assert all(served.remove_pool(name, marks=MARKS) for name in (FILES_METADATA, FILES_ROOT, DATA))


def test_directories_come_and_go_empty(served: FakeCluster) -> None:
    assert served.entries("iso") is None
    assert (served.make_directory("iso", pool=DATA), served.make_directory("iso", pool=DATA)) == (True, False)
    assert served.entries("iso") == ()
    served.directories["iso"][1].append("debian.iso")
    with pytest.raises(Conflict, match="not empty"):
        served.remove_directory("iso")
    served.directories["iso"][1].clear()
    assert (served.remove_directory("iso"), served.remove_directory("iso")) == (True, False)


def test_a_directory_that_holds_files_in_another_pool_is_left(served: FakeCluster) -> None:
    served.directories["iso"] = ("mooring-files.other", ["debian.iso"])
    with pytest.raises(Conflict, match="holds files and keeps them in another pool"):
        served.make_directory("iso", pool=DATA)
    assert served.directories["iso"] == ("mooring-files.other", ["debian.iso"])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../etc", "-x", "A"])
def test_a_directory_lies_directly_in_the_panels_folder(served: FakeCluster, name: str) -> None:
    for call in (served.entries, served.remove_directory, lambda name: served.make_directory(name, pool=DATA)):
        with pytest.raises(Refused, match="no name for a directory"):
            call(name)


def test_without_a_metadata_server_only_directories_are_out_of_reach(served: FakeCluster) -> None:
    served.server = False
    assert (served.filesystem() or pytest.fail()).serving is False
    with pytest.raises(DriverError, match="No metadata server is active"):
        served.entries("iso")
    assert served.remove_data_pool(DATA) is True


def test_a_pool_joins_a_file_system_that_is_there(cluster: FakeCluster) -> None:
    with pytest.raises(NotFound, match="no file system mooring"):
        cluster.add_data_pool(DATA)


class Engine:
    """A handle's monitors, which know of one file system, and libcephfs on it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, object]]] = []
        self.dump: dict[str, Any] = {"filesystems": []}
        self.tree: dict[str, dict[str, bytes]] = {}
        self.mounts = 0
        self.given_up = False
        self.where = "ceph"
        self.handle = self

    def have(self, *pools: int, state: str = "up:active") -> None:
        told = {
            "fs_name": "mooring",
            "metadata_pool": 1,
            "data_pools": list(pools),
            "info": {"gid_4": {"state": state}},
        }
        other = {"fs_name": "cephfs", "metadata_pool": 8, "data_pools": [9], "info": {"gid_5": {"state": "up:active"}}}
        self.dump = {"filesystems": [{"mdsmap": other, "id": 1}, {"mdsmap": told, "id": 2}]}

    def check(self) -> None:
        if self.given_up:
            raise TimedOut("ceph answered too late", component="ceph")

    def ask(self, command: str) -> Any:
        return {"fs dump": self.dump}[command]

    def ask_one(self, command: str) -> dict[str, Any]:
        pools = {1: FILES_METADATA, 2: FILES_ROOT, 3: DATA, 8: "m", 9: "d"}
        return {"pools": [{"pool": number, "pool_name": name} for number, name in pools.items()]}

    def do(self, command: str, **words: object) -> None:
        self.done.append((command, words))

    def wait_for_latest_osdmap(self) -> None: ...


class Library:
    """libcephfs, as far as it is used, on the engine's tree: path → extended attributes."""

    def __init__(self, rados_inst: Engine) -> None:
        self._engine = rados_inst

    def mount(self, *, filesystem_name: bytes) -> None:
        assert filesystem_name == b"mooring"
        self._engine.mounts += 1

    def shutdown(self) -> None:
        self._engine.mounts -= 1

    def mkdirs(self, path: str, mode: int) -> None:
        for part in ("/volumes", path):
            self._engine.tree.setdefault(part, {})

    def mkdir(self, path: str, mode: int) -> None:
        if path in self._engine.tree:
            raise cephfs.ObjectExists(17, "error in mkdir")
        self._engine.tree[path] = {}

    def getxattr(self, path: str, name: str, size: int) -> bytes:
        if name not in self._engine.tree[path]:
            raise cephfs.NoData(61, "error in getxattr")
        return self._engine.tree[path][name]

    def setxattr(self, path: str, name: str, value: bytes, flags: int) -> None:
        self._engine.tree[path][name] = value

    def rmdir(self, path: str) -> None:
        if path not in self._engine.tree:
            raise cephfs.ObjectNotFound(2, "error in rmdir")
        if any(other.startswith(f"{path}/") for other in self._engine.tree):
            raise cephfs.ObjectNotEmpty(39, "error in rmdir")
        del self._engine.tree[path]

    def opendir(self, path: str) -> list[str]:
        if path not in self._engine.tree:
            raise cephfs.ObjectNotFound(2, "error in opendir")
        inside = (other.removeprefix(f"{path}/") for other in self._engine.tree if other.startswith(f"{path}/"))
        return [".", "..", *inside]

    def readdir(self, opened: list[str]) -> Any:
        return cephfs.DirEntry(0, 0, 0, 0, opened.pop(0).encode()) if opened else None

    def closedir(self, opened: list[str]) -> None: ...


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(cephfs, "LibCephFS", Library)
    return Engine()


def test_the_panels_file_system_is_told_from_others_by_its_name(engine: Engine) -> None:
    files = Files(engine)  # type: ignore[arg-type]
    assert files.filesystem() is None
    engine.have(2, 3)
    assert files.filesystem() == FilesystemFacts(FILESYSTEM, FILES_METADATA, (FILES_ROOT, DATA), serving=True)
    engine.have(2, 3, state="up:creating")
    assert (files.filesystem() or pytest.fail()).serving is False


def test_it_is_stopped_before_it_is_removed_and_only_without_data(engine: Engine) -> None:
    files = Files(engine)  # type: ignore[arg-type]
    engine.have(2, 3)
    with pytest.raises(Conflict):
        files.remove()
    assert engine.done == []
    engine.have(2)
    assert files.remove() is True
    assert engine.done == [
        ("fs fail", {"fs_name": "mooring"}),
        ("fs rm", {"fs_name": "mooring", "yes_i_really_mean_it": True}),
    ]


def test_commands_are_given_when_their_effect_is_not_there_yet(engine: Engine) -> None:
    files = Files(engine)  # type: ignore[arg-type]
    assert files.make() is True
    engine.have(2)
    assert (files.make(), files.add_data_pool(DATA), files.remove_data_pool(DATA)) == (False, True, False)
    engine.have(2, 3)
    assert (files.add_data_pool(DATA), files.remove_data_pool(DATA)) == (False, True)
    assert [command for command, _ in engine.done] == ["fs new", "fs add_data_pool", "fs rm_data_pool"]


def test_what_was_given_up_makes_and_removes_no_directory(engine: Engine) -> None:
    files = Files(engine)  # type: ignore[arg-type]
    engine.have(2, 3)
    files.make_directory("iso", pool=DATA)
    before, engine.given_up = {path: dict(found) for path, found in engine.tree.items()}, True
    for late in (lambda: files.make_directory("other", pool=DATA), lambda: files.remove_directory("iso")):
        with pytest.raises(TimedOut):
            late()
    assert engine.tree == before


def test_a_directory_gets_the_layout_of_its_pool(engine: Engine) -> None:
    files = Files(engine)  # type: ignore[arg-type]
    engine.have(2, 3)
    assert (files.make_directory("iso", pool=DATA), files.make_directory("iso", pool=DATA)) == (True, False)
    assert engine.tree["/volumes/mooring/iso"] == {"ceph.dir.layout.pool": DATA.encode()}
    assert files.entries("iso") == ()
    engine.tree["/volumes/mooring/iso/debian.iso"] = {}
    assert files.entries("iso") == ("debian.iso",)
    with pytest.raises(Conflict):
        files.remove_directory("iso")
    with pytest.raises(Conflict, match="another pool"):
        files.make_directory("iso", pool="mooring-files.other")
    del engine.tree["/volumes/mooring/iso/debian.iso"]
    assert (files.remove_directory("iso"), files.remove_directory("iso"), files.entries("iso")) == (True, False, None)
    assert engine.mounts == 0, "every mount ends"


def test_the_panels_user_may_touch_its_own_file_system_alone() -> None:
    told = dict(ceph_access.CAPABILITIES)
    grants = [part for part in told["mon"].split(", ") if '"fs ' in part]
    assert len(grants) == 5
    assert all(f"with fs_name={FILESYSTEM}" in grant for grant in grants)
    assert told["mds"] == "allow rwp fsname=mooring"
    assert "cephfs" not in told["osd"], "what lies in files is none of the panel's business"
