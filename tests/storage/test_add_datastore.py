"""`bin/manage add_datastore`, which asks what the form asks."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from panel.accounts.models import User
from storage.models import Cluster, Datastore
from tasks.models import Task
from tests.infrastructure.fake_nodes import run
from tests.storage.fake_clusters import Driven, driven

ASKED: dict[str, Any] = {"name": "fast", "tier": 2, "mode": "r2", "domain": "host", "user": "administrator"}


@pytest.fixture
def storage(administrator: User, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as found:
        yield found


def test_it_adds_a_datastore_for_disks_of_vms_and_leaves_one_of_that_name_alone(
    storage: Driven, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("add_datastore", **ASKED)
    assert run(Task.objects.get()).state == "completed"
    made = Datastore.objects.get()
    assert (made.use, made.state, made.pool) == ("vm", "ready", "mooring-vm.t2.r2.host.fast")

    call_command("add_datastore", **ASKED | {"tier": 1})

    assert "fast is there already: Tier 2, 2 replicas over hosts." in capsys.readouterr().out
    assert Task.objects.count() == 1


def test_it_tells_what_the_form_would_refuse(storage: Driven) -> None:
    with pytest.raises(CommandError, match="2 Fast"):
        call_command("add_datastore", **ASKED | {"name": "2 Fast"})
    with pytest.raises(CommandError, match="needs 7 hosts with disks of tier 2"):
        call_command("add_datastore", **ASKED | {"mode": "ec5-2"})
    assert not Task.objects.exists()


def test_without_a_cluster_it_says_which_command_comes_first(storage: Driven) -> None:
    Cluster.objects.update(connected_at=None)
    with pytest.raises(CommandError, match="add_cluster"):
        call_command("add_datastore", **ASKED)
