"""A call that hangs must hang nobody but itself."""

import os
import threading

import pytest

from infrastructure.drivers.base import remaining, within
from infrastructure.drivers.deadlines import Overrun, Workers
from tests.waiting import eventually


def test_it_returns_the_result_and_raises_the_exception() -> None:
    workers = Workers("test")
    assert workers.call(lambda: 41 + 1, 5) == 42
    with pytest.raises(ZeroDivisionError):
        workers.call(lambda: 1 // 0, 5)


def test_a_call_that_hangs_is_left_behind() -> None:
    workers, gate = Workers("test"), threading.Event()
    with pytest.raises(Overrun):
        workers.call(gate.wait, 0.05)
    assert workers.call(lambda: "next", 5) == "next"
    gate.set()


def test_a_job_can_be_waited_for_again() -> None:
    workers, gate = Workers("test"), threading.Event()
    job = workers.submit(lambda: gate.wait(5))
    with pytest.raises(Overrun):
        job.wait(0.01)
    gate.set()
    assert job.wait(5) is True


def test_threads_are_used_again() -> None:
    workers = Workers("again")
    for _ in range(50):
        workers.call(lambda: None, 5)
        eventually(lambda: workers._free)
    assert sum(thread.name.startswith("again-") for thread in threading.enumerate()) == 1


def test_many_callers_all_get_their_own_answer() -> None:
    workers = Workers("many")
    answers: list[int] = []
    callers = [threading.Thread(target=lambda n=n: answers.append(workers.call(lambda: n, 5))) for n in range(100)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(answers) == list(range(100))


def test_a_forked_process_has_threads_of_its_own() -> None:
    workers = Workers("fork")
    workers.call(lambda: None, 5)
    child = os.fork()
    if child == 0:
        os._exit(0 if workers.call(lambda: 7, 5) == 7 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_within_limits_what_a_call_may_take() -> None:
    assert remaining(20.0) == 20.0
    with within(3):
        assert remaining(20.0) == 3
        assert remaining() == 3
        assert remaining(1.0) == 1.0
