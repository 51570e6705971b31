"""What every page of the storage begins with: the cluster, its disks, and what the last look at it told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.urls import reverse

from infrastructure.models import Node
from infrastructure.status import Status
from infrastructure.views.actions import NO_ROLE, Action
from panel.accounts.permissions import can
from panel.accounts.scopes import visible
from panel.ui.signed_in import user_of
from panel.ui.tables import Empty
from storage.choices import ClusterState
from storage.drivers.facts import ClusterFacts
from storage.models import Cluster, Disk
from storage.overview import head_words
from storage.services.observed import facts_of
from storage.status import cluster_status


@dataclass(frozen=True, slots=True)
class Look:
    """`facts` is None before the first look. What they say of states may be claimed only while they are `current`."""

    cluster: Cluster
    disks: Sequence[Disk] = field(repr=False)
    nodes: dict[str, int]  # the panel's nodes by the names of the hosts that have disks
    facts: ClusterFacts | None = field(repr=False)
    status: Status

    @property
    def current(self) -> bool:
        return self.status.current

    @property
    def figures(self) -> bool:
        """Whether the figures that a manager tells are current."""
        return self.current and self.facts is not None and self.facts.manager_answers

    @property
    def waiting(self) -> bool:
        return self.cluster.state == ClusterState.NEW

    @property
    def refused(self) -> bool:
        return self.cluster.state == ClusterState.REFUSED

    @property
    def silent(self) -> bool:
        return not (self.current or self.waiting or self.refused)

    @property
    def words(self) -> str:
        return head_words(self.facts) if self.facts and self.current else ""


def look_at_cluster(request: HttpRequest) -> Look | None:
    """The one cluster, from the database alone: two queries. None before there is one."""
    cluster = Cluster.objects.select_related("through").first()
    if cluster is None:
        return None
    mine = visible(request.user, "infrastructure.view", Node.objects.filter(name=OuterRef("host")))
    disks = list(cluster.disks.annotate(node=Subquery(mine.values("pk")[:1])))
    nodes = {disk.host: disk.node for disk in disks if disk.node is not None}
    facts = facts_of(cluster, disks)
    return Look(cluster, disks, nodes, facts, cluster_status(cluster, facts))


def page_context(request: HttpRequest, title: str, look: Look | None) -> dict[str, Any]:
    """Head and live region of a page."""
    return {
        "tree_selected": "",
        "look": look,
        "title": title,
        "actions": cluster_actions(request) if look else None,
        "region_url": request.get_full_path(),
        "refresh": "storage",
        "empty": nothing_yet(request, look),
    }


def nothing_yet(request: HttpRequest, look: Look | None) -> Empty:
    """What a page says that has nothing to show."""
    if look is not None:
        name = look.cluster.name
        return Empty(f"Nothing is known of {name} yet", "Its disks and figures appear after the first look at it.")
    text = "A storage cluster makes all disks of all nodes one pool, and keeps every piece of data on several of them."
    may = can(user_of(request), "storage.manage")
    action = ("Connect a cluster", reverse("storage:connect")) if may else ("", "")
    return Empty("No storage cluster is connected", text, "database", action)


def cluster_actions(request: HttpRequest) -> dict[str, Action]:
    """The cluster's actions by key. That a task is in the way is said when one is asked for: it costs a query."""
    refused = "" if can(user_of(request), "storage.manage") else NO_ROLE
    return {
        "connect": Action(
            "connect", "Connect again…", "plug-connected", reverse("storage:reconnect"), "dialog", refused
        ),
        "disconnect": Action(
            "disconnect", "Disconnect…", "plug-connected-x", reverse("storage:disconnect"), "dialog", refused, True
        ),
    }


def add_datastore(request: HttpRequest, look: "Look | None", key: str, label: str) -> Action:
    """The button that leads to the form, with the reason when it cannot."""
    reason = "" if can(user_of(request), "storage.manage") else NO_ROLE
    if not reason and look is None:
        reason = "No storage cluster is connected"
    return Action(key, label, "plus", reverse("storage:datastore_add"), "link", reason)
