"""What the panel knows of nodes and Virtual Environments: desired facts and what was last observed."""

from infrastructure.models.console import ConsoleTicket
from infrastructure.models.inventory import InventoryRevision, Removal
from infrastructure.models.node import Node, NodeNetwork
from infrastructure.models.ve import VE, Placement

__all__ = ["VE", "ConsoleTicket", "InventoryRevision", "Node", "NodeNetwork", "Placement", "Removal"]
