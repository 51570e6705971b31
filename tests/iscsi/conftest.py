"""Fixtures for iSCSI."""

from collections.abc import Iterator
from typing import Any

import pytest

from panel.trust import encryption
from tests.iscsi.world import World
from tests.iscsi.world import world as made_world


@pytest.fixture
def world(db: None, sent: list[tuple[int, str]], tmp_path: Any, settings: Any) -> Iterator[World]:
    settings.KEYS_DIR = tmp_path
    encryption.ensure_key()
    with made_world() as made:
        yield made
