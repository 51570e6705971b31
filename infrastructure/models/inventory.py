"""The inventory's revision: one counter that every change of a node, VE or placement bumps."""

from django.db import models

from panel.live.revision import Revision


class InventoryRevision(Revision):
    """The inventory's revision."""


class Removal(models.Model):
    """A node or VE that left the inventory, so that open pages drop it; kept for a week."""

    kind = models.CharField(max_length=4, help_text='"node" or "ve"')
    object_id = models.PositiveBigIntegerField()
    rev = models.PositiveBigIntegerField(db_index=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.kind}:{self.object_id}"
