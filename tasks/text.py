"""What may stand in a task's log: engines and guests choose many of these texts."""

import re
import shlex
from collections.abc import Collection

MOST_BYTES = 8192
MASK = "••••••"
CUT = " … (cut)"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_BREAKS = re.compile(r"[\t ]*(?:\r\n|[\n\r\v\f\x85\u2028\u2029])+[\t ]*")
# Controls, and the marks that make text read in another order than it is written.
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Secret(str):
    """A value that no log shows: `step.command([..., Secret(password)])` prints a mask in its place.

    It is the plain value to whoever uses it; only `repr` and the task log hide it. From its first use in a command line
    the log of that attempt also masks it inside other texts.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


def clean(text: object, *, secrets: Collection[str] = (), limit: int = MOST_BYTES, strip: bool = True) -> str:
    """One line of printable text of at most `limit` bytes; a line break becomes " ⏎ ", so one call stays one line."""
    line = str(text)
    for secret in secrets:
        line = line.replace(secret, MASK)
    line = _ESCAPES.sub("", line[: 16 * limit])
    line = line.strip() if strip else line
    line = _CONTROLS.sub("", _BREAKS.sub(" ⏎ ", line)).replace("\t", " ")
    encoded = line.encode()
    if len(encoded) <= limit:
        return line
    return encoded[: limit - len(CUT.encode())].decode(errors="ignore") + CUT


def clip(text: object, length: int, *, secrets: Collection[str] = ()) -> str:
    """Printable text for a column of `length` characters."""
    line = clean(text, secrets=secrets)
    return line if len(line) <= length else line[: length - 1] + "…"


def shown_command(argv: Collection[object]) -> str:
    """The command line equivalent to `argv`, quoted for a shell, secrets masked."""
    return " ".join(MASK if isinstance(part, Secret) else shlex.quote(str(part)) for part in argv)
