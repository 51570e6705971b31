"""The About page: versions and licences that are those of what is installed."""

import platform
import sqlite3
from importlib import metadata
from pathlib import Path
from typing import Any

import django
import pytest
from django.db import connection

from panel import __version__
from panel.about import facts, licences
from panel.accounts.models import User
from panel.trust import ca

pytestmark = pytest.mark.django_db


def test_it_tells_the_versions_that_run(viewer: User, client_of: Any) -> None:
    html = client_of(viewer).get("/setup/about/").content.decode()

    for version in (__version__, django.get_version(), platform.python_version(), metadata.version("libvirt-python")):
        assert f">{version}<" in html
    if connection.vendor == "sqlite":
        assert sqlite3.sqlite_version in html


def test_a_redis_that_is_down_is_said_and_the_page_comes_all_the_same(
    viewer: User, client_of: Any, settings: Any, tmp_path: Path
) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/none.sock"

    html = client_of(viewer).get("/setup/about/").content.decode()

    assert "<dt>Redis</dt><dd>Does not answer</dd>" in html


def test_commit_and_certificates_are_read_where_bin_up_left_them(settings: Any, tmp_path: Path) -> None:
    settings.RUN_DIR = settings.KEYS_DIR = tmp_path
    assert facts.panel().commit == ""
    assert facts.panel().web_certificate_until is None
    (tmp_path / "build").write_text(f"{'a1' * 20}-0123456789ab\n")
    ca.ensure_web_certificate(["localhost"])

    panel = facts.panel()

    assert panel.commit == "a1" * 6
    assert panel.web_certificate_until == ca.expiry((tmp_path / "web.crt").read_bytes())
    assert panel.authority_until is not None


def test_licences_are_those_that_the_packages_state() -> None:
    parts = {part.name.lower(): part for part in licences.python_parts()}

    assert parts["django"].licence == "BSD-3-Clause"
    assert parts["django"].version == django.get_version()
    # What the direct ones need is there too, tools of the tests are not.
    assert "sqlparse" in parts
    assert "pytest" not in parts
    assert all(part.licence for part in parts.values())


def test_it_says_nothing_secret(viewer: User, client_of: Any, settings: Any) -> None:
    html = client_of(viewer).get("/setup/about/").content.decode()

    assert settings.SECRET_KEY not in html
    assert str(settings.KEYS_DIR) not in html
