"""Certificates renew themselves: a look once an hour has those re-issued that end soon, by the task an admin starts."""

import time
from collections.abc import Callable, Mapping

from infrastructure.observe.source import Shard
from infrastructure.services import node_work

LOOK_SECONDS = 3600.0
FIRST_LOOK_SECONDS = 60.0  # by then the nodes that answer are known


class RenewalSource:
    """A source of the collector without threads of its own."""

    name = "renewal"

    def __init__(self, shard: Shard | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shard = shard or Shard()
        self._clock = clock
        self._look_at = clock() + FIRST_LOOK_SECONDS

    def start(self) -> None:
        """There is nothing to begin."""

    def tick(self) -> None:
        """Look when it is time; raises database errors, after which the next tick looks again."""
        if self._clock() < self._look_at:
            return
        node_work.renew_due(among=self._shard.holds)
        self._look_at = self._clock() + LOOK_SECONDS

    def stop(self) -> None:
        """There is nothing to end."""

    def status(self) -> Mapping[str, int]:
        return {}
