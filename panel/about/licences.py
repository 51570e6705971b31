"""Licences of the third-party parts, as the installed packages state them themselves."""

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from django.conf import settings

_LONGEST = 60  # some packages put the whole text of the licence into the field


@dataclass(frozen=True, slots=True)
class Part:
    """A third-party package."""

    name: str
    version: str
    licence: str


@cache
def groups() -> tuple[tuple[str, tuple[Part, ...]], ...]:
    """(heading, parts) for Python and for the browser. Read once a process: they change with an installation only."""
    return (("Python packages", python_parts()), ("In the browser", browser_parts()))


def python_parts() -> tuple[Part, ...]:
    """What requirements.txt names and everything that needs, as far as it is installed."""
    waiting = _required((settings.BASE_DIR / "requirements.txt").read_text().splitlines())
    waiting |= {"libvirt-python", "rrdtool"}  # Debian's
    seen: dict[str, Part] = {}
    while waiting:
        name = waiting.pop()
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        seen[name] = Part(found.metadata["Name"], found.version, _python_licence(found.metadata))
        needs = [line for line in found.requires or () if "extra ==" not in line]
        waiting |= _required(needs) - set(seen)
    return tuple(sorted(seen.values(), key=lambda part: part.name.lower()))


def browser_parts() -> tuple[Part, ...]:
    """What package.json names, as far as it is installed."""
    folder = Path(settings.BASE_DIR)
    wanted = json.loads((folder / "package.json").read_text()).get("dependencies", {})
    parts = []
    for name in sorted(wanted):
        try:
            package = json.loads((folder / "node_modules" / name / "package.json").read_text())
        except OSError:
            continue
        parts.append(Part(name, str(package.get("version", "")), str(package.get("license") or "Not stated")))
    return tuple(parts)


def _required(lines: list[str]) -> set[str]:
    names = (re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line) for line in lines if not line.startswith("#"))
    return {re.sub(r"[._-]+", "-", found[1]).lower() for found in names if found}


def _python_licence(about: "metadata.PackageMetadata") -> str:
    stated = [text for field in ("License-Expression", "License") for text in about.get_all(field) or ()]
    expression = next(iter(stated), "")
    short = expression.strip().splitlines()[0] if expression.strip() else ""
    if short and len(short) <= _LONGEST:
        return short
    classes = [line.rsplit("::", 1)[-1].strip() for line in about.get_all("Classifier") or () if "License ::" in line]
    return ", ".join(classes) or "Not stated"
