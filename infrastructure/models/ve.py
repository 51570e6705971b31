"""Virtual Environments and where they are."""

from django.db import models

from infrastructure.choices import VE_APPEARANCE, Kind, VEState
from infrastructure.models.node import Node


class VE(models.Model):
    """A virtual machine or system container, identified by its UUID wherever it runs."""

    uuid = models.UUIDField(unique=True)
    name = models.CharField(max_length=255, db_index=True)
    kind = models.CharField(max_length=2, choices=Kind.choices)

    # Observed on its current node.
    node = models.ForeignKey(
        Node, null=True, on_delete=models.SET_NULL, related_name="ves", help_text="derived from its placements"
    )
    state = models.CharField(max_length=12, choices=VEState.choices, default=VEState.UNKNOWN)
    state_reason = models.CharField(max_length=250, blank=True)
    vcpus = models.PositiveIntegerField(null=True)
    memory_bytes = models.PositiveBigIntegerField(null=True)
    autostart = models.BooleanField(default=False)
    persistent = models.BooleanField(default=True)
    os = models.CharField(max_length=100, blank=True)
    disks = models.JSONField(default=list, help_text="DiskFacts as dictionaries")
    nics = models.JSONField(default=list, help_text="NicFacts as dictionaries")
    graphics = models.JSONField(null=True, help_text="GraphicsFacts as a dictionary; null: no screen")
    addresses = models.JSONField(default=list, help_text="IP addresses in text")
    snapshots = models.PositiveIntegerField(default=0)
    has_agent = models.BooleanField(default=False)
    cpu_percent = models.FloatField(null=True, help_text="of all its vCPUs")
    memory_used = models.PositiveBigIntegerField(null=True, help_text="bytes")
    started_at = models.DateTimeField(null=True, help_text="null: it ran already when the panel first saw it")
    migrating_to = models.ForeignKey(
        Node, null=True, on_delete=models.SET_NULL, related_name="+", help_text="set while a migration task moves it"
    )
    observed_at = models.DateTimeField(null=True, help_text="when it was last seen changed; its age is its node's")
    rev = models.PositiveBigIntegerField(default=0, db_index=True)
    figures_rev = models.PositiveBigIntegerField(
        default=0, db_index=True, help_text="when figures alone changed, of which the tree shows nothing"
    )

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["node", "name"]),
            # Counts by state read this index alone, not the wide rows.
            models.Index(fields=["node", "state"]),
            models.Index(fields=["state", "name"]),
        ]

    def __str__(self) -> str:
        return self.name

    def scopes(self) -> set[tuple[str, int]]:
        """The parts of the tree this VE lies in: itself and its node."""
        scopes = {("ve", self.pk)}
        if self.node_id:
            scopes.add(("node", self.node_id))
        return scopes

    @property
    def glyph(self) -> str:
        return VE_APPEARANCE[self.state][0]

    @property
    def tone(self) -> str:
        return VE_APPEARANCE[self.state][1]

    @property
    def is_vm(self) -> bool:
        return self.kind == Kind.VM


class Placement(models.Model):
    """A VE as one node shows it. During a migration there are two: the target's is paused."""

    ve = models.ForeignKey(VE, on_delete=models.CASCADE, related_name="placements")
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="placements")
    state = models.CharField(max_length=12, choices=VEState.choices)
    reason = models.CharField(max_length=250, blank=True, help_text="why it is in this state, where that says more")
    observed_at = models.DateTimeField(help_text="when the node was asked that gave this state")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ve", "node"], name="one_placement_a_node")]

    def __str__(self) -> str:
        return f"{self.ve} on {self.node}: {self.state}"


class Leftover(models.Model):
    """A definition that a failed migration may have left on its target, which did not answer when it ended."""

    ve = models.ForeignKey(VE, on_delete=models.CASCADE, related_name="+")
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+", help_text="the target")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ve", "node"], name="one_leftover_a_node")]

    def __str__(self) -> str:
        return f"{self.ve} on {self.node}"
