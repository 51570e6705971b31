"""Whether a VE can move to a node: the Migrate dialog shows it check by check, the worker asks again before it acts.

`run` asks both engines; `overview` compares all nodes from the database alone, for the list a dialog opens with.
"""

from infrastructure.services.preflight.overview import TargetSummary, overview
from infrastructure.services.preflight.result import Check, DiskCopy, blocking, copies_of, planned, used_bytes
from infrastructure.services.preflight.runner import run

__all__ = [
    "Check",
    "DiskCopy",
    "TargetSummary",
    "blocking",
    "copies_of",
    "overview",
    "planned",
    "run",
    "used_bytes",
]
