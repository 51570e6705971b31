"""Mooring's part of a node's configuration file: one marked block at its end. Pure: text in, text out.

The block can be taken out again and leaves the file as it was. Lines outside it that set the same names would compete
with it (libvirt takes the first), so they are turned into comments with a mark of their own.
"""

import re
from collections.abc import Collection, Iterable

BEGIN = "# BEGIN Mooring: written by the panel, replaced when the node is set up again"
END = "# END Mooring"
MUTED = "#mooring# "
_SETTING = re.compile(r"\s*(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=")


def with_block(text: str, lines: Iterable[str], names: Collection[str]) -> str:
    """The file with exactly one block of these lines; `names` are the settings that only the block may make."""
    kept = _mute(without_block(text), names)
    if kept and not kept.endswith("\n"):
        kept += "\n"
    return kept + "\n".join([BEGIN, *lines, END]) + "\n"


def without_block(text: str) -> str:
    """The file as it was before Mooring; without a block, as it is."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if bare == BEGIN:
            inside = True
        elif inside:
            inside = bare != END
        else:
            kept.append(line.removeprefix(MUTED))
    return "".join(kept)


def value_of(text: str, name: str) -> str:
    """The first value set for the name, without quotes; "" when there is none."""
    for line in text.splitlines():
        found = _SETTING.match(line)
        if found and found["name"] == name:
            return line[found.end() :].split(" #")[0].strip().strip("\"'")
    return ""


def _mute(text: str, names: Collection[str]) -> str:
    """Turn the settings of these names into comments, lists over several lines as a whole."""
    kept: list[str] = []
    depth = 0
    for line in text.splitlines(keepends=True):
        found = _SETTING.match(line)
        if depth > 0 or (found and found["name"] in names):
            depth = max(0, depth + _open_brackets(line))
            kept.append(MUTED + line)
        else:
            kept.append(line)
    return "".join(kept)


def _open_brackets(line: str) -> int:
    """How many lists this line opens more than it closes; brackets in strings and comments do not count."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", line).split("#")[0]
    return bare.count("[") - bare.count("]")
