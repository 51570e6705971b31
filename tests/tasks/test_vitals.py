"""A worker's sign of life tells of the process that takes the messages, not only of its children."""

import struct
import threading
import time
from types import SimpleNamespace

import pytest
from django.db import connection

from panel.health.models import Beat
from tasks import vitals


def test_a_worker_whose_main_process_stands_still_is_not_called_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    vitals._shared[:] = struct.pack("d", time.monotonic())
    assert vitals.main_stirs()
    vitals._shared[:] = struct.pack("d", time.monotonic() - 6)
    assert not vitals.main_stirs()


@pytest.mark.django_db(transaction=True)
def test_each_queue_of_a_worker_has_its_own_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    def stop(seconds: float) -> None:
        raise Stop

    monkeypatch.setattr(vitals, "time", SimpleNamespace(sleep=stop, monotonic=time.monotonic))
    vitals._shared[:] = struct.pack("d", time.monotonic())

    def work() -> None:
        with pytest.raises(Stop):
            vitals._beat_for_ever(["default", "migrate"])
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert set(Beat.objects.values_list("name", flat=True)) == {"worker.default", "worker.migrate"}
