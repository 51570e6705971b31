"""Python that runs in the panel under test (bin/up --instance NAME; MOORING_INSTANCE says which)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
INSTANCE = os.environ.get("MOORING_INSTANCE", "test")
SECONDS = 180


def told(code: str) -> Any:
    """What the code printed behind "@@", as JSON. RuntimeError with its last words when it fails."""
    command = [str(ROOT / "bin" / "manage"), "--instance", INSTANCE, "shell", "-c", code]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1])
    return json.loads(done.stdout.rsplit("@@", 1)[1])


def lab() -> Lab:
    """The lab of the panel under test."""
    return Lab(ROOT, os.environ.get("MOORING_LAB_INSTANCE", INSTANCE))


def supervisor() -> int:
    """The process that all of the panel's descend from."""
    return int((ROOT / "var" / INSTANCE / "run" / "supervisord.pid").read_text())
