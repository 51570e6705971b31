"""Subscribing to all events of one node."""

import threading
from collections.abc import Callable

from infrastructure.drivers.facts import DomainEvent
from infrastructure.drivers.libvirt_hub import Hub, Listener
from infrastructure.drivers.libvirt_links import Links


class LibvirtEvents:
    """The EventSource protocol."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def subscribe(
        self, callback: Callable[[DomainEvent], None], on_close: Callable[[str], None] | None = None
    ) -> "LibvirtSubscription":
        subscription = LibvirtSubscription(callback, on_close)
        try:
            for link in self._links.all():
                subscription.listen(self._links.hub(link.kind))
        except BaseException:
            subscription.close()
            raise
        return subscription


class LibvirtSubscription:
    """The Subscription protocol: one listener per connection of the node."""

    def __init__(self, callback: Callable[[DomainEvent], None], on_close: Callable[[str], None] | None) -> None:
        self._callback = callback
        self._on_close = on_close
        self._listening: list[tuple[Hub, Listener]] = []
        self._lock = threading.Lock()
        self._active = True

    def listen(self, hub: Hub) -> None:
        listener = hub.add(self._deliver, self._lost)
        with self._lock:
            if self._active:
                self._listening.append((hub, listener))
                return
        hub.remove(listener)  # the first connection was lost while the second was being subscribed to

    def close(self) -> None:
        """Deliver nothing more."""
        self._end()

    def _deliver(self, event: DomainEvent) -> None:
        if self._active:
            self._callback(event)

    def _lost(self, reason: str) -> None:
        # The first connection that ends makes the whole subscription dead.
        if self._end() and self._on_close is not None:
            self._on_close(reason)

    def _end(self) -> bool:
        with self._lock:
            was, self._active = self._active, False
            listening, self._listening = self._listening, []
        if was:
            for hub, listener in listening:
                hub.remove(listener)
        return was
