"""A revision: one counter that every change of an app's pages bumps."""

from typing import Self

from django.db import models
from django.db.models import F


class Revision(models.Model):
    """One row. A browser that knows revision r re-reads what carries a higher one."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _rows(cls) -> models.Manager[Self]:
        return cls._default_manager

    @classmethod
    def bump(cls) -> int:
        """Take the next revision; call it inside the transaction that writes the change."""
        while not cls._rows().filter(pk=1).update(value=F("value") + 1):
            cls._rows().get_or_create(pk=1)
        return cls._rows().values_list("value", flat=True).get(pk=1)

    @classmethod
    def current(cls) -> int:
        return cls._rows().filter(pk=1).values_list("value", flat=True).first() or 0
