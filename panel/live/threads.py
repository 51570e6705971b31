"""Database calls of the sockets: off the event loop, on a few threads of their own.

asgiref's thread-sensitive executor is a single thread for all sockets of the process: one slow read would hold up every
browser. These threads keep their database connection, for opening one costs as much as a read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")
_executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="live-db")


def _with_connections(call: Callable[[], T]) -> T:
    try:
        return call()
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close_at = None  # CONN_MAX_AGE is 0 for the sake of the request threads
            connection.close_if_unusable_or_obsolete()


async def in_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that uses the database; returns its result or raises its exception."""
    call = partial(fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_executor, _with_connections, call)
