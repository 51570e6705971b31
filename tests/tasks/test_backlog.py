"""The open tasks by state, which the history of the health page draws."""

import pytest

from tasks.backlog import backlog
from tests.tasks.helpers import copy

pytestmark = pytest.mark.django_db(transaction=True)


def test_open_tasks_are_counted_by_state() -> None:
    for number in range(3):
        copy(number)
    assert backlog() == {"running": 0.0, "queued": 2.0, "waiting": 1.0}
