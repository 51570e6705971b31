"""Time series of nodes, VEs and the storage: round-robin files of fixed size, one an object, never in the database."""

from panel.series.layout import COLUMNS
from panel.series.store import Sample, Series, Store, append, append_many, fetch, remove

__all__ = ["COLUMNS", "Sample", "Series", "Store", "append", "append_many", "fetch", "remove"]
