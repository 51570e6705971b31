"""The collector's look at the storage cluster: what it tells, and when the cluster counts as silent."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from infrastructure.drivers.base import Refused, Unreachable
from infrastructure.observe.source import Shard
from panel import series
from panel.trust import encryption
from panel.trust.encryption import encrypt
from storage.choices import ClusterState
from storage.drivers.base import Access
from storage.drivers.facts import ClusterFacts, Flow
from storage.drivers.fake import AlwaysFailing, FakeCluster
from storage.drivers.fake import cluster as usual_cluster
from storage.models import Cluster
from storage.observe.source import ClusterSource, figures
from storage.services import observed
from tests.storage.samples import cluster_facts, make_cluster
from tests.waiting import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A source, its clock, and the engine that it finds; `opened` are the accesses that were asked for."""

    def __init__(self, engine: FakeCluster) -> None:
        self.engine = engine
        self.opened: list[Access] = []
        self.clock = Clock()
        self.source = ClusterSource(open_driver=self._open, clock=self.clock)

    def _open(self, access: Access) -> FakeCluster:
        self.opened.append(access)
        return self.engine

    def tick(self, seconds: float = 0.0) -> None:
        """One round of the collector so many seconds later; looks that began in it have ended when it returns."""
        self.clock.now += seconds
        self.source.tick()
        for thread in threading.enumerate():
            if thread.name == "cluster-storage1":
                thread.join(10)

    def look(self, seconds: float = 5.0) -> None:
        """A look, and the round that takes its answer."""
        self.tick(seconds)
        self.tick()


@pytest.fixture(autouse=True)
def folders(tmp_path: Any, settings: Any) -> None:
    settings.KEYS_DIR = tmp_path
    settings.RRD_DIR = tmp_path / "rrd"
    encryption.ensure_key()


@pytest.fixture
def bench(transactional_db: None) -> Iterator[Bench]:
    engine = usual_cluster()
    facts = engine.look()
    engine.calls.clear()
    Cluster.objects.all().delete()
    make_cluster(facts=facts, key=encrypt("the key"))
    Cluster.objects.update(observed_at=timezone.now() - timedelta(seconds=5))
    made = Bench(engine)
    yield made
    made.source.stop()


def storage1() -> Cluster:
    return Cluster.objects.get()


def test_a_look_every_five_seconds_is_written_to_the_rows(bench: Bench) -> None:
    bench.engine.stop(3)
    bench.look(0)
    assert [disk.number for disk in storage1().disks.filter(up=False)] == [3]
    for _ in range(4):
        bench.tick(1)
    assert len(bench.engine.calls) == 1
    bench.look(1)
    assert len(bench.engine.calls) == 2
    assert bench.opened[0].key == "the key"


def test_it_is_silent_after_twelve_seconds_with_the_cause_and_back_at_the_next_answer(bench: Bench) -> None:
    bench.look(0)
    heard = storage1().observed_at
    working, bench.engine = bench.engine, AlwaysFailing(Unreachable("No monitor can be reached", component="ceph"))
    bench.look(5)
    bench.look(5)
    assert storage1().state == ClusterState.ONLINE
    bench.tick(2.5)
    now = storage1()
    assert (now.state, now.state_reason) == (ClusterState.UNREACHABLE, "No monitor can be reached")
    assert now.unreachable_since == heard
    assert bench.source.status() == {"clusters": 1, "clusters_late": 1}

    bench.engine = working
    bench.look(5)
    assert (storage1().state, storage1().state_reason) == (ClusterState.ONLINE, "")
    assert bench.source.status() == {"clusters": 1, "clusters_late": 0}


def test_a_refusal_is_told_at_once(bench: Bench) -> None:
    bench.look(0)
    bench.engine = AlwaysFailing(Refused("The key of client.mooring was removed", component="ceph"))
    bench.look(5)
    assert storage1().state == ClusterState.REFUSED
    assert "was removed" in storage1().state_reason


def test_a_look_that_hangs_is_not_begun_twice_and_counts_as_silence(bench: Bench) -> None:
    bench.look(0)
    hung, begun = threading.Event(), []

    def hang() -> ClusterFacts:
        begun.append(1)
        hung.wait(20)
        return usual_cluster().look()

    bench.engine.look = hang  # type: ignore[method-assign]
    try:
        for _ in range(14):
            bench.clock.now += 1
            bench.source.tick()
            eventually(lambda: begun or bench.clock.now < 1005)
        assert begun == [1]
        assert storage1().state == ClusterState.UNREACHABLE
    finally:
        hung.set()


def test_series_get_a_value_every_ten_seconds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[Any, ...]] = []
    monkeypatch.setattr(series, "append", lambda *sample: kept.append(sample))
    bench.engine.flow = Flow(read_bytes=10.0, write_ops=3.0)
    for _ in range(5):
        bench.look(5)
    assert [(kind, id) for kind, id, *_ in kept] == [("cluster", storage1().pk)] * 3
    assert kept[0][2]["read_bytes"] == 10.0 and kept[0][2]["write_ops"] == 3.0


def test_the_figures_have_the_columns_of_the_series_and_the_mean_latency_of_disks_that_are_up() -> None:
    facts = cluster_facts(flow=Flow(write_bytes=7.0))
    found = figures(facts)
    assert tuple(found) == series.COLUMNS["cluster"]
    assert (found["write_bytes"], found["write_ms"]) == (7.0, 2.0)
    assert (found["used"], found["available"]) == (facts.space.used, facts.space.available)
    assert set(figures(cluster_facts(manager_answers=False)).values()) == {None}


def test_a_cluster_that_was_connected_again_is_reached_the_new_way(bench: Bench) -> None:
    bench.look(0)
    Cluster.objects.update(monitors=["10.9.9.9:3300"], key=encrypt("another key"))
    bench.look(1)
    assert bench.opened[-1].monitors == ("10.9.9.9:3300",)
    assert bench.opened[-1].key == "another key"


def test_a_cluster_that_was_let_go_is_looked_at_no_more(bench: Bench) -> None:
    bench.look(0)
    Cluster.objects.all().delete()
    calls = len(bench.engine.calls)
    bench.look(10)
    assert len(bench.engine.calls) == calls
    assert bench.source.status() == {"clusters": 0, "clusters_late": 0}


def test_a_cluster_that_is_not_connected_yet_is_not_looked_at(bench: Bench) -> None:
    Cluster.objects.update(connected_at=None)
    bench.look(5)
    assert not bench.engine.calls


def test_a_key_that_cannot_be_decrypted_is_told(bench: Bench) -> None:
    Cluster.objects.update(key="gAAAAAnot-a-secret-of-this-panel")
    bench.tick()
    assert storage1().state == ClusterState.REFUSED
    assert "cannot be decrypted" in storage1().state_reason


def test_one_collector_of_several_looks(bench: Bench) -> None:
    other = next(index for index in (1, 2) if not Shard(index, 2).holds(storage1().pk))
    bench.source = ClusterSource(Shard(other, 2), open_driver=bench._open, clock=bench.clock)
    bench.look(0)
    assert not bench.engine.calls


def test_a_silence_that_could_not_be_written_is_written_by_the_next_round(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.look(0)
    bench.engine = AlwaysFailing()
    bench.look(5)
    bench.look(5)
    real: Callable[..., Any] = observed.mark_unreachable

    def locked(*_: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(observed, "mark_unreachable", locked)
    with pytest.raises(OperationalError):
        bench.tick(3)
    monkeypatch.setattr(observed, "mark_unreachable", real)
    bench.tick(1)
    assert storage1().state == ClusterState.UNREACHABLE
