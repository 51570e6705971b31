"""Recovery priority and fill marks: what is set, what is refused, and what an undo puts back."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.errors import Refused
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from storage.drivers import ceph_settings
from storage.drivers.facts import RECOVERY_OPTIONS, ClusterFacts, Ratios
from storage.models import Cluster
from storage.services import observed, settings
from storage.services.settings import Marks
from tasks.models import Task
from tests.infrastructure.fake_nodes import commands_of, run
from tests.storage.fake_clusters import Driven, driven


@pytest.fixture
def made(transactional_db: None, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as made:
        yield made


def prioritise(made: Driven, priority: str, user: User) -> Task:
    return run(settings.change_recovery(user=user, cluster=made.row, priority=priority))


def mark(made: Driven, user: User, *marks: int) -> Task:
    return run(settings.change_marks(user=user, cluster=made.row, marks=Marks(*marks)))


def test_a_priority_sets_every_option_and_the_pages_know_it(made: Driven, administrator: User) -> None:
    task = prioritise(made, "high", administrator)

    assert task.state == "completed"
    assert set(made.fake.options) == set(RECOVERY_OPTIONS)
    assert "ceph config set osd osd_max_backfills 4" in commands_of(task)
    assert settings.priority_of(known(made).recovery) == "high"


def test_balanced_takes_back_what_was_set(made: Driven, administrator: User) -> None:
    made.fake.options = {"osd_max_backfills": "7"}
    task = prioritise(made, "balanced", administrator)

    assert made.fake.options == {}
    assert commands_of(task) == ["ceph config rm osd osd_max_backfills"]


def test_what_is_so_already_is_not_set_again(made: Driven, administrator: User) -> None:
    task = prioritise(made, "balanced", administrator)
    assert task.state == "completed" and commands_of(task) == []


def test_values_of_no_priority_are_called_custom() -> None:
    assert settings.priority_of({}) == "balanced"
    assert settings.priority_of({"osd_max_backfills": "2"}) == "custom"
    assert settings.priority_of(None) is None
    low = {name: value for name, value in settings.options_of("low").items() if value is not None}
    assert settings.priority_of(low) == "low"


@pytest.fixture
def second_look_fails(made: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    """That which a task takes after it set something."""
    look, calls = made.fake.look, 0

    def second_fails() -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Refused("no", component="ceph")
        return look()

    monkeypatch.setattr(made.fake, "look", second_fails)


def known(made: Driven) -> ClusterFacts:
    """What the pages know."""
    facts = observed.facts_of(Cluster.objects.get(pk=made.row.pk))
    assert facts is not None
    return facts


@pytest.mark.usefixtures("second_look_fails")
def test_a_failure_puts_the_options_of_before_back(made: Driven, administrator: User) -> None:
    made.fake.options = {"osd_max_backfills": "7"}
    assert prioritise(made, "high", administrator).state == "failed"
    assert made.fake.options == known(made).recovery == {"osd_max_backfills": "7"}


def test_options_that_the_cluster_does_not_tell_are_not_set(
    made: Driven, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = made.fake.look
    monkeypatch.setattr(made.fake, "look", lambda: replace(look(), recovery=None))
    task = prioritise(made, "high", administrator)
    assert (task.state, task.reason) == ("failed", "The cluster does not tell its recovery options.")
    assert made.fake.options == {}


def test_marks_are_set_with_their_commands(made: Driven, administrator: User) -> None:
    task = mark(made, administrator, 70, 80, 90)

    assert made.fake.ratios == Ratios(0.7, 0.8, 0.9)
    assert commands_of(task) == [
        "ceph osd set-nearfull-ratio 0.7",
        "ceph osd set-backfillfull-ratio 0.8",
        "ceph osd set-full-ratio 0.9",
    ]


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ((90, 90, 95), "Near-full at 90% must lie below backfill-full at 90%"),
        ((80, 95, 95), "Backfill-full at 95% must lie below full at 95%"),
        ((85, 90, 98), "Full at 98% leaves a disk no room"),
        ((0, 90, 95), "Near-full at 0%"),
    ],
)
def test_marks_in_no_order_are_refused(
    made: Driven, administrator: User, marks: tuple[int, int, int], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        mark(made, administrator, *marks)


def test_a_mark_that_a_disk_has_passed_is_refused_with_the_disk(made: Driven, administrator: User) -> None:
    made.fake.change(4, used=int(made.fake.disks[4].size * 0.6))
    made.observe()
    with pytest.raises(NotPossible, match=r"CS4 is 60% full: a mark of 55% would stop healing onto it"):
        mark(made, administrator, 50, 55, 80)
    with pytest.raises(NotPossible, match=r"CS4 is 60% full: a mark of 58% would refuse all writes at once"):
        mark(made, administrator, 50, 55, 58)


def test_the_worker_looks_again(made: Driven, administrator: User) -> None:
    task = settings.change_marks(user=administrator, cluster=made.row, marks=Marks(50, 55, 60))
    made.fake.fill(0.7)
    assert "is 70% full" in run(task).reason
    assert made.fake.ratios == Ratios()


@pytest.mark.usefixtures("second_look_fails")
def test_a_failure_puts_the_marks_of_before_back(made: Driven, administrator: User) -> None:
    made.fake.ratios = Ratios(0.5, 0.6, 0.7)
    assert mark(made, administrator, 70, 80, 90).state == "failed"
    assert made.fake.ratios == known(made).ratios == Ratios(0.5, 0.6, 0.7)


def test_an_operator_may_not(made: Driven, operator: User) -> None:
    with pytest.raises(PermissionDenied):
        prioritise(made, "high", operator)
    with pytest.raises(PermissionDenied):
        mark(made, operator, 70, 80, 90)


def test_options_for_some_disks_only_are_not_taken_for_all() -> None:
    dump = [
        {"section": "osd", "name": "osd_max_backfills", "value": "2", "mask": ""},
        {"section": "osd", "name": "osd_recovery_sleep_hdd", "value": "0.500000", "mask": ""},
        {"section": "global", "name": "osd_max_backfills", "value": "9", "mask": ""},
        {"section": "osd", "name": "osd_recovery_op_priority", "value": "5", "mask": "class:hdd"},
        {"section": "osd.3", "name": "osd_recovery_max_active", "value": "5", "mask": ""},
        {"section": "osd", "name": "osd_memory_target", "value": "1", "mask": ""},
    ]
    assert ceph_settings.recovery(dump) == {"osd_max_backfills": "2", "osd_recovery_sleep_hdd": "0.5"}
