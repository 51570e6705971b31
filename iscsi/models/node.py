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


class LeftServer(models.Model):
    """A server, with its addresses, that a target left on a node that did not answer; removed as soon as it answers."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveSmallIntegerField(help_text="of the server; no other target gets it meanwhile")
    target = models.CharField(max_length=40, help_text="its name")
    addresses = models.JSONField(default=list, help_text='[{"address": …, "prefix": …, "interface": …}, …]')
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["since", "pk"]
        constraints = [models.UniqueConstraint(fields=["node", "number"], name="left_server_number_once_a_node")]

    def __str__(self) -> str:
        return f"{self.target} on {self.node}"
