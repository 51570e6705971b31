"""Our stylesheets as one file: asking its cache for each of twenty costs a browser more than reading them does."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

NAME = "css/mooring.css"
# In this order, which decides between rules of equal weight.
SHEETS = (
    "tokens",
    "base",
    "frame",
    "navigation",
    "search",
    "page",
    "surfaces",
    "controls",
    "menus",
    "forms",
    "tables",
    "glyphs",
    "status",
    "charts",
    "health",
    "tasks",
    "dialogs",
    "migrate",
    "console",
    "storage",
    "picker",
    "responsive",
)


class StylesheetFinder(BaseFinder):
    """Finds css/mooring.css, put together under MOORING_VAR from static/css."""

    def __init__(self, app_names: Any = None) -> None:
        self._storage = FileSystemStorage(location=settings.VAR / "made")

    def find(self, path: str, find_all: bool = False) -> str | list[str]:  # type: ignore[override]  # overloaded there
        if path != NAME:
            return []
        made = self._make()
        return [made] if find_all else made

    def list(self, ignore_patterns: Any) -> "Iterator[tuple[str, FileSystemStorage]]":
        self._make()
        yield NAME, self._storage

    def _make(self) -> str:
        """Write it where it is not what its parts are; its path."""
        parts = (settings.BASE_DIR / "static" / "css" / f"{name}.css" for name in SHEETS)
        text = "\n".join(part.read_text() for part in parts)
        made = Path(self._storage.path(NAME))
        if not made.is_file() or made.read_text() != text:
            made.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=made.parent, prefix=".", delete=False) as fresh:
                fresh.write(text)
            Path(fresh.name).chmod(0o644)
            Path(fresh.name).replace(made)
        return str(made)
