"""The engine with a real Redis, a real Celery worker and a real keeper, each a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection

from panel.celery import app
from panel.health.models import Beat
from tasks import messages
from tasks.models import Task, TaskStep
from tasks.services import enqueue
from tests import database

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
real_send = messages.send


class Cluster:
    """Starts processes that share a database, a Redis and a folder, and ends what it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.processes: list[subprocess.Popen[bytes]] = []

    def _start(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.tasks.sample.settings",
            "MOORING_VAR": str(self.folder),
            "MOORING_SECRET_KEY": "x" * 50,
            "MOORING_REDIS_URL": f"unix://{self.socket}",
            "DATABASE_URL": database.address(),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        return process

    def redis(self) -> subprocess.Popen[bytes]:
        process = self._start(
            "redis", "redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir",
            str(self.folder),
        )  # fmt: skip
        client = redis.Redis(unix_socket_path=str(self.socket))
        eventually(lambda: _answers(client), "Redis answers")
        client.close()
        return process

    def worker(self, name: str = "w") -> subprocess.Popen[bytes]:
        process = self._start(
            name, sys.executable, "-m", "celery", "-A", "panel", "worker", "-Q", "default", "-n", f"{name}@test",
            "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "WARNING",
        )  # fmt: skip
        Beat.objects.filter(name="worker.default").delete()
        eventually(Beat.objects.filter(name="worker.default").exists, "the worker beats")
        return process

    def keeper(self) -> subprocess.Popen[bytes]:
        return self._start("keeper", sys.executable, "manage.py", "keep")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9 of the process and its children."""
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    def close(self) -> None:
        for process in list(self.processes):
            self.kill(process)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def eventually(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Wait until the condition holds; its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(
        f"not within {seconds} s: {what}; {list(Task.objects.values('pk', 'state', 'attempt', 'reason'))}"
    )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    from tests.tasks.sample import jobs  # noqa: F401

    cluster = Cluster(tmp_path)
    monkeypatch.setattr(messages, "send", real_send)
    before = app.conf.broker_url
    _use_broker(f"redis+socket://{cluster.socket}")
    yield cluster
    cluster.close()
    _use_broker(before)


def _use_broker(url: str) -> None:
    """Point this process at another broker."""
    app.conf.broker_url = url
    if app._pool is not None:
        app._pool.force_close_all()
        app._pool = None
    app.amqp._producer_pool = None


def ended(task: Task, seconds: float = 120) -> Task:
    eventually(lambda: Task.objects.filter(pk=task.pk, finished_at__isnull=False).exists(), f"{task} ends", seconds)
    return Task.objects.get(pk=task.pk)


def work(folder: Path, seconds: float) -> Task:
    return enqueue("sample.work", params={"folder": str(folder), "seconds": seconds})


def begun(task: Task) -> None:
    eventually(lambda: TaskStep.objects.filter(task=task, progress=50).exists(), f"{task} works")


def freeze(worker: "subprocess.Popen[bytes]") -> None:
    """Stop it while it writes nothing: frozen in the middle of a write, it would hold SQLite's one lock."""
    for _ in range(50):
        os.killpg(worker.pid, signal.SIGSTOP)
        time.sleep(0.02)
        try:
            if connection.vendor == "sqlite":
                connection.cursor().execute("PRAGMA busy_timeout = 50")
            Beat.objects.filter(name="nobody").update(name="nobody")
            return
        except OperationalError:
            os.killpg(worker.pid, signal.SIGCONT)
            time.sleep(0.03)
        finally:
            connection.close()
    raise AssertionError("the worker never stopped writing")


def test_a_dead_redis_does_not_hold_the_request_up_and_the_task_runs_when_it_is_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time.monotonic()
    tasks = [enqueue("sample.quick", params={"number": number}) for number in range(3)]
    assert time.monotonic() - before < 10, "a request hangs on a Redis that is not there"
    assert set(Task.objects.values_list("sends", flat=True)) == {0}
    cluster.keeper()
    cluster.redis()
    cluster.worker()
    for task in tasks:
        assert ended(task).state == "completed"


def test_a_worker_killed_in_mid_task_is_replaced_and_what_the_engine_finished_is_completed(cluster: Cluster) -> None:
    cluster.redis()
    cluster.keeper()
    first = cluster.worker("first")
    task = work(cluster.folder, 60)
    begun(task)
    cluster.kill(first)
    cluster.worker("second")
    task = ended(task)
    assert (task.state, task.attempt) == ("completed", 2)
    assert task.worker.startswith("second@test")
    assert len((cluster.folder / "pids").read_text().split()) == 1, "it was executed once"


def test_a_worker_frozen_past_the_reaper_and_woken_writes_nothing(cluster: Cluster) -> None:
    cluster.redis()
    cluster.keeper()
    first = cluster.worker("first")
    task = work(cluster.folder, 10)
    begun(task)
    freeze(first)
    cluster.worker("second")
    task = ended(task)
    assert (task.state, task.attempt) == ("completed", 2)
    os.killpg(first.pid, signal.SIGCONT)
    eventually(lambda: "this attempt is over" in (cluster.folder / "first.log").read_text(), "it notices")
    assert Task.objects.get(pk=task.pk).rev == task.rev
    assert TaskStep.objects.filter(task=task).count() == 2


def test_after_an_outage_of_redis_the_worker_is_soon_back_and_nothing_is_lost_or_doubled(cluster: Cluster) -> None:
    broker = cluster.redis()
    cluster.keeper()
    worker = cluster.worker()
    running = work(cluster.folder, 1)
    queued = [enqueue("sample.quick", params={"number": number}) for number in range(20)]
    cluster.kill(broker)
    queued += [enqueue("sample.quick", params={"number": number}) for number in range(20, 30)]
    time.sleep(12)
    cluster.redis()
    for task in [running, *queued]:
        task = ended(task)
        assert (task.state, task.attempt) == ("completed", 1)
    assert worker.poll() is None
    # Whether it is soon back shows in what it waits between two tries: Celery's own pauses grow.
    assert set(re.findall(r"Trying again in ([\d.]+) second", (cluster.folder / "w.log").read_text())) == {"1.00"}


def test_a_running_task_does_not_notice_that_redis_is_gone(cluster: Cluster) -> None:
    broker = cluster.redis()
    cluster.worker()
    task = work(cluster.folder, 3)
    begun(task)
    cluster.kill(broker)
    assert ended(task).state == "completed"


def test_the_workers_main_process_has_no_libvirt_when_it_forks(cluster: Cluster) -> None:
    cluster.redis()
    cluster.worker()
    task = ended(enqueue("sample.imports"))
    assert [line.text for line in task.lines.all()] == ["0"]
