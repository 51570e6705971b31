"""From a node's row to the driver that talks to it."""

from django.conf import settings

from infrastructure.drivers.base import Endpoint, HostDriver
from infrastructure.drivers.registry import driver_for
from infrastructure.models import Node
from infrastructure.services.errors import NotPossible


def require_set_up(node: Node, *, field: str = "") -> None:
    """NotPossible, about this field of a form, before the node was onboarded: Mooring cannot reach it."""
    if node.onboarded_at is None:
        advice = "Wait for the end of its task, or use Manage, Set up again."
        raise NotPossible(f"{node} is not set up yet", advice=advice, field=field)


def endpoint_for(node: Node) -> Endpoint:
    """How the node is reached, with the identity it must show."""
    return Endpoint(
        name=node.name,
        address=node.address,
        ssh_port=node.ssh_port,
        host_key=node.host_key,
        uuid=str(node.uuid) if node.uuid else "",
        ssh_key_path=str(settings.SSH_KEY_PATH),
        pki_dir=str(settings.PKI_DIR),
    )


def driver(node: Node) -> HostDriver:
    """The node's driver, shared by this process; nothing is opened until it is asked something."""
    return driver_for(endpoint_for(node))
