"""Requests that really come at the same time, each in a thread with a connection of its own."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from infrastructure.services.errors import InvalidInput
from iscsi.models import Lun, Target
from storage.models import Datastore
from tasks.models import Task
from tests.iscsi.world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def committed(transactional_db: None, world: World) -> World:
    return world


def at_once(*asks: Callable[[], Any]) -> list[object]:
    """What each returned or raised; all begin together."""
    start = threading.Barrier(len(asks))
    found: list[object] = [None] * len(asks)

    def work(index: int, ask: Callable[[], Any]) -> None:
        start.wait(30)
        try:
            found[index] = ask()
        except Exception as error:
            found[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=each) for each in enumerate(asks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return found


def test_two_administrators_add_lun_1(committed: World) -> None:
    target = committed.target()
    found = at_once(*(lambda size=size: committed.ask_lun(target, size_gib=size) for size in (1, 2)))
    refused = [each for each in found if isinstance(each, InvalidInput)]
    assert len(refused) == 1 and refused[0].field == "number", found
    assert (Lun.objects.count(), Datastore.objects.count()) == (1, 1)


def test_ten_luns_of_a_new_policy_have_one_row_for_their_pools(committed: World) -> None:
    target = committed.target()
    found = at_once(*(lambda number=number: committed.ask_lun(target, number) for number in range(1, 11)))
    assert not [each for each in found if isinstance(each, Exception)], found
    assert (Lun.objects.count(), Datastore.objects.count()) == (10, 1)
    assert Task.objects.filter(kind="iscsi.lun.add", state="queued").count() == 1


def test_two_targets_get_two_numbers_and_one_address_is_given_once(committed: World) -> None:
    found = at_once(*(lambda name=name: committed.ask_target(name) for name in ("one", "two")))
    refused = [each for each in found if isinstance(each, InvalidInput)]
    # Both ask for the first address that is free; a second request finds the next one when it is later.
    assert len(refused) in (0, 1), found
    numbers = list(Target.objects.values_list("number", flat=True))
    assert len(set(numbers)) == len(numbers) == 2 - len(refused)
