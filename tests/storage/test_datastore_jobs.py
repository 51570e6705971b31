"""Creating datastores against a cluster in memory: what is made, what is left, what is never touched."""

from collections.abc import Iterator

import pytest

from infrastructure.drivers.errors import Conflict, Refused
from infrastructure.models import Node
from panel.accounts.models import User
from storage.drivers.facts import Profile
from storage.models import Datastore
from storage.services import attachments
from tasks.errors import JobFailed
from tasks.models import Task, TaskStep
from tasks.services import retry
from tests.infrastructure.fake_nodes import commands_of, lines_of, run, steps_of
from tests.storage.fake_clusters import Driven, driven
from tests.storage.made_datastores import create, created, nothing_left, remove

OURS = {"rbd": {"mooring": "vm"}}
COPIES = "mooring-vm.t2.r2.host.fast"
META, DATA = "mooring-vm.t2.meta.osd.big", "mooring-vm.t2.ec5-2.osd.big"


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as found:
        yield found


def test_copies_get_a_rule_and_a_pool_whose_name_says_the_policy(storage: Driven) -> None:
    datastore, task = create(storage.row)
    assert (datastore.state, datastore.pool, datastore.data_pool) == ("creating", COPIES, COPIES)
    assert run(task).state == "completed"
    assert steps_of(task) == [
        (title, "completed")
        for title in (
            "Checking tier 2 of storage1",
            "Making the rule mooring-t2.host",
            f"Making the pool {COPIES}",
            "Recording fast",
            "Attaching it to the nodes",
        )
    ]
    pool = storage.fake.pools_by_name[COPIES]
    assert (pool.size, pool.min_size, pool.rule, dict(pool.applications)) == (2, 1, "mooring-t2.host", OURS)
    rule = storage.fake.rules_by_name["mooring-t2.host"]
    assert (rule.device_class, rule.domain) == ("tier2", "host")
    datastore.refresh_from_db()
    assert datastore.state == "ready"
    storage.row.refresh_from_db()
    assert COPIES in {pool["name"] for pool in storage.row.pools}, "the pages know the pool at once"
    assert "ceph osd crush rule create-replicated mooring-t2.host default host tier2" in commands_of(task)


def test_a_code_gets_a_profile_a_data_pool_and_copies_of_its_metadata(storage: Driven) -> None:
    datastore = created(storage.row, "big", "ec5-2", "osd")
    assert (datastore.pool, datastore.data_pool) == (META, DATA)
    data, meta = storage.fake.pools_by_name[DATA], storage.fake.pools_by_name[META]
    assert (data.coded, data.size, data.min_size, data.profile) == (True, 7, 6, "mooring-t2.ec5-2.osd")
    assert (meta.coded, meta.size, meta.min_size, meta.rule) == (False, 3, 2, "mooring-t2.osd")
    assert storage.fake.data_pools == {META: DATA}
    assert storage.fake.profiles_by_name["mooring-t2.ec5-2.osd"] == Profile(
        "mooring-t2.ec5-2.osd", 5, 2, "osd", "tier2"
    )


@pytest.mark.parametrize("mode", ["r1", "ec1-0"])
def test_no_redundancy_is_one_copy(storage: Driven, mode: str) -> None:
    pool = storage.fake.pools_by_name[created(storage.row, "thin", mode).pool]
    assert (pool.coded, pool.size) == (False, 1)


def test_1_2_is_three_copies(storage: Driven) -> None:
    pool = storage.fake.pools_by_name[created(storage.row, "safe", "ec1-2").pool]
    assert (pool.name, pool.coded, pool.size) == ("mooring-vm.t2.ec1-2.host.safe", False, 3)


def test_metadata_of_a_code_survives_as_much_as_its_data(storage: Driven) -> None:
    meta = storage.fake.pools_by_name[created(storage.row, "wide", "ec17-3", "osd").pool]
    assert (meta.size, meta.size - meta.min_size) == (4, 2)


def test_the_policy_is_checked_again_by_the_worker(storage: Driven) -> None:
    datastore, task = create(storage.row, "three", "r3")
    storage.fake.stop(*range(7))  # primary, after the page was sent
    assert run(task).state == "failed"
    assert "3 replicas needs 3 hosts with disks of tier 2 online, and there are 2" in task.reason
    datastore.refresh_from_db()
    assert datastore.state == "failed"
    assert nothing_left(storage.fake)


@pytest.mark.parametrize(
    "method",
    [
        "make_rule",
        "make_profile",
        "make_coded_pool",
        "make_replicated_pool",
        "finish_pool",
        "set_default_data_pool",
    ],
)
def test_a_failure_at_any_step_leaves_nothing(storage: Driven, method: str) -> None:
    datastore, task = create(storage.row, "big", "ec5-2", "osd")
    storage.fake.fail_next(method, Refused("the manager says no", component="ceph"))
    assert run(task).state == "failed"
    assert "the manager says no" in task.reason.lower()
    assert nothing_left(storage.fake)
    datastore.refresh_from_db()
    assert datastore.state == "failed"


@pytest.mark.parametrize("method", ["make_rule", "make_profile", "make_coded_pool", "make_replicated_pool"])
def test_a_retry_makes_it_whole(storage: Driven, method: str) -> None:
    datastore, task = create(storage.row, "big", "ec5-2", "osd")
    storage.fake.fail_next(method, Refused("no", component="ceph"))
    run(task)
    assert run(retry(task)).state == "completed"
    datastore.refresh_from_db()
    assert (datastore.state, set(storage.fake.pools_by_name)) == ("ready", {META, DATA})


def test_running_again_finds_everything_there(storage: Driven) -> None:
    _, task = create(storage.row, "big", "ec5-2", "osd")
    run(task)
    before = dict(storage.fake.pools_by_name)
    Datastore.objects.update(state="creating")
    Task.objects.filter(pk=task.pk).update(state="queued", attempt=1, finished_at=None)
    TaskStep.objects.filter(task=task).update(undo_state="dropped")
    task.refresh_from_db()
    assert run(task).state == "completed"
    assert storage.fake.pools_by_name == before
    assert lines_of(task).count("already done") == 5


def test_one_that_is_ready_stays_when_a_node_makes_its_task_fail(
    storage: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> list[Node]:
        raise JobFailed("The key cannot be decrypted.")

    datastore, task = create(storage.row)
    with monkeypatch.context() as broke:
        broke.setattr(attachments, "nodes", broken)
        assert run(task).state == "failed"
    datastore.refresh_from_db()
    assert (datastore.state, set(storage.fake.pools_by_name)) == ("ready", {COPIES})
    assert "mooring-t2.host" in storage.fake.rules_by_name

    # A disk came, and the policy would not fit any more: all that is left to do is attaching it.
    storage.fake.images_by_pool[COPIES] = ["vm-1"]
    storage.fake.fill(0.99)
    assert run(retry(task)).state == "completed"
    datastore.refresh_from_db()
    assert datastore.state == "ready"


def test_a_foreign_pool_of_the_same_name_is_told_and_never_touched(storage: Driven) -> None:
    foreign = storage.fake.add_pool(COPIES)
    datastore, task = create(storage.row)
    assert run(task).state == "failed"
    assert f"There is a pool {COPIES} already that was not made for this datastore" in task.reason
    assert storage.fake.pools_by_name == {COPIES: foreign}
    assert remove(datastore).state == "completed"
    assert storage.fake.pools_by_name == {COPIES: foreign}


def test_a_foreign_pool_that_appears_meanwhile_is_never_touched(storage: Driven) -> None:
    _, task = create(storage.row)
    make = storage.fake.make_rule

    def make_rule(name: str, *, device_class: str, domain: str) -> bool:
        storage.fake.add_pool(COPIES)
        return make(name, device_class=device_class, domain=domain)

    storage.fake.make_rule = make_rule  # type: ignore[method-assign]
    assert run(task).state == "failed"
    assert "made by somebody else" in task.reason
    assert set(storage.fake.pools_by_name) == {COPIES}
    assert "mooring-t2.host" not in storage.fake.rules_by_name


def test_a_pool_of_ours_with_images_is_somebody_elses_datastore(storage: Driven) -> None:
    storage.fake.add_pool(COPIES, applications=OURS)
    storage.fake.images_by_pool[COPIES] = ["vm-1"]
    _, task = create(storage.row)
    assert run(task).state == "failed"
    assert storage.fake.images_by_pool[COPIES] == ["vm-1"]
    assert COPIES in storage.fake.pools_by_name


def test_a_foreign_rule_of_the_same_name_stays(storage: Driven) -> None:
    storage.fake.make_rule("mooring-t2.host", device_class="tier2", domain="osd")
    _, task = create(storage.row)
    assert run(task).state == "failed"
    assert "exists already and places data otherwise" in task.reason
    assert storage.fake.rules_by_name["mooring-t2.host"].domain == "osd"


def test_a_foreign_profile_of_the_same_name_stays(storage: Driven) -> None:
    foreign = Profile("mooring-t2.ec5-2.osd", 5, 2, "osd", "tier2", plugin="isa")
    storage.fake.make_profile(foreign)
    _, task = create(storage.row, "big", "ec5-2", "osd")
    assert run(task).state == "failed"
    assert storage.fake.profiles_by_name == {foreign.name: foreign}


def test_one_that_failed_does_not_keep_what_another_one_shared_with_it(storage: Driven) -> None:
    others = [create(storage.row, name, "ec5-2", "osd") for name in ("one", "two")]
    for _, task in others:  # the first leaves rule and profile, since the second is to be made with them
        storage.fake.fail_next("make_coded_pool", Refused("no", component="ceph"))
        assert run(task).state == "failed"
    assert nothing_left(storage.fake)

    assert run(retry(others[0][1])).state == "completed"
    assert set(storage.fake.profiles_by_name) == {"mooring-t2.ec5-2.osd"}


def test_a_failed_one_can_be_begun_again_with_the_same_policy(storage: Driven) -> None:
    datastore, task = create(storage.row)
    storage.fake.fail_next("make_rule", Conflict("busy", component="ceph"))
    run(task)
    again, task = create(storage.row)
    assert again.pk == datastore.pk
    assert run(task).state == "completed"


def test_a_removed_datastore_can_not_be_created_by_a_retry(storage: Driven) -> None:
    _, task = create(storage.row)
    Datastore.objects.all().delete()
    assert run(task).state == "failed"
    assert "not in Mooring any more" in task.reason
    assert nothing_left(storage.fake)
