"""The steps of datastores for files: the file system that they share, their data pool in it, their directory."""

import time

from storage.choices import DatastoreState
from storage.drivers.base import StorageCluster
from storage.drivers.facts import DOMAINS, FilesystemFacts, Rule
from storage.drivers.matching import FILESYSTEM
from storage.jobs.datastore_steps import data_pools, driver_of, find, has_place, make, needing, refuse_used, show, stays
from storage.models import Datastore
from storage.pool_layout import FILES, SHARED_POOLS, PoolLayout, is_ours, marks, shared_copies
from storage.redundancy import DOMAIN_WORDS
from storage.services import policies, pool_commands
from storage.services.datastores import policy_of, set_state
from storage.services.file_servers import START_ONE
from tasks.errors import JobFailed
from tasks.registry import undo
from tasks.runner import TaskRun

UNDO_FILESYSTEM, UNDO_DATA_POOL = "storage.files.unmake", "storage.files.drop-pool"
UNDO_DIRECTORY, GONE = "storage.files.drop-directory", "storage.files.directory-gone"
SERVER_SECONDS = 60.0
_APPLICATION = "cephfs"


def make_place(run: TaskRun, datastore: Datastore, wanted: PoolLayout, cluster: StorageCluster) -> None:
    """The file system unless it is there, the datastore's pool in it, and its directory."""
    pool = datastore.data_pool
    undoing: dict[str, object] = {"datastore_id": datastore.pk}
    _make_filesystem(run, datastore, wanted, cluster)
    make(
        run,
        f"Giving the file system the pool {pool}",
        pool_commands.add_data_pool(pool),
        (UNDO_DATA_POOL, undoing),
        lambda: cluster.add_data_pool(pool),
    )
    make(
        run,
        f"Making the directory {datastore.name}",
        pool_commands.make_directory(datastore.name, pool),
        (UNDO_DIRECTORY, undoing),
        lambda: cluster.make_directory(datastore.name, pool=pool),
    )


def _make_filesystem(run: TaskRun, datastore: Datastore, wanted: PoolLayout, cluster: StorageCluster) -> None:
    with run.step(f"Making the file system {FILESYSTEM}") as step:
        run.undo(UNDO_FILESYSTEM, datastore_id=datastore.pk)
        there = cluster.filesystem()
        if there is None:
            policy = policy_of(datastore)
            places = policies.Tiers(cluster.look())[policy.tier].places(policy.domain)
            copies = shared_copies(policy, len(places))
            show(step, pool_commands.make_shared_pools(wanted.rule, copies))
            for pool in SHARED_POOLS:
                cluster.make_replicated_pool(
                    pool, size=copies, rule=wanted.rule, application=_APPLICATION, marks=marks(FILES)
                )
            show(step, pool_commands.make_filesystem())
            cluster.make_filesystem()
        _wait_for_server(run, cluster)
        if there is not None:
            _warn_of_less(run, datastore, cluster, there)
            step.already_done("it is there")


def _wait_for_server(run: TaskRun, cluster: StorageCluster) -> None:
    end = time.monotonic() + SERVER_SECONDS
    while not ((there := cluster.filesystem()) and there.serving):
        run.check_cancel()
        if time.monotonic() > end:
            raise JobFailed(
                f"No metadata server took up the file system {FILESYSTEM} within {SERVER_SECONDS:.0f} s.",
                f"{START_ONE} `ceph fs status` on a node tells what they do.",
            )
        time.sleep(1)


def _warn_of_less(run: TaskRun, datastore: Datastore, cluster: StorageCluster, there: FilesystemFacts) -> None:
    """The first datastore decided how the metadata of all are kept; one that promises more cannot keep it."""
    policy = policy_of(datastore)
    pool = next((pool for pool in cluster.pools() if pool.name == there.metadata_pool), None)
    rule = next((rule for rule in cluster.rules() if pool is not None and rule.name == pool.rule), None)
    if pool is None or rule is None or not _less(policy.mode.loses_nothing_after, policy.domain, pool.size, rule):
        return
    words = DOMAIN_WORDS.get(rule.domain, ("", rule.domain))[1]
    run.warn(
        f"{datastore} is kept as {policy}, but the names and folders of all datastores for files in {pool.size} copies "
        f"over {words}: losing them would lose its files."
    )


def _less(losses: int, domain: str, copies: int, rule: Rule) -> bool:
    narrow = rule.domain in DOMAINS and DOMAINS.index(rule.domain) < DOMAINS.index(domain)
    return losses > 0 and (copies <= losses or narrow)


def remove_place(run: TaskRun, datastore: Datastore, cluster: StorageCluster) -> None:
    """The directory, which is empty, and the pool's place in the file system."""
    with run.step(f"Removing the directory {datastore.name}") as step:
        run.undo(GONE, datastore_id=datastore.pk)
        if not has_place(datastore, cluster):
            step.already_done("the file system does not have it")
            return
        show(step, pool_commands.remove_directory(datastore.name))
        if not cluster.remove_directory(datastore.name):
            step.already_done()
    with run.step(f"Taking the pool {datastore.data_pool} from the file system") as step:
        show(step, pool_commands.remove_data_pool(datastore.data_pool))
        if not cluster.remove_data_pool(datastore.data_pool):
            step.already_done()


def drop_filesystem(run: TaskRun, datastore: Datastore, cluster: StorageCluster) -> None:
    """Remove the file system and its pools when no other datastore needs it; with the rule when that is free then."""
    used = data_pools(cluster)
    if set(used or ()) - set(SHARED_POOLS) or needing(datastore).filter(use=FILES).exists():
        run.line(f"The file system {FILESYSTEM} stays: others use it")
        return
    if used is not None and cluster.remove_filesystem():
        show(run, pool_commands.remove_filesystem())
    rules = set()
    for pool in [pool for pool in cluster.pools() if pool.name in SHARED_POOLS and is_ours(pool.applications)]:
        rules.add(pool.rule)
        cluster.remove_pool(pool.name, marks=marks(FILES))
        show(run, pool_commands.remove_pool(pool.name))
    for rule in [rule for rule in cluster.rules() if rule.name in rules]:
        _drop_rule(run, datastore, cluster, rule)


def _drop_rule(run: TaskRun, datastore: Datastore, cluster: StorageCluster, rule: Rule) -> None:
    """The rule of the first datastore for files, which may be gone for long."""
    rows = needing(datastore).filter(domain=rule.domain)
    needed = any(f"tier{tier}" == rule.device_class for tier in rows.values_list("tier", flat=True))
    if needed or any(pool.rule == rule.name for pool in cluster.pools()):
        return
    if cluster.remove_rule(rule.name):
        show(run, pool_commands.remove_rule(rule.name))


@undo(UNDO_FILESYSTEM)
def unmake_filesystem(run: TaskRun, *, datastore_id: int) -> None:
    """Take back the file system unless other datastores use it."""
    datastore = find(datastore_id)
    if not stays(run, datastore):
        drop_filesystem(run, datastore, driver_of(run, datastore))


@undo(UNDO_DATA_POOL)
def drop_data_pool(run: TaskRun, *, datastore_id: int) -> None:
    """Take the pool out of the file system again, unless files lie in it."""
    datastore = find(datastore_id)
    if stays(run, datastore):
        return
    cluster = driver_of(run, datastore)
    if not has_place(datastore, cluster):
        return
    refuse_used(datastore, cluster)
    if cluster.remove_data_pool(datastore.data_pool):
        show(run, pool_commands.remove_data_pool(datastore.data_pool))


@undo(UNDO_DIRECTORY)
def drop_directory(run: TaskRun, *, datastore_id: int) -> None:
    """Take back the directory; one that holds files is left, and then its pool is, too."""
    datastore = find(datastore_id)
    if stays(run, datastore):
        return
    cluster = driver_of(run, datastore)
    if not has_place(datastore, cluster):
        return
    if cluster.remove_directory(datastore.name):
        show(run, pool_commands.remove_directory(datastore.name))


@undo(GONE)
def directory_gone(run: TaskRun, *, datastore_id: int) -> None:
    """A removed directory does not come back: the removal can only be tried again."""
    datastore = Datastore.objects.select_related("cluster").filter(pk=datastore_id).first()
    if datastore is None:
        return
    cluster = driver_of(run, datastore)
    if data_pools(cluster) is None or cluster.entries(datastore.name) is not None:
        return
    with run.atomic():
        set_state(datastore, DatastoreState.PARTLY)
