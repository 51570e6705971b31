"""Drivers that the threads of a process share: one for each key, made when first asked for."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """How something is reached: hashable, with the panel's name of it."""

    @property
    def name(self) -> str: ...


class Closing(Protocol):
    def close(self) -> None:
        """Let go of all connections, without waiting for an engine that does not answer."""


K = TypeVar("K", bound=Named)
D = TypeVar("D", bound=Closing)


class Shared(Generic[K, D]):
    """Drivers by key. ``make`` opens nothing by itself. Connections do not survive a fork: a child begins with none.

    ``succeeds(new, old)``: whether a key replaces an older one, whose driver is forgotten and closed then.
    """

    def __init__(self, make: Callable[[K], D], succeeds: Callable[[K, K], bool] = lambda _new, _old: False) -> None:
        self._make = make
        self._succeeds = succeeds
        self._inherited: list[object] = []
        self._drivers: dict[K, D] = {}
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # What a child inherits is kept: to free it would close the parent's connections, with threads that the child
        # does not have.
        if self._drivers:
            self._inherited.append(self._drivers)
        self._lock = threading.Lock()
        self._drivers = {}
        self._replaced: dict[str, D] = {}

    def of(self, key: K) -> D:
        """The driver for this key."""
        with self._lock:
            if key.name in self._replaced:
                return self._replaced[key.name]
            driver = self._drivers.get(key)
            if driver is not None:
                return driver
            driver = self._make(key)
            old = [self._drivers.pop(other) for other in tuple(self._drivers) if self._succeeds(key, other)]
            self._drivers[key] = driver
        for each in old:
            each.close()
        return driver

    def drop(self, key: K) -> None:
        """Forget and close one."""
        with self._lock:
            driver = self._drivers.pop(key, None)
        if driver is not None:
            driver.close()

    def drop_all(self) -> None:
        """Forget and close every one."""
        with self._lock:
            drivers = tuple(self._drivers.values())
            self._drivers.clear()
        for driver in drivers:
            driver.close()

    @contextmanager
    def replaced(self, name: str, driver: D) -> Iterator[None]:
        """Answer with this driver for every key of this name."""
        with self._lock:
            self._replaced[name] = driver
        try:
            yield
        finally:
            with self._lock:
                self._replaced.pop(name, None)
