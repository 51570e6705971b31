"""What the panel stands on: room on its disk and days of its certificates, each with a figure and what to do."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.models import Node
from panel.health import checks, machine
from panel.health.machine import GIB, MIB, Room
from panel.trust import ca

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("total", "free", "entries", "state"),
    [
        (100 * GIB, 50 * GIB, 1.0, "ok"),
        (100 * GIB, 9 * GIB, 1.0, "warn"),
        (100 * GIB, 2 * GIB, 1.0, "crit"),
        (4000 * GIB, 100 * GIB, 1.0, "ok"),
        (10 * GIB, 2 * GIB - 1, 1.0, "warn"),
        (1 * GIB, 511 * MIB, 1.0, "crit"),
        (100 * GIB, 50 * GIB, 0.01, "warn"),
        (0, 0, 1.0, "crit"),
    ],
)
def test_the_disk_is_short_by_share_and_by_size(
    total: int, free: int, entries: float, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "room", lambda: Room(total, free, entries))
    part = machine.disk()
    assert part.state == state
    if state != "ok":
        assert "no task starts" in part.cause and "VEs run on" in part.cause
        assert "Free space there" in part.advice


def test_the_figure_is_that_of_the_file_system(settings: Any, tmp_path: Path) -> None:
    settings.VAR = tmp_path
    seen = machine.room()
    assert 0 < seen.free < seen.total
    assert "free of" in machine.disk().text


def test_a_folder_that_cannot_be_asked_is_unknown(settings: Any, tmp_path: Path) -> None:
    settings.VAR = tmp_path / "absent"
    assert machine.disk().state == "unknown"


@pytest.fixture
def keys(settings: Any, tmp_path: Path) -> Path:
    settings.KEYS_DIR = tmp_path
    settings.PKI_DIR = tmp_path / "pki"
    ca.ensure_panel_certificate()
    return tmp_path


@pytest.mark.parametrize(("days", "state"), [(400, "ok"), (20, "warn"), (2, "crit")])
def test_the_certificate_that_ends_first_counts(
    days: int, state: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ca, "WEB_DAYS", days)
    ca.ensure_web_certificate([])
    part = machine.certificate_part()
    assert part.state == state
    if state != "ok":
        assert part.cause.startswith("Web server: valid until")
        assert part.advice == "Renewed: By bin/up."


def test_no_certificate_at_all_is_unknown(settings: Any, tmp_path: Path) -> None:
    settings.KEYS_DIR = settings.PKI_DIR = tmp_path
    assert machine.certificate_part().state == "unknown"


@pytest.mark.parametrize(("days", "state"), [(400, "ok"), (20, "warn"), (1, "crit")])
def test_the_nodes_certificates_are_a_part_of_their_own(days: int, state: str) -> None:
    until = timezone.now() + dt.timedelta(days=days, hours=1)
    Node.objects.create(name="late", address="a", state="online", certificate_expires_at=until + dt.timedelta(days=500))
    Node.objects.create(name="primary", address="b", state="unreachable", certificate_expires_at=until)
    part = next(part for part in machine.full_report().parts if part.name == "node-certificates")
    assert part.state == state
    if state != "ok":
        assert part.cause.startswith("primary: valid until")


def test_monitoring_is_told_none_of_it(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "redis", lambda: checks.Part("redis", "Redis", "ok", "Answers"))
    monkeypatch.setattr(machine, "room", lambda: Room(100 * GIB, 1, 1.0))
    assert set(client_class().get("/healthz").json()["parts"]) == {"database", "redis", *checks.PROCESSES}


def test_the_page_says_that_the_disk_is_nearly_full(
    viewer: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "room", lambda: Room(100 * GIB, 2 * GIB, 1.0))
    html = client_of(viewer).get("/health/").content.decode()
    row = html.split('id="part-disk"')[1].split("</tr>")[0]
    assert "2 GiB free of 100 GiB" in row
    assert "Only 2.0% of the file system" in row
    assert 'data-state="crit"' in row


def test_the_figures_are_those_of_this_panel(settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/absent.sock"
    settings.VAR = tmp_path
    found = machine.figures()
    assert found["database"] > 4096
    assert found["disk_free"] > 0
    assert "redis" not in found
