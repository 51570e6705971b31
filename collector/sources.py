"""Everything the collector runs. A source of another app is added to the list."""

from collections.abc import Mapping
from typing import Protocol

from infrastructure.observe.renewal import RenewalSource
from infrastructure.observe.source import NodeSource, Shard
from iscsi.observe.source import IscsiSource
from storage.observe.attaching import AttachSource
from storage.observe.source import ClusterSource


class Source(Protocol):
    """``start`` and ``stop`` begin and end its threads; ``tick`` is called about every second and may raise."""

    name: str

    def start(self) -> None: ...

    def tick(self) -> None: ...

    def stop(self) -> None: ...

    def status(self) -> Mapping[str, int]:
        """Figures for the sign of life, such as {"nodes": 3, "late": 0}."""


def sources(shard: Shard) -> list[Source]:
    """The sources of one collector; each observes the part of its objects that the shard holds."""
    return [NodeSource(shard), RenewalSource(shard), ClusterSource(shard), AttachSource(shard), IscsiSource(shard)]
