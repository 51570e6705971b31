"""What a removal of a node has to take off it for iSCSI: registered with the jobs, which load libvirt late."""

from infrastructure.drivers.base import HostDriver
from infrastructure.models import Node
from infrastructure.services import letting_go
from iscsi.models import IscsiNode
from iscsi.services import roles
from iscsi.services.access import servers_on


def let_go(node: Node, host: HostDriver) -> list[str]:
    """Take off what target servers needed; NotPossible while targets live there."""
    roles.refuse_used(node)
    if not IscsiNode.objects.filter(node=node).exists() or not servers_on(node).forget():
        return []
    return ["What target servers needed was taken off"]


letting_go.register(let_go)
