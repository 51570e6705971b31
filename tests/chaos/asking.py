"""Questions to the panel's database, answered by one process that stays: each of its own takes half a second."""

import json
import os
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

_ANSWERING = """
import json, sys, time, traceback
from django.db import InterfaceError, OperationalError, connection
from django.db.models import *
from tasks.messages import send
from tasks.models import *
from tasks.services import enqueue, cancel, retry
from infrastructure.models import *
from storage.models import *
from iscsi.models import *
from panel.accounts.models import *
from panel.health.models import Beat
def damage():
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        return [row[0] for row in cursor.fetchall() if row[0] != "ok"]
def writable():
    if connection.vendor != "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except OperationalError:
            return False
        cursor.execute("ROLLBACK")
        return True
for line in sys.stdin:
    end = time.monotonic() + 30  # for a database that a fault took away
    while True:
        try:
            answer = {"value": eval(json.loads(line))}
        except (OperationalError, InterfaceError):
            answer = {"error": traceback.format_exc()}
            if time.monotonic() < end:
                connection.close()
                time.sleep(0.2)
                continue
        except Exception:
            answer = {"error": traceback.format_exc()}
        break
    connection.close()
    print("@@" + json.dumps(answer, default=str), flush=True)
"""


class Asker:
    """`ask("Task.objects.count()")` → the value of a Python expression over the panel's models, by way of JSON."""

    def __init__(self, root: Path, instance: str) -> None:
        self._process = subprocess.Popen(
            [str(root / "bin" / "manage"), "--instance", instance, "shell", "-c", _ANSWERING],
            env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "tests.chaos.load.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: Queue[str] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def __call__(self, expression: str, timeout: float = 60) -> Any:
        """Raises AssertionError with the traceback when the expression fails, or when nothing answers in time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(expression) + "\n")
        self._process.stdin.flush()
        try:
            answer = json.loads(self._answers.get(timeout=timeout))
        except Empty:
            raise AssertionError(f"no answer within {timeout} s: {expression}") from None
        assert "error" not in answer, f"{expression}: {answer['error']}"
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@@"):
                self._answers.put(line[2:])
