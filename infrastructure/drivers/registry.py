"""One driver per node and process, shared by all threads."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from infrastructure.drivers.base import Endpoint, HostDriver
from infrastructure.drivers.libvirt import LibvirtDriver
from infrastructure.drivers.ssh_sync import Ssh


class _Registry:
    def __init__(self) -> None:
        self._reset()
        # Connections do not survive a fork: a child begins with none and opens its own.
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self.lock = threading.Lock()
        self.drivers: dict[Endpoint, HostDriver] = {}
        self.replaced: dict[str, HostDriver] = {}


_registry = _Registry()
ssh = Ssh()


def driver_for(endpoint: Endpoint) -> HostDriver:
    """The driver of this node; made at the first call, connected when it is first asked something."""
    with _registry.lock:
        if endpoint.name in _registry.replaced:
            return _registry.replaced[endpoint.name]
        driver = _registry.drivers.get(endpoint)
        if driver is None:
            driver = _registry.drivers[endpoint] = LibvirtDriver(endpoint, ssh)
        return driver


def drop(endpoint: Endpoint) -> None:
    """Forget the node and close its connections without waiting for it; after a change of its address or keys."""
    with _registry.lock:
        driver = _registry.drivers.pop(endpoint, None)
    if driver is not None:
        driver.close()


def drop_all() -> None:
    """Close every connection of this process."""
    with _registry.lock:
        drivers = tuple(_registry.drivers.values())
        _registry.drivers.clear()
    for driver in drivers:
        driver.close()


@contextmanager
def replaced(name: str, driver: HostDriver) -> Iterator[None]:
    """Answer with this driver for the node of this name: for tests of faults that no engine can be made to show."""
    with _registry.lock:
        _registry.replaced[name] = driver
    try:
        yield
    finally:
        with _registry.lock:
            _registry.replaced.pop(name, None)
