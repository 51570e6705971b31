"""What else a node has of Mooring's when it is removed: apps above register, in their `jobs`, how it is taken off.

An app may also hold a node: then it is not removed while what it has there is there.

What is registered is called before the node's certificates go, with its driver; it returns what was done, and what
stays and why, a line each.
Raises DriverError when the node does not answer.
"""

from collections.abc import Callable

from infrastructure.drivers.base import HostDriver
from infrastructure.models import Node
from infrastructure.services.errors import NotPossible

LetGo = Callable[[Node, HostDriver], list[str]]
Hold = Callable[[Node], str]
_registered: list[LetGo] = []
_holds: list[tuple[Hold, str]] = []


def register(let_go: LetGo) -> None:
    """Have removals of nodes call this as well; it may be called again after a removal that was cut off."""
    if let_go not in _registered:
        _registered.append(let_go)


def hold(reason: Hold, advice: str) -> None:
    """Have removals of nodes refused while `reason` tells one; `advice` says what to do about it."""
    if (reason, advice) not in _holds:
        _holds.append((reason, advice))


def refuse_held(node: Node) -> None:
    """NotPossible, with the reason, while an app holds the node."""
    for reason, advice in _holds:
        if why := reason(node):
            raise NotPossible(why, advice=advice)


def of(node: Node, host: HostDriver) -> list[str]:
    """Take it all off."""
    return [line for let_go in _registered for line in let_go(node, host)]
