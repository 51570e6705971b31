"""A VE that no node has any more is dropped when somebody says so, and only then."""

import uuid
from typing import Any

import pytest

from infrastructure.models import VE, Node, Removal
from panel.audit.models import AuditRecord


@pytest.fixture
def missing(db: None) -> VE:
    node = Node.objects.create(name="primary", address="192.0.2.1", state="online")
    return VE.objects.create(uuid=uuid.uuid4(), name="gone", kind="vm", node=node, state="missing")


def test_a_missing_ve_is_forgotten_and_open_pages_are_told(missing: VE, operator: Any, client_of: Any) -> None:
    response = client_of(operator).post(f"/infrastructure/ves/{missing.pk}/forget/")

    assert response.status_code == 302
    assert not VE.objects.exists()
    assert Removal.objects.get().object_id == missing.pk
    assert AuditRecord.objects.filter(action="ve.forget", result="ok").count() == 1


def test_a_ve_that_a_node_has_is_not_forgotten(missing: VE, operator: Any, client_of: Any) -> None:
    VE.objects.update(state="stopped")

    response = client_of(operator).post(f"/infrastructure/ves/{missing.pk}/forget/", headers={"hx-request": "true"})

    assert response.status_code == 409
    assert VE.objects.count() == 1


def test_a_viewer_cannot_forget(missing: VE, viewer: Any, client_of: Any) -> None:
    assert client_of(viewer).post(f"/infrastructure/ves/{missing.pk}/forget/").status_code == 403
    assert VE.objects.count() == 1
