"""The groups of the side navigation below the tree. Only what exists is listed."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from panel.accounts.permissions import can_anywhere


@dataclass(frozen=True, slots=True)
class Item:
    """A page: its label, route name and the permission that shows it."""

    label: str
    route: str
    permission: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group of pages that opens and closes."""

    key: str
    label: str
    icon: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """An item as one request sees it."""

    label: str
    url: str
    current: bool
    route: str


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """A group as one request sees it; the group of the current page is open."""

    key: str
    label: str
    icon: str
    links: tuple[Link, ...]
    current: bool


GROUPS = (
    Group(
        "management",
        "Management",
        "clipboard-list",
        (Item("Task Log", "tasks:list", "task.view"), Item("Audit", "audit:list", "audit.view")),
    ),
    Group(
        "storage",
        "Storage",
        "database",
        (
            Item("Overview", "storage:overview", "storage.view"),
            Item("Nodes and disks", "storage:disks", "storage.view"),
            Item("Services", "storage:services", "storage.view"),
            Item("Datastores", "storage:datastores", "storage.view"),
            Item("iSCSI", "iscsi:targets", "iscsi.view"),
            Item("Settings", "storage:settings", "storage.view"),
        ),
    ),
    Group(
        "setup",
        "Setup",
        "settings",
        (
            Item("Users and roles", "users:list", "user.manage"),
            Item("System health", "health:page", "health.view"),
            Item("About", "about:page", "health.view"),
        ),
    ),
)


def groups_for(request: HttpRequest) -> list[OpenGroup]:
    """The groups with the pages this user may open; empty groups are left out."""
    current = _current_route(request)
    shown = []
    for group in GROUPS:
        items = [item for item in group.items if can_anywhere(request.user, item.permission)]
        links = tuple(Link(item.label, reverse(item.route), item.route == current, item.route) for item in items)
        if links:
            is_open = any(link.current for link in links)
            shown.append(OpenGroup(group.key, group.label, group.icon, links, is_open))
    return shown


def _current_route(request: HttpRequest) -> str:
    """The item whose address is the longest beginning of this page's: /storage/disks/ lies below /storage/, too."""
    items = [item for group in GROUPS for item in group.items]
    above = [item for item in items if request.path.startswith(reverse(item.route))]
    return max(above, key=lambda item: len(reverse(item.route))).route if above else ""
