"""Where datastores are attached."""

from django.db import models

from infrastructure.models import Node
from storage.choices import AttachmentState, Use
from storage.models.datastore import Datastore


class Attachment(models.Model):
    """A datastore on a node: desired (`wanted`), and what the node said of it.

    The row outlives its datastore until the node has let go of it: `kind`, `name` and `uuid` say what to forget.
    """

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+")
    datastore = models.ForeignKey(Datastore, null=True, on_delete=models.SET_NULL, related_name="attachments")
    kind = models.CharField(max_length=8, choices=Use.choices, default=Use.VM, help_text="what the node has of it")
    name = models.CharField(max_length=63, help_text="of libvirt's storage pool; of a mount its folder follows")
    uuid = models.UUIDField(help_text="of libvirt's storage pool; for a mount it says which datastore of that name")
    wanted = models.BooleanField(default=True)
    state = models.CharField(max_length=10, choices=AttachmentState.choices, default=AttachmentState.WAITING)
    reason = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["node__name", "name"]
        constraints = [models.UniqueConstraint(fields=["node", "uuid"], name="attached_once_a_node")]

    def __str__(self) -> str:
        return f"{self.name} on {self.node}"
