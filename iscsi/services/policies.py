"""The pools that LUNs of one policy share: a row of `Datastore` of use `lun`, made with the first LUN."""

from django.db import transaction

from iscsi.choices import Stage
from iscsi.models import Lun
from storage.choices import DatastoreState, Use
from storage.models import Cluster, Datastore, StorageRevision
from storage.redundancy import Policy
from storage.services import policies
from storage.services.datastores import layout_of, policy_of
from storage.services.freshness import current_facts
from tasks.lanes import Lane


def check(cluster: Cluster, policy: Policy, size: int) -> None:
    """NotPossible, with the figures, unless so many more bytes can be kept in the policy now."""
    policies.check(current_facts(cluster), policy, size)


def datastore_for(cluster: Cluster, policy: Policy) -> Datastore:
    """The row of a policy; call it in a transaction. A new one has no pools yet: its first LUN's task makes them."""
    Cluster.objects.select_for_update().get(pk=cluster.pk)  # two first LUNs at once find one row
    there = Datastore.objects.filter(
        cluster=cluster, use=Use.LUN, tier=policy.tier, mode=policy.mode.key, domain=policy.domain
    ).first()
    if there is not None:
        return there
    made = Datastore(
        cluster=cluster,
        name=f"lun.t{policy.tier}.{policy.mode.key}.{policy.domain}",  # dots: no datastore is named so
        use=Use.LUN,
        tier=policy.tier,
        mode=policy.mode.key,
        domain=policy.domain,
        state=DatastoreState.CREATING,
    )
    wanted = layout_of(made)
    made.pool, made.data_pool = wanted.pool, wanted.data_pool or wanted.pool
    made.rev = StorageRevision.bump()
    made.save()
    return made


def lanes(datastore: Datastore) -> list[Lane]:
    """One at a time adds or deletes LUNs of a policy, for the first makes the pools and the last removes them."""
    return [Lane(f"lun-pools:{datastore.pk}", 1, f"another LUN that is added or deleted: {policy_of(datastore)}")]


def used_by_others(datastore: Datastore, lun_id: int) -> bool:
    """Whether another LUN needs the pools: any that is there, or is to be made."""
    return Lun.objects.filter(datastore=datastore).exclude(pk=lun_id).exclude(stage=Stage.FAILED).exists()


def forget_unused(datastore_id: int) -> None:
    """Delete the row of a policy that no LUN names any more; its pools are gone by then."""
    with transaction.atomic():
        StorageRevision.bump()
        Datastore.objects.filter(pk=datastore_id, use=Use.LUN, luns=None).delete()
