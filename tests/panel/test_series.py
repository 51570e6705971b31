"""The round-robin store."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panel.series import store as store_module
from panel.series.layout import ARCHIVES, COLUMNS, shape
from panel.series.store import Store

NOW = 1_800_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def fill(store: Store, seconds: int, *, step: int = 10, value: float = 40.0, until: int = NOW) -> None:
    for at in range(until - seconds, until + 1, step):
        assert store.append("ve", 7, {"cpu": value, "memory": at}, at)


def test_what_was_appended_is_fetched(store: Store) -> None:
    fill(store, 3600)
    series = store.fetch("ve", 7, 3600, now=NOW)
    assert set(series.columns) == set(COLUMNS["ve"])
    assert len(series.times) == len(series.columns["cpu"]) == 120
    assert series.times[-1] == NOW
    assert series.step == 30
    assert series.columns["cpu"][-1] == pytest.approx(40.0)
    assert series.columns["memory"][-1] == pytest.approx(NOW - 10, abs=10)
    assert series.latest("cpu") == pytest.approx(40.0)
    assert set(series.columns["net_in"]) == {None}


def test_points_bound_every_range(store: Store) -> None:
    fill(store, 3 * 3600, step=30)
    for seconds in (60, 3600, 6 * 3600, 24 * 3600, 7 * 86400, 365 * 86400):
        series = store.fetch("ve", 7, seconds, points=100, now=NOW)
        assert 0 < len(series.times) <= 100
        assert all(
            later - earlier == series.step for earlier, later in zip(series.times, series.times[1:], strict=False)
        )
        assert all(len(column) == len(series.times) for column in series.columns.values())


def test_a_gap_is_shown_as_nothing(store: Store) -> None:
    fill(store, 600, until=NOW - 1200)
    fill(store, 600)
    cpu = store.fetch("ve", 7, 1800, points=180, now=NOW).columns["cpu"]
    assert None in cpu
    assert cpu[-1] == pytest.approx(40.0)
    assert cpu[5] == pytest.approx(40.0)


def test_an_object_without_a_file_has_no_times(store: Store) -> None:
    series = store.fetch("node", 1, 3600)
    assert series.times == ()
    assert series.latest("cpu") is None


def test_the_size_of_a_file_never_changes(store: Store) -> None:
    fill(store, 600)
    before = store.path("ve", 7).stat().st_size
    for day in range(1, 800, 20):
        store.append("ve", 7, {"cpu": 1.0}, NOW + day * 86400)
    assert store.path("ve", 7).stat().st_size == before == shape(COLUMNS["ve"]).size
    assert max(archive.span for archive in ARCHIVES) == 365 * 86400


def test_peaks_are_kept_where_averages_hide_them(store: Store) -> None:
    for at in range(NOW - 40 * 3600, NOW + 1, 30):
        store.append("ve", 7, {"cpu": 100.0 if at % 600 == 0 else 0.0}, at)
    seconds = 40 * 3600
    assert max(v or 0 for v in store.fetch("ve", 7, seconds, now=NOW).columns["cpu"]) < 20
    assert max(v or 0 for v in store.fetch("ve", 7, seconds, peak=True, now=NOW).columns["cpu"]) == pytest.approx(
        100, abs=1
    )


def test_a_file_that_was_cut_short_is_set_aside_and_begun_anew(store: Store) -> None:
    fill(store, 60)
    path = store.path("ve", 7)
    with path.open("r+b") as file:
        file.truncate(5000)
    assert store.fetch("ve", 7, 3600, now=NOW).times == ()
    assert store.append("ve", 7, {"cpu": 3.0}, NOW + 10)
    assert [kept.stat().st_size for kept in path.parent.glob("7.broken-*")] == [5000]
    assert path.stat().st_size == shape(COLUMNS["ve"]).size


@given(position=st.integers(0, 1807), value=st.integers(0, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_damage_of_the_definition_reaches_the_library(tmp_path: Path, position: int, value: int) -> None:
    store = Store(tmp_path)
    fill(store, 10)
    path = store.path("ve", 7)
    data = bytearray(path.read_bytes())
    data[position] = value
    path.write_bytes(data)
    assert store.append("ve", 7, {"cpu": 1.0}, NOW + 20)
    store.remove("ve", 7)


def test_other_objects_are_recorded_beside_one_that_cannot_be(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.path("ve", 7).mkdir(parents=True)
    assert store.append("ve", 7, {"cpu": 1.0}, NOW) is False
    assert store.append("ve", 8, {"cpu": 1.0}, NOW) is True


def test_a_clock_set_back_drops_samples_until_it_catches_up(store: Store) -> None:
    fill(store, 60)
    assert store.append("ve", 7, {"cpu": 1.0}, NOW - 3600) is False
    assert store.append("ve", 7, {"cpu": 2.0}, NOW + 10) is True
    assert not list(store.path("ve", 7).parent.glob("*.broken-*"))


def test_a_file_far_in_the_future_is_set_aside(store: Store) -> None:
    fill(store, 60, until=NOW + 10 * 86400)
    store.append("ve", 7, {"cpu": 1.0}, NOW)
    assert store.append("ve", 7, {"cpu": 1.0}, NOW + 10) is True
    assert list(store.path("ve", 7).parent.glob("*.broken-*"))


def test_two_samples_in_one_second_do_no_harm(store: Store) -> None:
    assert store.append("ve", 7, {"cpu": 1.0}, NOW) is True
    assert store.append("ve", 7, {"cpu": 1.0}, NOW) is False


def test_values_that_are_no_numbers_count_as_unknown(store: Store) -> None:
    for index, bad in enumerate((float("nan"), float("inf"), -1.0, None)):
        assert store.append("ve", 7, {"cpu": bad}, NOW + index * 10)
    assert store.fetch("ve", 7, 60, now=NOW + 30).latest("cpu") is None


def test_each_kind_has_columns_of_its_own(store: Store) -> None:
    assert store.append("cluster", 1, {"used": 5.0, "cpu": 1.0}, NOW)
    assert store.append("ve", 1, {"cpu": 2.0}, NOW)
    cluster = store.fetch("cluster", 1, 60, now=NOW)
    assert tuple(cluster.columns) == COLUMNS["cluster"]
    assert cluster.latest("used") == pytest.approx(5.0)
    assert store.fetch("cluster", 2, 60, now=NOW).latest("used") is None


def test_files_of_nodes_and_ves_that_are_there_already_stay_valid() -> None:
    machine = ("cpu", "memory", "disk_read", "disk_write", "read_ops", "write_ops", "net_in", "net_out")
    assert COLUMNS["node"] == COLUMNS["ve"] == machine


def test_what_has_no_columns_has_no_series(store: Store) -> None:
    with pytest.raises(ValueError, match="no series"):
        store.path("../etc", 1)


@contextmanager
def held(path: Path, how: int) -> Iterator[None]:
    """As another process holds it: locks of this kind belong to who opened the file."""
    with path.open("rb") as file:
        fcntl.flock(file, how)
        yield


def test_a_file_is_not_read_while_it_is_written_nor_written_while_it_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PATIENCE", 0.05)
    fill(store, 600)
    path = store.path("ve", 7)
    with held(path, fcntl.LOCK_EX):
        assert store.fetch("ve", 7, 300, now=NOW).times == ()
    with held(path, fcntl.LOCK_SH):
        assert len(store.fetch("ve", 7, 300, now=NOW).times) == 30
        assert not store.append("ve", 7, {"cpu": 1.0}, NOW + 10)
    assert store.append("ve", 7, {"cpu": 1.0}, NOW + 10)


def _read(folder: Path, enough: Event) -> None:
    while not enough.is_set():
        for seconds in (300, 3600, 86400):
            assert Store(folder).fetch("ve", 7, seconds, now=NOW).times


def test_reading_a_file_that_another_process_writes_harms_neither(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock librrd ends the reading process within a second or two."""
    monkeypatch.setattr(store_module, "PATIENCE", 30.0)
    fill(store, 600)
    fork = get_context("fork")
    enough = fork.Event()
    reader = fork.Process(target=_read, args=(tmp_path, enough))
    reader.start()
    for number in range(1, 5_000):
        assert store.append("ve", 7, {"cpu": 1.0}, NOW + 10 * number)
        if not reader.is_alive():
            break
    enough.set()
    reader.join()
    assert reader.exitcode == 0
