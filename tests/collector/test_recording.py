"""From samples to the series."""

import time
from pathlib import Path
from typing import Any

import pytest

from infrastructure.observe.recorder import Recorder
from infrastructure.observe.sampler import Recording
from panel import series


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.RRD_DIR = tmp_path
    return tmp_path


def recording(at: float) -> Recording:
    nothing: dict[str, float | None] = dict.fromkeys(series.COLUMNS["ve"])
    return Recording(
        3, at, nothing | {"cpu": 20.0}, {"a": nothing | {"cpu": 5.0}, "b": nothing, "c": nothing | {"cpu": 1.0}}
    )


def test_ves_are_recorded_under_their_keys_when_they_execute() -> None:
    recorder = Recorder()
    recorder.learn({"a": 7, "b": 8})
    samples = recorder.samples(recording(1000.0))
    assert [(sample.kind, sample.id) for sample in samples] == [("node", 3), ("ve", 7)]


def test_what_was_put_is_fetched(folder: Path) -> None:
    recorder = Recorder()
    recorder.learn({"a": 7})
    recorder.start()
    now = int(time.time())
    for at in range(now - 60, now + 1, 10):
        recorder.put(recording(at))
    recorder.stop(60)
    assert not recorder.is_alive()
    assert series.fetch("node", 3, 60).latest("cpu") == pytest.approx(20.0)
    assert series.fetch("ve", 7, 60).latest("cpu") == pytest.approx(5.0)
    assert len(list(folder.rglob("*.rrd"))) == 2
