"""LUNs: virtual disks that targets serve."""

from django.db import models

from iscsi.choices import STAGE_APPEARANCE, Stage
from iscsi.models.target import Target
from storage.models import Datastore


class Lun(models.Model):
    """A virtual disk: an image in the pools of its policy, served by one target or detached."""

    target = models.ForeignKey(Target, null=True, on_delete=models.PROTECT, related_name="luns")
    number = models.PositiveSmallIntegerField(null=True, help_text="1 to 255 at its target; none while detached")
    name = models.CharField(max_length=40, blank=True)
    datastore = models.ForeignKey(Datastore, on_delete=models.PROTECT, related_name="luns")
    image = models.CharField(max_length=40, unique=True, help_text="lun-<hex>")
    size = models.PositiveBigIntegerField(help_text="bytes")
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.CREATING)
    created_at = models.DateTimeField(auto_now_add=True)

    # Observed: whether its target's server offers it.
    served = models.BooleanField(default=False)
    reason = models.TextField(blank=True, help_text="why it is not served though it should be")
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    class Meta:
        ordering = ["target__name", "number", "pk"]
        constraints = [models.UniqueConstraint(fields=["target", "number"], name="lun_number_once_a_target")]

    def __str__(self) -> str:
        return self.name or (f"LUN {self.number} of {self.target}" if self.target else self.image)

    def scopes(self) -> set[tuple[str, int]]:
        """iSCSI lies in no part of the tree."""
        return set()

    @property
    def serial(self) -> str:
        """What initiators tell LUNs apart by: the same on every node and under every number."""
        return self.image.removeprefix("lun-")

    @property
    def glyph(self) -> str:
        return self._appearance[0]

    @property
    def tone(self) -> str:
        return self._appearance[1]

    @property
    def words(self) -> str:
        """What its state is called."""
        if self.stage != Stage.READY:
            return str(self.get_stage_display())
        if self.target is None:
            return "Detached"
        if self.served:
            return "Served"
        return "Not served" if self.target.started else "Target is stopped"

    @property
    def _appearance(self) -> tuple[str, str]:
        if self.stage != Stage.READY:
            return STAGE_APPEARANCE[self.stage]
        if self.served:
            return "ok", "ok"
        idle = self.target is None or not self.target.started
        return ("stopped", "idle") if idle else ("crit", "crit")


class Snapshot(models.Model):
    """A snapshot of a LUN, as the cluster told it after the last change."""

    lun = models.ForeignKey(Lun, on_delete=models.CASCADE, related_name="snapshots")
    name = models.CharField(max_length=40)
    size = models.PositiveBigIntegerField(help_text="of the LUN then, bytes")
    taken_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["taken_at", "name"]
        constraints = [models.UniqueConstraint(fields=["lun", "name"], name="snapshot_name_once_a_lun")]

    def __str__(self) -> str:
        return self.name
