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
    shown = []
    for group in GROUPS:
        links = tuple(_link(item, request) for item in group.items if can_anywhere(request.user, item.permission))
        if links:
            current = any(link.current for link in links)
            shown.append(OpenGroup(group.key, group.label, group.icon, links, current))
    return shown


def _link(item: Item, request: HttpRequest) -> Link:
    url = reverse(item.route)
    return Link(item.label, url, request.path == url or request.path.startswith(url), item.route)
