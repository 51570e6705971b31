"""Which parameters of its query a view reads: a sweep need not try those that a page never looks at."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.http import QueryDict

WHOLE = "*"  # a view that reads all there is


@contextmanager
def parameters_read() -> Iterator[set[str]]:
    """The names that views asked their query for meanwhile; WHOLE when one went through all of it."""
    names: set[str] = set()

    class Watched(QueryDict):
        def __getitem__(self, key: str) -> Any:
            names.add(key)
            return super().__getitem__(key)

        def __contains__(self, key: object) -> bool:
            names.add(str(key))
            return super().__contains__(key)

        def get(self, key: str, *default: Any) -> Any:
            names.add(key)
            return super().get(key, *default)

        def getlist(self, key: str, *default: Any) -> Any:
            names.add(key)
            return super().getlist(key, *default)

        def __iter__(self) -> Any:
            names.add(WHOLE)
            return super().__iter__()

        def __bool__(self) -> bool:
            names.add(WHOLE)
            return len(self) > 0

        def lists(self) -> Any:
            names.add(WHOLE)
            return super().lists()

        def items(self) -> Any:
            names.add(WHOLE)
            return super().items()

        def urlencode(self, *safe: Any) -> str:
            names.add(WHOLE)
            return super().urlencode(*safe)

    with patch("django.core.handlers.wsgi.QueryDict", Watched):
        yield names


def concerns(query: str, names: set[str]) -> bool:
    """Whether a query such as "?q=x&page=2" has a parameter that was asked for."""
    return WHOLE in names or any(pair.partition("=")[0] in names for pair in query[1:].split("&"))
