"""The least that takes work from Redis and leaves a row: what the panel's own way is measured against."""

import os
import sqlite3
from pathlib import Path

import redis


def main() -> None:
    """Take numbers from the list `bare` and insert them, for ever."""
    table = sqlite3.connect(Path(os.environ["MOORING_VAR"]) / "bare.sqlite3", isolation_level=None, timeout=20)
    table.executescript("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY)")
    client = redis.from_url(os.environ["MOORING_REDIS_URL"])
    while True:
        _, number = client.blpop(["bare"])
        table.execute("INSERT INTO row VALUES (?)", (int(number),))


if __name__ == "__main__":
    main()
