"""What the list of disks can be filtered by."""

import re

import django_filters as filters
from django.db.models import Q, QuerySet

from infrastructure.filters import choice_widget, text_widget
from storage.drivers.facts import TIERS
from storage.models import Disk

STATUS = (
    ("ok", "Ok"),
    ("attention", "Needs attention"),
    ("offline", "Offline"),
    ("failed", "Failed"),
    ("starting", "Starting"),
    ("releasing", "Releasing"),
    ("no-tier", "No tier"),
)

_TIER_CLASSES = [f"tier{tier}" for tier in TIERS]


class DiskFilter(filters.FilterSet):
    """Filters of Nodes and disks."""

    status = filters.ChoiceFilter(
        choices=STATUS, method="by_status", empty_label="Any", widget=choice_widget("Filter by status")
    )
    q = filters.CharFilter(method="by_name", widget=text_widget("Filter by disk", "CS"))
    host = filters.CharFilter(lookup_expr="icontains", widget=text_widget("Filter by node", "Contains"))
    tier = filters.ChoiceFilter(
        choices=[*((str(tier), f"Tier {tier}") for tier in TIERS), ("none", "No tier")],
        method="by_tier",
        empty_label="Any",
        widget=choice_widget("Filter by tier"),
    )

    class Meta:
        model = Disk
        fields: list[str] = []

    def by_name(self, disks: QuerySet[Disk], name: str, value: str) -> QuerySet[Disk]:
        """ "CS3", "osd.3" and "3" are the disk 3; anything else is a part of a device's name."""
        match = re.fullmatch(r"(?:cs|osd\.)?([0-9]{1,9})", value.strip(), re.IGNORECASE)
        return disks.filter(number=int(match[1])) if match else disks.filter(device__icontains=value.strip())

    def by_tier(self, disks: QuerySet[Disk], name: str, value: str) -> QuerySet[Disk]:
        if value == "none":
            return disks.exclude(device_class__in=_TIER_CLASSES)
        return disks.filter(device_class=f"tier{value}")

    def by_status(self, disks: QuerySet[Disk], name: str, value: str) -> QuerySet[Disk]:
        """As storage.status.disk_status has it."""
        works, starting = Q(up=True, taken=True), Q(up=False, new=True)
        wanted = {
            "ok": works & Q(device_class__in=_TIER_CLASSES),
            "attention": ~(works & Q(device_class__in=_TIER_CLASSES)) & ~starting,
            "starting": starting,
            "offline": Q(up=False, taken=True) & ~starting,
            "failed": Q(up=False, taken=False) & ~starting,
            "releasing": Q(up=True, taken=False),
            "no-tier": works & ~Q(device_class__in=_TIER_CLASSES),
        }
        return disks.filter(wanted[value])
