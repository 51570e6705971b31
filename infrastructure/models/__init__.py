"""What the panel knows of nodes and Virtual Environments: desired facts and what was last observed."""

from infrastructure.models.console import ConsoleSession, ConsoleTicket
from infrastructure.models.inventory import InventoryRevision, Removal
from infrastructure.models.node import Node, NodeInterfaces, NodeNetwork
from infrastructure.models.ve import VE, Leftover, Placement
from infrastructure.models.words import VEWords

__all__ = [
    "VE",
    "ConsoleSession",
    "ConsoleTicket",
    "InventoryRevision",
    "Leftover",
    "Node",
    "NodeInterfaces",
    "NodeNetwork",
    "Placement",
    "Removal",
    "VEWords",
]
