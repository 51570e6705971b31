"""The sign of life of a worker, and its warming up.

The children leave it in the database, for the main process must not hold a connection when it forks. They do so only
while the main process stirs: it counts time in memory that they share.
"""

import mmap
import struct
import threading
import time
from typing import Any

import structlog
from celery import current_app
from celery.signals import worker_init, worker_process_init
from django.db import connection

from panel.health.services import beat
from tasks import registry

log = structlog.get_logger("mooring.tasks")
BEAT_EVERY = 5.0
STIR_EVERY = 1.0
STIFF_AFTER = 5.0
_shared = mmap.mmap(-1, 8)


@worker_init.connect
def stir(**kwargs: Any) -> None:
    """In the main process: keep the shared clock going."""
    _shared[:] = struct.pack("d", time.monotonic())

    def keep_going() -> None:
        while True:
            _shared[:] = struct.pack("d", time.monotonic())
            time.sleep(STIR_EVERY)

    threading.Thread(target=keep_going, name="worker-stir", daemon=True).start()


@worker_process_init.connect
def begin(**kwargs: Any) -> None:
    """In each child: import the jobs now, so that the first task need not wait for it, and start to beat."""
    registry.autodiscover()
    queues = sorted(current_app.amqp.queues.consume_from)
    threading.Thread(target=_beat_for_ever, args=(queues,), name="worker-beat", daemon=True).start()


def main_stirs() -> bool:
    """Whether the worker's main process was seen alive within the last seconds."""
    (at,) = struct.unpack("d", _shared[:])
    return bool(time.monotonic() - at < STIFF_AFTER)


def _beat_for_ever(queues: list[str]) -> None:
    while True:
        if main_stirs():
            try:
                for queue in queues:
                    beat(f"worker.{queue}")
            except Exception as error:
                log.warning("a worker's sign of life was not written", error=str(error))
            finally:
                connection.close()
        time.sleep(BEAT_EVERY)
