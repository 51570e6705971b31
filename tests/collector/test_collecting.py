"""The collector's main loop and its command."""

import threading

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError

from collector.management.commands.collect import parse_shard
from collector.runner import Runner
from panel.health.models import Beat
from tests.collector.engine import Clock


class Recording:
    """A source that counts, and fails when told."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.ticks = 0
        self.calls: list[str] = []
        self.ticked = threading.Event()

    def start(self) -> None:
        self.calls.append("start")

    def tick(self) -> None:
        self.ticks += 1
        self.ticked.set()
        if self.error:
            raise self.error

    def stop(self) -> None:
        self.calls.append("stop")

    def status(self) -> dict[str, int]:
        return {self.name: self.ticks}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError("database is locked"), RuntimeError("a bug")])
def test_a_source_that_fails_stops_neither_others_nor_the_beat(error: Exception) -> None:
    broken, sound = Recording("broken", error), Recording("sound")
    runner = Runner([broken, sound], clock=Clock())
    runner.tick()
    runner.tick()
    assert (broken.ticks, sound.ticks) == (2, 2)
    assert Beat.objects.get(name="collector").detail == {"broken": 1, "sound": 1}


@pytest.mark.django_db
def test_it_beats_every_five_seconds() -> None:
    clock, source = Clock(), Recording("nodes")
    runner = Runner([source], "collector.2/4", clock=clock)
    beats = []
    for _second in range(11):
        runner.tick()
        beats.append(Beat.objects.get(name="collector.2/4").detail["nodes"])
        clock.now += 1
    assert beats == [1, 1, 1, 1, 1, 6, 6, 6, 6, 6, 11]


@pytest.mark.django_db(transaction=True)
def test_a_stop_ends_the_sources() -> None:
    source = Recording("nodes")
    runner = Runner([source])
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert source.ticked.wait(30)
    runner.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert source.calls == ["start", "stop"]


def test_a_shard_is_given_as_one_of_so_many() -> None:
    shard = parse_shard("2/4")
    assert (shard.index, shard.count, str(shard)) == (2, 4, "2/4")
    for wrong in ("0/4", "5/4", "x", "1", "1/0", "-1/2"):
        with pytest.raises(CommandError, match="N/OF"):
            parse_shard(wrong)
