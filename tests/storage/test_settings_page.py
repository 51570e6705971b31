"""The settings page: it shows what was observed, starts a task, and says why a value cannot be."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from panel.accounts.models import User
from storage.drivers.facts import Ratios
from storage.models import Cluster
from storage.services import observed
from tasks.models import Task
from tests.storage.fake_clusters import Driven, driven

PATH = "/storage/settings/"
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def made(transactional_db: None, sent: list[tuple[int, str]]) -> Iterator[Driven]:
    with driven() as made:
        yield made


def page(client: Any) -> str:
    return str(client.get(PATH).content.decode()).split("<main")[1]


def test_it_shows_what_is_set(made: Driven, client_of: Any, administrator: User) -> None:
    made.fake.ratios = Ratios(0.7, 0.8, 0.9)
    made.observe()
    html = page(client_of(administrator))

    assert 'value="balanced" checked' in html
    assert 'name="near_full" value="70"' in html and 'name="full" value="90"' in html


def test_other_values_are_shown_as_custom_with_no_choice_made(
    made: Driven, client_of: Any, administrator: User
) -> None:
    made.fake.options = {"osd_max_backfills": "7"}
    made.observe()
    html = page(client_of(administrator))

    assert ">Custom<" in html and "<code>osd_max_backfills</code> 7" in html
    assert "checked" not in html.split('id="storage-recovery"')[1].split("</section>")[0]


def test_recovery_that_is_not_known_is_not_guessed(made: Driven, client_of: Any, administrator: User) -> None:
    observed.record(made.row, replace(made.fake.look(), recovery=None))
    html = page(client_of(administrator))
    assert "Not known" in html and 'value="balanced" checked' not in html


def test_each_form_starts_its_task(made: Driven, client_of: Any, administrator: User) -> None:
    client = client_of(administrator)
    assert client.post(f"{PATH}recovery/", {"priority": "low"}, **HTMX).status_code == 204
    assert Task.objects.get().kind == "storage.settings.recovery"

    Task.objects.all().delete()
    values = {"near_full": "70", "backfill_full": "80", "full": "90"}
    assert client.post(f"{PATH}marks/", values, **HTMX).status_code == 204
    assert Task.objects.get().params["near_full"] == 70


def test_a_value_that_cannot_be_is_said_under_its_field(made: Driven, client_of: Any, administrator: User) -> None:
    values = {"near_full": "92", "backfill_full": "90", "full": "95"}
    answer = client_of(administrator).post(f"{PATH}marks/", values, **HTMX, HTTP_HX_TARGET="storage-marks")

    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Near-full at 92% must lie below backfill-full at 90%" in html and "<html" not in html
    assert 'value="92"' in html, "what was entered is kept"


def test_no_priority_is_refused(made: Driven, client_of: Any, administrator: User) -> None:
    answer = client_of(administrator).post(f"{PATH}recovery/", {}, **HTMX, HTTP_HX_TARGET="storage-recovery")
    assert answer.status_code == 422 and "Choose a priority." in answer.content.decode()


def test_a_viewer_sees_and_changes_nothing(made: Driven, client_of: Any, viewer: User) -> None:
    client = client_of(viewer)
    assert "Your role does not allow this" in page(client)
    assert client.post(f"{PATH}recovery/", {"priority": "low"}).status_code == 403
    assert client.post(f"{PATH}marks/", {}).status_code == 403


def test_a_silent_cluster_is_not_changed(made: Driven, client_of: Any, administrator: User) -> None:
    Cluster.objects.update(observed_at=timezone.now() - timedelta(minutes=5))
    client = client_of(administrator)
    assert "does not answer" in page(client)
    assert client.post(f"{PATH}recovery/", {"priority": "low"}, **HTMX).status_code == 409


def test_without_a_cluster_it_offers_to_connect_one(client_of: Any, administrator: User) -> None:
    assert "No storage cluster is connected" in page(client_of(administrator))
