"""What stands around the rows of a list: its saved views, its chips, and what it says without rows."""

from dataclasses import dataclass

from panel.preferences.models import SavedView


@dataclass(frozen=True, slots=True)
class View:
    """A saved view in the menu of one list."""

    view: SavedView
    url: str
    current: bool
    own: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A common filter with the number of rows it would show."""

    label: str
    url: str
    count: int | None = None
    current: bool = False
    glyph: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """What a list without rows says: a title, what it is for, and the button that ends it (label, url)."""

    title: str
    text: str
    icon: str = "database-off"
    action: tuple[str, str] = ("", "")
