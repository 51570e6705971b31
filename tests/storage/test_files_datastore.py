"""Datastores for files against a cluster in memory: one file system for all, a pool and a directory for each."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from lxml import html

from infrastructure.drivers.errors import Refused
from infrastructure.services.errors import NotPossible
from panel.accounts.models import User
from storage.drivers.facts import FilesystemFacts
from storage.jobs import files_steps
from storage.models import Cluster, Datastore
from storage.services import datastores
from tasks.errors import TaskConflict
from tasks.models import Task
from tasks.services import retry
from tests.infrastructure.fake_nodes import commands_of, run, steps_of
from tests.storage import made_datastores
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import nothing_left, remove

POOL = "mooring-files.t2.r2.host.iso"
CODED = "mooring-files.t2.ec5-2.osd.big"
META, ROOT = "mooring-files.meta", "mooring-files.root"


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as found:
        yield found


def create(row: Cluster, name: str = "iso", *policy: str) -> tuple[Datastore, Task]:
    return made_datastores.create(row, name, *policy, use="files")


def created(row: Cluster, name: str = "iso", *policy: str) -> Datastore:
    return made_datastores.created(row, name, *policy, use="files")


def test_the_first_one_makes_the_file_system_its_pool_and_a_directory(storage: Driven) -> None:
    datastore, task = create(storage.row)
    assert (datastore.pool, datastore.data_pool) == (POOL, POOL)
    assert run(task).state == "completed"
    assert steps_of(task) == [
        (title, "completed")
        for title in (
            "Checking tier 2 of storage1",
            "Making the rule mooring-t2.host",
            f"Making the pool {POOL}",
            "Making the file system mooring",
            f"Giving the file system the pool {POOL}",
            "Making the directory iso",
            "Recording iso",
            "Attaching it to the nodes",
        )
    ]
    assert storage.fake.files == FilesystemFacts("mooring", META, (ROOT, POOL))
    assert storage.fake.directories == {"iso": (POOL, [])}
    pools = storage.fake.pools_by_name
    assert {name: pools[name].size for name in (META, ROOT, POOL)} == {META: 3, ROOT: 3, POOL: 2}
    assert dict(pools[POOL].applications) == {"cephfs": {"mooring": "files", "data": "mooring"}}
    assert f"ceph fs new mooring {META} {ROOT}" in commands_of(task)


def test_a_code_keeps_only_data_of_its_own(storage: Driven) -> None:
    datastore = created(storage.row, "big", "ec5-2", "osd")
    assert (datastore.pool, datastore.data_pool) == (CODED, CODED)
    assert set(storage.fake.pools_by_name) == {CODED, META, ROOT}
    assert storage.fake.directories["big"][0] == CODED
    assert storage.fake.pools_by_name[META].size == 3
    assert storage.fake.data_pools == {}, "that is a setting of images"


def test_all_share_one_file_system_which_goes_with_the_last(storage: Driven) -> None:
    first, second = created(storage.row), created(storage.row, "backups", "r3")
    assert set(storage.fake.directories) == {"iso", "backups"}
    assert remove(first).state == "completed"
    assert storage.fake.files == FilesystemFacts("mooring", META, (ROOT, second.pool))
    assert set(storage.fake.pools_by_name) == {META, ROOT, second.pool}
    assert remove(second).state == "completed"
    assert nothing_left(storage.fake)


def test_the_rule_of_a_first_one_that_is_gone_goes_with_the_file_system(storage: Driven) -> None:
    first, second = created(storage.row), created(storage.row, "disks", "r2", "osd")
    remove(first)
    assert "mooring-t2.host" in storage.fake.rules_by_name, "the pools of the file system use it"
    remove(second)
    assert nothing_left(storage.fake)


def test_one_that_promises_more_than_its_metadata_keep_is_told(storage: Driven) -> None:
    created(storage.row, "small", "r2", "osd")
    _, task = create(storage.row)
    assert run(task).state == "warning"
    assert "the names and folders of all datastores for files in 3 copies over disks" in task.reason


def test_metadata_survive_as_much_as_the_first_one(storage: Driven) -> None:
    created(storage.row, "wide", "ec17-3", "osd")
    assert {storage.fake.pools_by_name[name].size for name in (META, ROOT)} == {4}


@pytest.mark.parametrize(
    "method",
    ["make_rule", "make_replicated_pool", "make_filesystem", "filesystem", "add_data_pool", "make_directory"],
)
def test_a_failure_at_any_step_leaves_nothing(storage: Driven, method: str) -> None:
    datastore, task = create(storage.row)
    storage.fake.fail_next(method, Refused("the monitor says no", component="ceph"))
    assert run(task).state == "failed"
    assert "monitor says no" in task.reason
    assert nothing_left(storage.fake)
    datastore.refresh_from_db()
    assert datastore.state == "failed"
    assert run(retry(task)).state == "completed"


def test_a_failure_beside_others_leaves_theirs(storage: Driven) -> None:
    created(storage.row)
    _, task = create(storage.row, "backups", "r3")
    storage.fake.fail_next("make_directory", Refused("no", component="ceph"))
    assert run(task).state == "failed"
    assert storage.fake.files == FilesystemFacts("mooring", META, (ROOT, POOL))
    assert set(storage.fake.pools_by_name) == {META, ROOT, POOL}


def test_files_that_appeared_before_it_was_ready_are_never_dropped(storage: Driven) -> None:
    _, task = create(storage.row)
    make = storage.fake.make_directory

    def make_directory(name: str, *, pool: str) -> bool:
        make(name, pool=pool)
        storage.fake.directories[name][1].append("early.iso")
        raise Refused("no", component="ceph")

    storage.fake.make_directory = make_directory  # type: ignore[method-assign]
    assert run(task).state == "failed"
    assert storage.fake.directories == {"iso": (POOL, ["early.iso"])}
    assert set(storage.fake.pools_by_name) == {META, ROOT, POOL}


def test_one_that_holds_files_is_not_removed_and_says_which(storage: Driven) -> None:
    datastore = created(storage.row)
    storage.fake.directories["iso"][1].extend(["debian.iso", "ct101"])
    task = remove(datastore)
    assert task.state == "failed"
    assert "iso is not empty: it holds 2 files or folders: ct101, debian.iso" in task.reason
    assert "/srv/mooring/iso" in task.advice
    datastore.refresh_from_db()
    assert (datastore.state, storage.fake.directories["iso"][0]) == ("ready", POOL)


def test_a_removal_that_breaks_after_the_directory_can_be_tried_again(storage: Driven) -> None:
    datastore = created(storage.row)
    storage.fake.fail_next("remove_data_pool", Refused("no", component="ceph"))
    task = remove(datastore)
    datastore.refresh_from_db()
    assert (task.state, datastore.state, storage.fake.directories) == ("failed", "partly", {})
    assert run(retry(task)).state == "completed"
    assert nothing_left(storage.fake)


def test_a_server_that_takes_a_moment_is_waited_for(storage: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = storage.fake.filesystem, []
    storage.fake.server = False

    def filesystem() -> FilesystemFacts | None:
        asked.append(1)
        storage.fake.server = len(asked) > 3
        return real()

    monkeypatch.setattr(storage.fake, "filesystem", filesystem)
    created(storage.row)
    assert storage.fake.directories == {"iso": (POOL, [])}


def test_no_server_that_takes_it_up_fails_with_what_to_do(storage: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_steps, "SERVER_SECONDS", 0.0)
    _, task = create(storage.row)
    storage.fake.server = False
    assert run(task).state == "failed"
    assert "No metadata server took up the file system mooring" in task.reason
    assert "Start ceph-mds on a node" in task.advice
    assert nothing_left(storage.fake)


def test_a_cluster_without_metadata_servers_is_told_at_once(storage: Driven) -> None:
    storage.fake.daemons = tuple(daemon for daemon in storage.fake.daemons if daemon.kind != "mds")
    storage.observe()
    with pytest.raises(NotPossible, match="runs no metadata server") as refusal:
        create(storage.row)
    assert "Start ceph-mds" in refusal.value.advice


def test_a_cluster_connected_before_there_was_a_user_for_files_is_connected_again(storage: Driven) -> None:
    Cluster.objects.update(files_key="")
    with pytest.raises(NotPossible, match="no user of storage1 for files") as refusal:
        create(storage.row)
    assert "Connect again" in refusal.value.advice
    assert not Datastore.objects.exists()


def test_two_at_once_would_make_the_file_system_twice(storage: Driven) -> None:
    create(storage.row)
    with pytest.raises(TaskConflict):
        create(storage.row, "backups")
    user = User.objects.get()
    datastores.create(user=user, cluster=storage.row, name="vms", use="vm", tier=2, mode="r2", domain="host")


def test_somebody_elses_file_system_of_the_name_is_left(storage: Driven) -> None:
    foreign = FilesystemFacts("mooring", "theirs.meta", ("theirs.data",))
    storage.fake.files = foreign
    _, task = create(storage.row)
    assert run(task).state == "failed"
    assert "There is a file system mooring already" in task.reason
    assert storage.fake.files == foreign
    assert remove(Datastore.objects.get()).state == "completed"
    assert storage.fake.files == foreign
    assert not storage.fake.pools_by_name


def test_its_page_says_where_nodes_have_it(
    storage: Driven, administrator: User, client_of: Callable[[User], Any]
) -> None:
    datastore = created(storage.row)
    pool = storage.fake.pools_by_name[POOL]
    storage.fake.pools_by_name[POOL] = replace(pool, stored=5 << 30)
    storage.observe()
    client = client_of(administrator)
    page = words(client.get(f"/storage/datastores/{datastore.pk}/").content)
    assert "On every node /srv/mooring/iso" in page
    assert "5 GiB stored" in page
    assert f"{POOL} Files mooring-t2.host" in page
    others = words(client.get("/storage/datastores/").content, '//*[@id="other-pools"]//tbody')
    assert f"{META} 3 replicas mooring-t2.host cephfs" in others.replace("Nothing declared", "cephfs")
    assert others.count("Mooring, for all datastores of files") == 2
    form = words(client.get("/storage/datastores/add/").content, '//*[@id="id_use"]')
    assert form == "VM disks CT roots, backups, ISO images, templates"


def words(content: bytes, path: str = ".") -> str:
    found = html.fromstring(content.decode()).xpath(path)[0]
    return " ".join(" ".join(found.itertext()).split())
