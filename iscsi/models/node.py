"""Nodes with the role iSCSI: those on which targets may live."""

from django.db import models

from infrastructure.models import Node
from iscsi.choices import RoleState


class IscsiNode(models.Model):
    """The role iSCSI of a node: assigned by an administrator, ready when the node has all that target servers need."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True, related_name="iscsi")
    state = models.CharField(max_length=10, choices=RoleState.choices, default=RoleState.PREPARING)
    reason = models.TextField(blank=True)
    rev = models.PositiveBigIntegerField(default=0, db_index=True)

    class Meta:
        ordering = ["node__name"]

    def __str__(self) -> str:
        return f"iSCSI on {self.node}"
