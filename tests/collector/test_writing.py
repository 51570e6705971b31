"""The thread that writes what the observers tell."""

import threading
from collections.abc import Collection

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from infrastructure.choices import VEState
from infrastructure.drivers.facts import VEFacts
from infrastructure.drivers.facts import VEState as DriverState
from infrastructure.models import VE, InventoryRevision, Node
from infrastructure.observe import writer as writer_module
from infrastructure.observe.messages import Failed, Left, Listed, Seen
from infrastructure.observe.writer import Feedback, Writer
from infrastructure.services.inventory_samples import NodeReading, VEReading
from tests.infrastructure.inventory_facts import make_node, node_facts, uuid_of, ve_facts


class Heard:
    """The feedback, kept."""

    def __init__(self) -> None:
        self.ids: dict[int, dict[str, int]] = {}
        self.wanted: list[tuple[int, str]] = []
        self.unknown: list[int] = []

    def want(self, node_id: int, uuids: Collection[str]) -> None:
        self.wanted += [(node_id, uuid) for uuid in uuids]

    def feedback(self) -> Feedback:
        return Feedback(self.ids.__setitem__, self.want, self.unknown.append)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def writer(heard: Heard) -> Writer:
    return Writer(heard.feedback())


def listed(node: Node, *ves: VEFacts) -> Listed:
    return Listed(node.pk, node_facts(node), ves, timezone.now())


@pytest.mark.django_db
def test_what_came_in_together_takes_one_revision(writer: Writer) -> None:
    primary, second = make_node("primary"), make_node("secondnode1")
    writer.write([listed(primary, ve_facts("vmtest")), listed(second, ve_facts("ct2"))])
    assert InventoryRevision.current() == 1
    # The switch of a migration, heard in one go.
    at = timezone.now()
    writer.write([Left(primary.pk, uuid_of("vmtest"), at), Seen(second.pk, ve_facts("vmtest"), at)])
    assert InventoryRevision.current() == 2
    assert VE.objects.get(name="vmtest").node == second


@pytest.mark.django_db
def test_many_observations_cost_few_statements(writer: Writer) -> None:
    def told(state: DriverState) -> list[Listed | Seen]:
        whole = [listed(node, ve_facts(f"on {node.name}", state=state)) for node in nodes[:12]]
        return [
            *whole,
            *(Seen(node.pk, ve_facts(f"on {node.name}", state=state), timezone.now()) for node in nodes[12:]),
        ]

    nodes = [make_node(f"node{number}") for number in range(24)]
    writer.write(told(DriverState.RUNNING))
    with CaptureQueriesContext(connection) as caught:
        writer.write(told(DriverState.STOPPED))
    assert VE.objects.filter(state=VEState.STOPPED).count() == 24
    assert len(caught) <= 12  # PostgreSQL takes a lock besides


@pytest.mark.django_db
def test_a_large_backlog_is_written_in_several_transactions(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "VES_AT_ONCE", 3)
    nodes = [make_node(f"node{number}") for number in range(4)]
    told = [listed(node, *(ve_facts(f"{node.name} {place}") for place in range(2))) for node in nodes]
    told[3] = listed(nodes[3], *(ve_facts(f"more than fit {place}") for place in range(5)))
    writer.write(told)
    assert InventoryRevision.current() == 4
    assert VE.objects.count() == 11


@pytest.mark.django_db
def test_an_observation_that_cannot_be_written_does_not_keep_others_from_it(writer: Writer) -> None:
    primary = make_node("primary")
    broken = Seen(primary.pk, ve_facts("broken", uuid="not a uuid"), timezone.now())
    writer.write([listed(primary), broken, Seen(primary.pk, ve_facts("vmtest"), timezone.now())])
    assert [ve.name for ve in VE.objects.all()] == ["vmtest"]


@pytest.mark.django_db
def test_the_observers_hear_what_the_rows_lack(writer: Writer, heard: Heard) -> None:
    primary, new = make_node("primary"), make_node("new")
    writer.write([listed(primary, ve_facts("vmtest"))])
    strangers = (VEReading(uuid_of("vmtest"), VEState.RUNNING), VEReading(uuid_of("stranger"), VEState.RUNNING))
    writer.write(
        [
            NodeReading(primary.pk, timezone.now(), 1.0, 1, strangers),
            NodeReading(new.pk, timezone.now(), 1.0, 1, ()),
        ]
    )
    assert heard.wanted == [(primary.pk, uuid_of("stranger"))]
    assert heard.unknown == [new.pk]
    assert heard.ids[primary.pk] == {uuid_of("vmtest"): VE.objects.get().pk}


def test_the_newest_of_a_kind_waits_in_its_order(writer: Writer) -> None:
    at = timezone.now()
    for state in ("running", "stopped", "running"):
        writer.put(Seen(1, ve_facts("vmtest", state), at))
        writer.put(Seen(1, ve_facts("vm2", state), at))
    writer.put(Left(1, uuid_of("vmtest"), at))
    assert [type(message).__name__ for message in writer._take()] == ["Seen", "Left"]
    writer.put(Failed(1, "no answer", False))
    writer.put(Listed(1, node_facts("primary"), (), at))
    assert [type(message).__name__ for message in writer._take()] == ["Listed"]


@pytest.mark.django_db(transaction=True)
def test_observations_outlive_a_database_that_is_away(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    primary = make_node("primary")
    failed, away = threading.Event(), threading.Event()
    really = writer.write

    def write(messages: list[Listed]) -> None:
        if not away.is_set():
            failed.set()
            raise OperationalError("database is locked")
        really(messages)

    monkeypatch.setattr(writer, "write", write)
    monkeypatch.setattr(writer_module, "PAUSE_SECONDS", (0.01, 0.01))
    writer.start()
    writer.put(listed(primary, ve_facts("vmtest", "stopped")))
    assert failed.wait(30)
    writer.put(Seen(primary.pk, ve_facts("vmtest", "running"), timezone.now()))
    away.set()
    writer.stop(60)
    assert VE.objects.get().state == VEState.RUNNING


@pytest.mark.django_db(transaction=True)
def test_a_writer_that_is_stopped_writes_what_is_waiting(writer: Writer) -> None:
    primary = make_node("primary")
    writer.start()
    writer.put(listed(primary, ve_facts("vmtest")))
    writer.stop(60)
    assert not writer.is_alive()
    assert VE.objects.count() == 1
