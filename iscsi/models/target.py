"""Targets, their portals, and the users who log in by CHAP."""

from django.db import models

from infrastructure.models import Node
from iscsi.choices import SERVER_APPEARANCE, STAGE_APPEARANCE, ServerState, Sharing, Stage
from panel.live.revision import Revision


class IscsiRevision(Revision):
    """The revision of iSCSI: every change that a page shows bumps it."""


class ChapUser(models.Model):
    """A name and a secret by which initiators log in. The secret is never shown again."""

    name = models.CharField(max_length=40, unique=True)
    secret = models.TextField(help_text="encrypted")
    version = models.PositiveBigIntegerField(help_text="another one for each secret that any user ever had")
    changed_at = models.DateTimeField()
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def scopes(self) -> set[tuple[str, int]]:
        """iSCSI lies in no part of the tree."""
        return set()


class Target(models.Model):
    """An iSCSI target: what is wanted of its server, and what the server said."""

    # Desired: what the administrator said.
    name = models.CharField(max_length=40, unique=True)
    iqn = models.CharField(max_length=223, unique=True)
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="targets")
    number = models.PositiveSmallIntegerField(help_text="of its server on the node; tgtd's control port")
    started = models.BooleanField(default=True, help_text="whether it should run")
    chap_user = models.ForeignKey(ChapUser, null=True, on_delete=models.PROTECT, related_name="targets")
    mutual_user = models.ForeignKey(
        ChapUser, null=True, on_delete=models.PROTECT, related_name="proves", help_text="what the target answers with"
    )
    initiators = models.JSONField(default=list, help_text="names that may log in; empty: any")
    limit_iops = models.PositiveIntegerField(null=True)
    limit_mbps = models.PositiveIntegerField(null=True, help_text="MB/s, of 1,000,000 bytes")
    sharing = models.CharField(max_length=8, choices=Sharing.choices, default=Sharing.EACH)
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.CREATING)
    created_at = models.DateTimeField(auto_now_add=True)

    # Observed: what the server said, and when.
    state = models.CharField(max_length=12, choices=ServerState.choices, default=ServerState.UNKNOWN)
    reason = models.TextField(blank=True)
    sessions = models.JSONField(default=list, help_text='[{"initiator": "iqn.…", "address": "10.0.0.9"}, …]')
    checked_at = models.DateTimeField(null=True)
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    # Whose turn it is to reconcile: see services/turns.py.
    turn = models.CharField(max_length=32, blank=True)
    turn_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["node", "number"], name="server_number_once_a_node")]

    def __str__(self) -> str:
        return self.name

    def scopes(self) -> set[tuple[str, int]]:
        """iSCSI lies in no part of the tree."""
        return set()

    @property
    def glyph(self) -> str:
        return self._appearance[0]

    @property
    def tone(self) -> str:
        return self._appearance[1]

    @property
    def words(self) -> str:
        """What its state is called."""
        return str(self.get_state_display() if self.stage == Stage.READY else self.get_stage_display())

    @property
    def _appearance(self) -> tuple[str, str]:
        return SERVER_APPEARANCE[self.state] if self.stage == Stage.READY else STAGE_APPEARANCE[self.stage]


class Portal(models.Model):
    """An address on which a target is reached; it belongs to one target."""

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="portals")
    address = models.GenericIPAddressField(unique=True)
    prefix = models.PositiveSmallIntegerField(help_text="length of its network's prefix")
    interface = models.CharField(max_length=15, help_text="of the target's node")
    added = models.BooleanField(default=False, help_text="Mooring put the address on the node")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.address
