"""What else a node has of Mooring's when it is removed: apps above register, in their `jobs`, how it is taken off.

Called before the node's certificates go, with its driver; returns what was done, and what stays and why, a line each.
Raises DriverError when the node does not answer.
"""

from collections.abc import Callable

from infrastructure.drivers.base import HostDriver
from infrastructure.models import Node

LetGo = Callable[[Node, HostDriver], list[str]]
_registered: list[LetGo] = []


def register(let_go: LetGo) -> None:
    """Have removals of nodes call this as well; it may be called again after a removal that was cut off."""
    if let_go not in _registered:
        _registered.append(let_go)


def of(node: Node, host: HostDriver) -> list[str]:
    """Take it all off."""
    return [line for let_go in _registered for line in let_go(node, host)]
