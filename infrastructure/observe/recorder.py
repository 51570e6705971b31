"""The thread that fills the series, so that a slow disk delays neither the observers nor the writer."""

import threading
from collections import deque

import structlog

from infrastructure.observe.sampler import Recording
from panel.series import Sample, append_many

log = structlog.get_logger("mooring.observe")
MOST_WAITING = 5000  # recordings; then the oldest are dropped


class Recorder(threading.Thread):
    """``put`` never blocks. Engines know VEs by UUID, series by key: ``learn`` tells which is which."""

    def __init__(self) -> None:
        super().__init__(name="series-recorder", daemon=True)
        self._ids: dict[str, int] = {}
        self._waiting: deque[Recording] = deque(maxlen=MOST_WAITING)
        self._stopping = False
        self._condition = threading.Condition()

    def learn(self, ids: dict[str, int]) -> None:
        self._ids.update(ids)

    def put(self, recording: Recording) -> None:
        with self._condition:
            self._waiting.append(recording)
            self._condition.notify()

    def stop(self, seconds: float = 5.0) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self.is_alive():
            self.join(seconds)

    def run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._waiting) or self._stopping)
                if not self._waiting:
                    return
                recording = self._waiting.popleft()
            try:
                append_many(self.samples(recording))
            except Exception:
                log.exception("samples could not be recorded", node=recording.node_id)

    def samples(self, recording: Recording) -> list[Sample]:
        """The node's sample and those of its VEs whose keys are known; a VE that does not execute has none."""
        found = [Sample("node", recording.node_id, recording.node, recording.at)]
        for uuid, figures in recording.ves.items():
            if uuid in self._ids and any(value is not None for value in figures.values()):
                found.append(Sample("ve", self._ids[uuid], figures, recording.at))
        return found
