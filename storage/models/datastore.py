"""Datastores: named places with one storage policy."""

from django.db import models

from storage.choices import DatastoreState, Use
from storage.models.cluster import Cluster


class Datastore(models.Model):
    """A named place for VEs, backups, images; `use`, `tier`, `mode` and `domain` are its policy, fixed at creation."""

    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="datastores")
    name = models.CharField(max_length=40, unique=True)
    use = models.CharField(max_length=8, choices=Use.choices, default=Use.VM)
    tier = models.PositiveSmallIntegerField()
    mode = models.CharField(max_length=10, help_text='key of a mode of storage/redundancy.py: "r2", "ec5-2"')
    domain = models.CharField(max_length=8, help_text='failure domain, a CRUSH type: "osd", "host", "rack", …')
    state = models.CharField(max_length=10, choices=DatastoreState.choices, default=DatastoreState.CREATING)
    pool = models.CharField(
        max_length=120, blank=True, help_text="what users of it name: for coded ones the metadata's"
    )
    data_pool = models.CharField(max_length=120, blank=True, help_text="where coded data lies; else the same as pool")
    created_at = models.DateTimeField(auto_now_add=True)
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def scopes(self) -> set[tuple[str, int]]:
        """The storage lies in no part of the tree."""
        return set()
