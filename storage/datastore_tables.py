"""The list of datastores: its columns, and what each row shows."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from infrastructure.models import Node
from infrastructure.status import Status
from panel.ui import format as fmt
from panel.ui.tables import Column, Table
from storage.choices import AttachmentState, DatastoreState, Use
from storage.drivers.facts import ClusterFacts, PoolFacts
from storage.models import Attachment, Datastore
from storage.pool_layout import SHARED_POOLS, is_ours
from storage.redundancy import DOMAIN_WORDS, Policy
from storage.services.datastores import policy_of, pools_of
from storage.services.mounts import path_of
from storage.services.policies import Tiers

APPEARANCE = {
    DatastoreState.CREATING: ("progress", "info"),
    DatastoreState.READY: ("ok", "ok"),
    DatastoreState.REMOVING: ("progress", "info"),
    DatastoreState.FAILED: ("failed", "crit"),
    DatastoreState.PARTLY: ("warn", "warn"),
}
_ATTACHMENT = {
    AttachmentState.WAITING: ("queued", "idle"),
    AttachmentState.ATTACHED: ("ok", "ok"),
    AttachmentState.FAILED: ("failed", "crit"),
    AttachmentState.LEAVING: ("progress", "info"),
}


@dataclass(frozen=True, slots=True)
class DatastoreRow:
    """A datastore with what its row shows; figures in bytes, None when they are not current or it has no pool."""

    datastore: Datastore
    status: Status
    policy: Policy
    used: int | None
    raw: int | None
    left: int | None
    pools: list[PoolFacts]

    @property
    def path(self) -> str:
        """Where nodes have it; "" for one that is no folder."""
        return path_of(self.datastore.name) if self.datastore.use == Use.FILES else ""

    @property
    def domain_word(self) -> str:
        return DOMAIN_WORDS[self.policy.domain][0].capitalize()

    @property
    def share(self) -> float:
        """Used, in percent of what it holds and could still take."""
        whole = (self.used or 0) + (self.left or 0)
        return 100 * (self.used or 0) / whole if whole else 0.0


def with_nodes(datastores: QuerySet[Datastore]) -> QuerySet[Datastore]:
    """With `apart`: on how many nodes that should have it a datastore is not."""
    wanted = Q(attachments__wanted=True) & ~Q(attachments__state=AttachmentState.ATTACHED)
    return datastores.annotate(apart=Count("attachments", filter=wanted))


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node on the page of a datastore: whether it has it, and why not."""

    attachment: Attachment
    status: Status

    @property
    def node(self) -> Node:
        return self.attachment.node


def node_rows(datastore: Datastore, nodes: QuerySet[Node]) -> list[NodeRow]:
    """The nodes that have it or should, of those that may be shown; in one query."""
    rows = Attachment.objects.filter(datastore=datastore, node__in=nodes).select_related("node")
    return [NodeRow(row, _attachment_status(AttachmentState(row.state))) for row in rows]


def _attachment_status(state: AttachmentState) -> Status:
    glyph, tone = _ATTACHMENT[state]
    return Status(state.value, glyph, tone, state.label, state.label.lower())


@dataclass(frozen=True, slots=True)
class Known:
    """What the rows are made from: the last look, and whether it and its figures are current."""

    facts: ClusterFacts | None
    current: bool
    figures: bool


class DatastoreTable(Table):
    """Datastores. `context` is Known."""

    columns = (
        Column("status", "Status", ("state",), fixed=True),
        Column("name", "Name", ("name",), fixed=True),
        Column("use", "Use", ("use",), minor=True),
        Column("policy", "Policy", ("tier", "mode", "domain")),
        Column("used", "Used", numeric=True),
        Column("left", "Usable left", numeric=True),
        Column("pools", "Pools", ("pool",), minor=True),
        Column("created", "Created", ("created_at",), extra=True),
    )
    row_template = "storage/_datastore_row.html"
    noun = ("datastore", "datastores")
    region = "datastores-table"
    label = "Datastores"

    def decorate(self, rows: list[Any]) -> list[DatastoreRow]:
        return datastore_rows(rows, self.context)


def datastore_rows(datastores: list[Datastore], known: Known) -> list[DatastoreRow]:
    facts = known.facts
    pools = {pool.name: pool for pool in facts.pools} if facts is not None else {}
    tiers = Tiers(facts) if facts is not None else None
    policies = {policy_of(datastore) for datastore in datastores}  # many datastores share a few
    left = {each: tiers[each.tier].usable(each.mode, each.domain) for each in policies} if tiers is not None else {}
    return [_row(datastore, known, pools, left) for datastore in datastores]


def _row(datastore: Datastore, known: Known, pools: dict[str, PoolFacts], left: dict[Policy, int]) -> DatastoreRow:
    policy, found = policy_of(datastore), pools_of(datastore, pools)
    told = known.figures and bool(found)
    return DatastoreRow(
        datastore=datastore,
        status=datastore_status(datastore, known, missing=_missing(datastore, pools)),
        policy=policy,
        used=sum(pool.stored for pool in found) if told else None,
        raw=sum(pool.used for pool in found) if told else None,
        left=left.get(policy) if told else None,
        pools=found,
    )


def _missing(datastore: Datastore, pools: dict[str, PoolFacts]) -> list[str]:
    return [name for name in dict.fromkeys((datastore.pool, datastore.data_pool)) if name and name not in pools]


def datastore_status(datastore: Datastore, known: Known, missing: list[str]) -> Status:
    """Its state; for a ready one also whether its pools are still there, and whether that is known."""
    state = DatastoreState(datastore.state)
    glyph, tone = APPEARANCE[state]
    if state == DatastoreState.READY and not known.current:
        return Status(
            "unknown", "unreachable", "idle", "No contact", "no contact", False, "The cluster does not answer"
        )
    if state == DatastoreState.READY and missing:
        reason = f"The cluster has no pool {missing[0]} any more"
        return Status("missing", "crit", "crit", "Pool missing", "pool missing", True, reason)
    apart = getattr(datastore, "apart", 0)  # only those of with_nodes() have it
    if state == DatastoreState.READY and apart:
        word = f"Ready, not on {fmt.count(apart, 'node')}"
        reason = "VEs with disks or files on it cannot run there; its page says why"
        return Status(state.value, "warn", "warn", word, word.lower(), True, reason)
    return Status(state.value, glyph, tone, state.label, state.label.lower())


@dataclass(frozen=True, slots=True)
class OtherPool:
    """A pool that belongs to no datastore of Mooring."""

    pool: PoolFacts
    maker: str

    @property
    def words(self) -> str:
        """ "2 replicas", "Encoding 5+2"."""
        if self.pool.coded:
            return f"Encoding {self.pool.data_chunks}+{self.pool.size - self.pool.data_chunks}"
        return "1 replica" if self.pool.size == 1 else f"{self.pool.size} replicas"


def other_pools(facts: ClusterFacts, datastores: list[tuple[str, str]]) -> list[OtherPool]:
    """Pools that no datastore names; `datastores`: (pool, data_pool) of all of them."""
    own = {name for pair in datastores for name in pair}
    return [
        OtherPool(pool, _maker(pool))
        for pool in sorted(facts.pools, key=lambda pool: pool.name)
        if pool.name not in own
    ]


def _maker(pool: PoolFacts) -> str:
    if not is_ours(pool.applications):
        return "Outside Mooring"
    return "Mooring, for all datastores of files" if pool.name in SHARED_POOLS else "Mooring, of no datastore"
