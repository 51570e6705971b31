"""The target servers of each node, shared by all threads of a process."""

from contextlib import AbstractContextManager

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.shared import Shared
from iscsi.drivers.base import TargetServers
from iscsi.drivers.tgt import TgtServers

_nodes: Shared[Endpoint, TargetServers] = Shared(TgtServers)


def servers_of(endpoint: Endpoint) -> TargetServers:
    """The target servers of this node; nothing is opened before something is asked."""
    return _nodes.of(endpoint)


def replaced(name: str, servers: TargetServers) -> AbstractContextManager[None]:
    """Answer with this for the node of this name: for tests of faults that no engine can be made to show."""
    return _nodes.replaced(name, servers)
