"""Runs programs of the host: argv lists only, output captured; a failure becomes a LabError with what it said."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError


def run(argv: Sequence[str | Path], *, stdin: str | None = None, timeout: float = 120) -> str:
    """Runs a program and returns its standard output.

    Raises LabError when it is missing, fails or is not done within `timeout` seconds.
    """
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not installed: install the packages of setup/packages-lab.txt") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"no answer within {timeout:.0f} s: {shlex.join(command)}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"{shlex.join(command)} failed ({done.returncode}): {said}")
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, timeout: float = 30) -> bool:
    """True when the program ends with exit code 0 within `timeout` seconds."""
    try:
        run(argv, timeout=timeout)
    except LabError:
        return False
    return True
