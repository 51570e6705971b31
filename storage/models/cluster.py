"""The storage cluster, and its disks."""

from django.db import models

from infrastructure.models import Node
from panel.live.revision import Revision
from storage.choices import ClusterState
from storage.drivers.facts import tier_of


class StorageRevision(Revision):
    """The storage's revision: every change that a page shows bumps it."""


class Cluster(models.Model):
    """One Ceph cluster, identified by its fsid."""

    name = models.CharField(max_length=63, unique=True)
    fsid = models.UUIDField(null=True, unique=True, help_text="known once connected")
    through = models.ForeignKey(
        Node, null=True, on_delete=models.SET_NULL, related_name="+", help_text="the node it was connected through"
    )
    monitors = models.JSONField(default=list, help_text='["10.0.0.11:3300", …]')
    user = models.CharField(max_length=63, default="mooring", help_text='cephx user without "client."')
    key = models.TextField(blank=True, help_text="encrypted")
    node_user = models.CharField(max_length=63, default="mooring-vm", help_text="as whom nodes open disks of VMs")
    node_key = models.TextField(blank=True, help_text="encrypted")
    files_user = models.CharField(max_length=63, default="mooring-files", help_text="as whom nodes mount directories")
    files_key = models.TextField(blank=True, help_text="encrypted")
    iscsi_user = models.CharField(max_length=63, default="mooring-iscsi", help_text="as whom target servers open LUNs")
    iscsi_key = models.TextField(blank=True, help_text="encrypted")
    added_at = models.DateTimeField(auto_now_add=True)
    connected_at = models.DateTimeField(null=True)

    # Observed: what Ceph said, and when. The columns of facts hold what storage/services/observed.py packs into them.
    state = models.CharField(max_length=12, choices=ClusterState.choices, default=ClusterState.NEW)
    state_reason = models.TextField(blank=True)
    observed_at = models.DateTimeField(null=True)
    unreachable_since = models.DateTimeField(null=True)
    facts_format = models.PositiveSmallIntegerField(default=0)
    status = models.JSONField(default=dict, help_text="health, services, chunks, flow, space")
    buckets = models.JSONField(default=list, help_text="the CRUSH map without disks")
    pools = models.JSONField(default=list)
    events = models.JSONField(null=True, help_text="the last lines of its log; null: the panel may not read them")
    heal_began = models.PositiveBigIntegerField(
        default=0, help_text="the most copies that were missing or misplaced since all were where they belong"
    )
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def scopes(self) -> set[tuple[str, int]]:
        """The storage lies in no part of the tree."""
        return set()


class Disk(models.Model):
    """A chunk service (CS) and its disk, as observed."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="disks")
    number = models.PositiveIntegerField(help_text="the id of the OSD")
    uuid = models.UUIDField(null=True)
    host = models.CharField(max_length=63, blank=True, help_text="CRUSH host")
    device_class = models.CharField(max_length=63, blank=True)
    device = models.CharField(max_length=63, blank=True)
    rotational = models.BooleanField(null=True)
    address = models.CharField(max_length=100, blank=True)
    version = models.CharField(max_length=20, blank=True)
    up = models.BooleanField(default=False)
    taken = models.BooleanField(default=False, help_text='"in": data is placed on it')
    new = models.BooleanField(default=False, help_text="made, and never taken in yet")
    crush_weight = models.FloatField(default=0)
    reweight = models.FloatField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    used = models.PositiveBigIntegerField(default=0)
    fill = models.FloatField(null=True, help_text="used in percent of the size")
    groups = models.PositiveIntegerField(default=0)
    latency = models.FloatField(null=True, help_text="of a commit, ms")
    down_since = models.DateTimeField(null=True, help_text="when the panel first saw it down")
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    class Meta:
        ordering = ["host", "number"]
        constraints = [models.UniqueConstraint(fields=["cluster", "number"], name="disk_number_once_a_cluster")]

    def __str__(self) -> str:
        return f"CS{self.number}"

    @property
    def tier(self) -> int | None:
        return tier_of(self.device_class)

    @property
    def starting(self) -> bool:
        """Whether it is being added and has not run yet."""
        return self.new and not self.up

    def scopes(self) -> set[tuple[str, int]]:
        """The storage lies in no part of the tree."""
        return set()
