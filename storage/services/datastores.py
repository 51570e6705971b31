"""Creating datastores and removing them: what is refused, what is recorded, and the task that does it."""

import re
from collections.abc import Mapping

from django.db import transaction
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest

from infrastructure.models import VE
from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from panel.accounts.models import User
from panel.ui.format import count
from storage.choices import DatastoreState, Use
from storage.drivers.facts import DOMAINS, PoolFacts
from storage.drivers.matching import MOST_ENTRIES
from storage.models import Cluster, Datastore, StorageRevision
from storage.pool_layout import PoolLayout, layout
from storage.redundancy import MODES, Policy
from storage.services import file_servers, mounts, policies
from storage.services.freshness import current_facts
from storage.services.observed import announce
from tasks.choices import OPEN_STATES
from tasks.models import Task
from tasks.services import Target, enqueue

PERMISSION = "storage.manage"
CREATE, REMOVE = "storage.datastore.create", "storage.datastore.remove"
USES = (Use.VM, Use.FILES)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,38}", re.ASCII)


def clean_name(name: str) -> str:
    """A name that may stand in a pool's name and in libvirt's, such as "fast". InvalidInput otherwise."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot be a datastore's name",
            advice="Use 1 to 39 small letters, digits and hyphens, with a letter or digit first.",
            field="name",
        )
    return name


def clean_policy(tier: int, mode: str, domain: str) -> Policy:
    """A policy that exists; whether it fits is policies.check's to say. InvalidInput otherwise."""
    policies.require_tier(tier)
    if domain not in DOMAINS:
        raise InvalidInput("There is no such failure domain", advice="Choose one of the list.", field="domain")
    if mode not in MODES:
        raise InvalidInput("There is no such redundancy mode", advice="Choose one of the list.", field="mode")
    return Policy(tier, MODES[mode], domain)


def policy_of(datastore: Datastore) -> Policy:
    return Policy(datastore.tier, MODES[datastore.mode], datastore.domain)


def layout_of(datastore: Datastore) -> PoolLayout:
    """How it lies in Ceph. Follows from the row alone, so that every attempt and every undo names the same pools."""
    return layout(policy_of(datastore), datastore.use, datastore.name)


def create(
    *,
    user: User | None,
    cluster: Cluster,
    name: str,
    use: str,
    tier: int,
    mode: str,
    domain: str,
    request: HttpRequest | None = None,
) -> tuple[Datastore, Task]:
    """Start creating a datastore; its name and pools are taken at once. An equal request gets the running task.

    Raises PermissionDenied; InvalidInput for a value that cannot be accepted or a name that is taken; NotPossible when
    the policy does not fit the cluster now, its tier is near-full, or the cluster does not answer.
    """
    authorize(user=user, permission=PERMISSION, action=CREATE, request=request)
    name, policy = clean_name(name), clean_policy(tier, mode, domain)
    if use not in USES:
        raise InvalidInput("There is no such use", advice="Choose one of the list.", field="use")
    with transaction.atomic():
        # The cluster's row serialises requests, so that two that come at once see each other.
        cluster = Cluster.objects.select_for_update().get(pk=cluster.pk)
        held = Datastore.objects.filter(name=name).first()
        if held is not None:
            running = _running(held)
            if running is not None and running.kind == CREATE and _same(held, cluster, use, policy):
                running.already_running = True
                return held, running
            _refuse_taken(held, running, cluster, use, policy)
        facts = current_facts(cluster)
        policies.check(facts, policy)
        if use == Use.FILES:
            file_servers.check(cluster, facts)
        datastore = held or Datastore(cluster=cluster, name=name, use=use, tier=tier, mode=mode, domain=domain)
        wanted = layout_of(datastore)
        datastore.pool, datastore.data_pool = wanted.pool, wanted.data_pool or wanted.pool
        _save(datastore, DatastoreState.CREATING)
        task = _enqueue(CREATE, user, datastore, request)
    return datastore, task


def remove(*, user: User | None, datastore: Datastore, confirmation: str, request: HttpRequest | None = None) -> Task:
    """Start removing a datastore and its pools; `confirmation` is its name, typed.

    Whether it is empty is asked by the worker. Raises PermissionDenied, InvalidInput, NotPossible, TaskConflict.
    """
    authorize(user=user, permission=PERMISSION, action=REMOVE, obj=datastore, request=request)
    if confirmation.strip() != datastore.name:
        raise InvalidInput(f"Type {datastore.name} to confirm", field="confirmation")
    return _enqueue(REMOVE, user, datastore, request)


def set_state(datastore: Datastore, state: str) -> None:
    """Write the state, and have open pages read it."""
    with transaction.atomic():
        _save(datastore, state)


def forget(datastore: Datastore) -> None:
    """Delete the row, and have open pages read that."""
    with transaction.atomic():
        StorageRevision.bump()
        datastore.delete()
        announce()


def used_by(images: tuple[str, ...], datastore: Datastore) -> NotPossible:
    """The refusal to remove a datastore that holds images, with who they are and which VEs have them."""
    trashed = [image for image in images if image.startswith("trash/")]
    named = [image for image in images if image not in trashed]
    owners = _owners(datastore)
    words = [f"{image} of {owners[image]}" if image in owners else image for image in named[:5]]
    shown = ", ".join(words) + (f" and {len(named) - 5:,} more" if len(named) > 5 else "")
    parts = [f"{count(len(named), 'image')}: {shown}"] if named else []
    parts += [f"{count(len(trashed), 'image')} in its trash"] if trashed else []
    return NotPossible(
        f"{datastore} is not empty: it holds {' and '.join(parts)}",
        advice="Move or delete them first, then try again.",
    )


def holds_files(names: tuple[str, ...], datastore: Datastore) -> NotPossible:
    """The refusal to remove a datastore that holds files, with the first of them."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    held = f"{'at least ' * (len(names) >= MOST_ENTRIES)}{count(len(names), 'file or folder', 'files or folders')}"
    return NotPossible(
        f"{datastore} is not empty: it holds {held}: {shown}",
        advice=f"Move or delete them on a node in {mounts.path_of(datastore.name)} first, then try again.",
    )


def users_of(datastore: Datastore) -> QuerySet[VE]:
    """The VEs that have a disk on it, as far as the inventory knows, by name."""
    # The database looks through the text, so that of many VEs only these are read.
    told = VE.objects.annotate(told=Cast("disks", TextField())).filter(told__contains=f'"{datastore.pool}/')
    return told.order_by("name", "pk") if datastore.use == Use.VM and datastore.pool else VE.objects.none()


def _owners(datastore: Datastore) -> dict[str, str]:
    """Image → name of the VE that has it as a disk."""
    inside = f"{datastore.pool}/"
    rows = users_of(datastore).values_list("name", "disks")
    sources = (
        (name, disk.get("source", "")) for name, disks in rows for disk in disks if disk.get("protocol") == "rbd"
    )
    return {source.removeprefix(inside): name for name, source in sources if source.startswith(inside)}


def pools_of(datastore: Datastore, pools: Mapping[str, PoolFacts]) -> list[PoolFacts]:
    """Those of its pools that the cluster has."""
    names = dict.fromkeys((datastore.pool, datastore.data_pool))
    return [pools[name] for name in names if name in pools]


def _same(held: Datastore, cluster: Cluster, use: str, policy: Policy) -> bool:
    return (held.cluster_id, held.use, policy_of(held)) == (cluster.pk, use, policy)


def _refuse_taken(held: Datastore, running: Task | None, cluster: Cluster, use: str, policy: Policy) -> None:
    """The name may be taken by one that was not created: with the same policy it is tried again."""
    if running is not None:
        doing = "created" if running.kind == CREATE else "removed"
        raise InvalidInput(
            f"A datastore named {held} is being {doing} by task {running.pk}",
            advice="Choose another name, or wait for its end.",
            field="name",
        )
    if held.state != DatastoreState.FAILED:
        raise InvalidInput(f"There is a datastore named {held} already", advice="Choose another name.", field="name")
    if not _same(held, cluster, use, policy):
        raise InvalidInput(
            f"A datastore named {held} was begun with another policy and not created",
            advice="Remove that one first, or choose another name.",
            field="name",
        )


def _running(datastore: Datastore) -> Task | None:
    """The open task that creates or removes it."""
    tasks = Task.objects.filter(kind__in=(CREATE, REMOVE), state__in=OPEN_STATES)
    return tasks.filter(object_type="datastore", object_id=datastore.pk).first()


def _save(datastore: Datastore, state: str) -> None:
    datastore.state, datastore.rev = state, StorageRevision.bump()
    datastore.save()
    announce()


def _enqueue(kind: str, user: User | None, datastore: Datastore, request: HttpRequest | None) -> Task:
    policy = policy_of(datastore)
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"datastore_id": datastore.pk},
        title_args={"datastore": datastore.name},
        targets=[Target("datastore", datastore.pk, datastore.name)],
        place=datastore.cluster.name,
        permission_object=datastore,
        facts={"Policy": policy, "Pool": datastore.pool},
    )
