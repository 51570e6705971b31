"""The inventory's revision: one counter that every change of a node, VE or placement bumps."""

from django.db import models
from django.db.models import F


class InventoryRevision(models.Model):
    """One row. A browser that knows revision r re-reads what carries a higher one."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def bump(cls) -> int:
        """Take the next revision; call it inside the transaction that writes the change."""
        while not cls.objects.filter(pk=1).update(value=F("value") + 1):
            cls.objects.get_or_create(pk=1)
        return cls.objects.values_list("value", flat=True).get(pk=1)

    @classmethod
    def current(cls) -> int:
        return cls.objects.filter(pk=1).values_list("value", flat=True).first() or 0


class Removal(models.Model):
    """A node or VE that left the inventory, so that open pages drop it; kept for a week."""

    kind = models.CharField(max_length=4, help_text='"node" or "ve"')
    object_id = models.PositiveBigIntegerField()
    rev = models.PositiveBigIntegerField(db_index=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.kind}:{self.object_id}"
