"""How changes of iSCSI reach open pages."""

from collections.abc import Sequence

from django.db import models, transaction

from iscsi.models import IscsiRevision
from panel.live.poke import poke


def announce() -> None:
    """Have the browsers read what changed; call it in or after the transaction that took an IscsiRevision."""
    rev = IscsiRevision.current()
    transaction.on_commit(lambda: poke("iscsi", rev), robust=True)


def save(row: models.Model, **columns: object) -> None:
    """Write columns of a row that has a `rev` under a new revision; a row that is new is inserted whole."""
    with transaction.atomic():
        fields: Sequence[str] | None = [*columns, "rev"] if row.pk else None
        for name, value in {**columns, "rev": IscsiRevision.bump()}.items():
            setattr(row, name, value)
        row.save(update_fields=fields)
        announce()


def delete(row: models.Model) -> None:
    """Delete a row, and have open pages read that."""
    with transaction.atomic():
        IscsiRevision.bump()
        row.delete()
        announce()
