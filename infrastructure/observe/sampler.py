"""Samples of a node as readings for its rows, and every 10 s as values for its series."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from infrastructure.drivers.facts import NodeSample
from infrastructure.observe.usage import Figures, memory_free, node_figures, ve_figures
from infrastructure.services.inventory_columns import state_of
from infrastructure.services.inventory_samples import NodeReading, VEReading

SERIES_SECONDS = 10.0
SLACK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Recording:
    """Values for the series of a node and its VEs (by UUID) at ``at``, seconds since 1970."""

    node_id: int
    at: float
    node: Figures
    ves: Mapping[str, Figures]


SeriesSink = Callable[[Recording], None]


class Sampler:
    """Keeps the samples that the next ones are compared with."""

    def __init__(self, node_id: int, record: SeriesSink) -> None:
        self.vcpus: dict[str, int] = {}
        self._node_id = node_id
        self._record = record
        self._last: NodeSample | None = None
        self._recorded: NodeSample | None = None

    def forget(self) -> None:
        """The connection is new: counters may have begun anew, and the time between is unknown."""
        self._last = self._recorded = None

    def reading(self, sample: NodeSample, at: datetime) -> NodeReading:
        """The sample as the rows want it; hands values to the series when it is time for them."""
        node, ves = self._figures(self._last, sample)
        if self._recorded is None:
            self._recorded = sample
        elif sample.at - self._recorded.at >= SERIES_SECONDS - SLACK_SECONDS:
            long_node, long_ves = self._figures(self._recorded, sample)
            self._record(Recording(self._node_id, time.time(), long_node, long_ves))
            self._recorded = sample
        self._last = sample
        return NodeReading(
            node_id=self._node_id,
            at=at,
            cpu_percent=node["cpu"],
            memory_free=memory_free(sample),
            ves=tuple(
                VEReading(ve.uuid, state_of(ve.state), ves[ve.uuid]["cpu"], _whole(ves[ve.uuid]["memory"]))
                for ve in sample.ves
            ),
        )

    def _figures(self, before: NodeSample | None, now: NodeSample) -> tuple[Figures, dict[str, Figures]]:
        known = {ve.uuid: ve for ve in before.ves} if before else {}
        seconds = now.at - before.at if before else 0.0
        ves = {ve.uuid: ve_figures(known.get(ve.uuid), ve, seconds, self.vcpus.get(ve.uuid, 1)) for ve in now.ves}
        return node_figures(before, now, list(ves.values())), ves


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
