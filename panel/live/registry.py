"""Topics of the live socket: who may follow one, and how its news are read.

A topic is named "prefix" or "prefix:key" ("inventory", "task:41"). An app declares its topics in its `topics.py`, which
is imported at start:

    @topic("task", permission="task.view")
    class TaskTopic:
        @staticmethod
        def subject(key: str) -> Task: ...                       # optional: the object that the right is asked about
        @staticmethod
        def read(user: User, key: str, after: int) -> Update | None: ...

A topic that many pages follow at once adds two functions, and is then read once for all that may see the same:

        @staticmethod
        def variant(user: User, subject: object | None) -> Hashable: ...     # all that the news owe to who reads them
        @staticmethod
        def shared(variant: Hashable, key: str, after: int, mark: Hashable) -> Update | None: ...

`mark` is that of the last update the page got on this connection (None at first), so that `shared` can leave out what
the page has. The right is then asked for at most once a second for each page, instead of at each read.

A plain `read` function may be decorated as well. `read` and `subject` run in a thread, may use the database, must not
call a driver, and raise LookupError or ObjectDoesNotExist when the key names nothing, PermissionDenied to refuse.
"""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from panel.accounts.models import User
from panel.accounts.roles import PERMISSIONS

Declared = TypeVar("Declared")
_NAME = re.compile(r"([a-z][a-z0-9-]{0,29})(?::([A-Za-z0-9_-]{1,60}))?")


@dataclass(frozen=True, slots=True)
class Update:
    """News of a topic up to `rev`; the browser asks for what comes after it.

    `html` holds fragments whose top elements carry ids. `final`: the topic will hardly change again (a finished task).
    `more`: this is a part, the rest is read at once; keep one Update below about 256 KiB.
    """

    rev: int
    html: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    final: bool = False
    more: bool = False
    mark: Hashable = None


Reader = Callable[[User, str, int], Update | None]
Variant = Callable[[User, object | None], Hashable]
SharedReader = Callable[[Any, str, int, Any], Update | None]


@dataclass(frozen=True, slots=True)
class Topic:
    """A declared prefix. `templates` are compiled when the web process starts, not for the first page that asks."""

    prefix: str
    permission: str
    read: Reader
    subject: Callable[[str], object] | None = None
    variant: Variant | None = None
    shared: SharedReader | None = None
    templates: tuple[str, ...] = ()


class UnknownTopic(LookupError):
    """No app declares this topic."""


_OPTIONAL = ("subject", "variant", "shared", "templates")
_topics: dict[str, Topic] = {}


def topic(prefix: str, *, permission: str) -> Callable[[Declared], Declared]:
    """Declare a topic on a class with a static `read`, or on a `read` function; ValueError for a bad declaration."""
    if permission not in PERMISSIONS:
        raise ValueError(f"unknown permission {permission!r}")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,29}", prefix):
        raise ValueError(f"{prefix!r} cannot be the prefix of a topic")

    def declare(declared: Declared) -> Declared:
        read = getattr(declared, "read", declared)
        if not callable(read):
            raise ValueError(f"topic {prefix!r} has no read(user, key, after)")
        known = _topics.get(prefix)
        origin = (getattr(declared, "__module__", ""), getattr(declared, "__qualname__", ""))
        if known and (known.read.__module__, known.read.__qualname__.removesuffix(".read")) != origin:
            raise ValueError(f"topic {prefix!r} is declared twice")
        optional = {name: getattr(declared, name) for name in _OPTIONAL if hasattr(declared, name)}
        _topics[prefix] = Topic(prefix, permission, read, **optional)
        return declared

    return declare


def lookup(name: str) -> tuple[Topic, str]:
    """The declaration and the key of a topic's name; UnknownTopic when it is malformed or nobody declares it."""
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None or match[1] not in _topics:
        raise UnknownTopic("There is no such topic.")
    return _topics[match[1]], match[2] or ""


def declared() -> tuple[Topic, ...]:
    """Every declared topic, by prefix; the generated permission test walks them."""
    return tuple(_topics[prefix] for prefix in sorted(_topics))


def group_name(name: str) -> str:
    """The channel layer's group of a topic."""
    return "live." + name.replace(":", ".")
