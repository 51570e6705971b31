"""One driver per node and process, shared by all threads."""

from contextlib import AbstractContextManager

from infrastructure.drivers.base import Endpoint, HostDriver
from infrastructure.drivers.libvirt import LibvirtDriver
from infrastructure.drivers.shared import Shared
from infrastructure.drivers.ssh_sync import Ssh

ssh = Ssh()


def _make(endpoint: Endpoint) -> HostDriver:
    return LibvirtDriver(endpoint, ssh)


_drivers: Shared[Endpoint, HostDriver] = Shared(_make)


def driver_for(endpoint: Endpoint) -> HostDriver:
    """The driver of this node; made at the first call, connected when it is first asked something."""
    return _drivers.of(endpoint)


def drop(endpoint: Endpoint) -> None:
    """Forget the node and close its connections without waiting for it; after a change of its address or keys."""
    _drivers.drop(endpoint)


def drop_all() -> None:
    """Close every connection of this process."""
    _drivers.drop_all()


def replaced(name: str, driver: HostDriver) -> AbstractContextManager[None]:
    """Answer with this driver for the node of this name: for tests of faults that no engine can be made to show."""
    return _drivers.replaced(name, driver)
