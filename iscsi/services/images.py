"""The images of LUNs: from a LUN's row to calls of the storage's driver, and its snapshots in rows."""

from collections.abc import Callable, Collection, Sequence

from iscsi.models import IscsiRevision, Lun, Snapshot
from iscsi.services.announcing import announce
from storage.drivers.base import StorageCluster
from storage.drivers.imaging import ImageLimits, SnapshotFacts
from storage.models import Cluster
from storage.services.access import driver


class Images:
    """What is done to images. `reach`: from a cluster's row to its driver, which may be one that waits for it."""

    def __init__(self, reach: Callable[[Cluster], StorageCluster] = driver) -> None:
        self._reach = reach

    def _of(self, lun: Lun) -> tuple[StorageCluster, str, str]:
        return self._reach(lun.datastore.cluster), lun.datastore.pool, lun.image

    def make(self, lun: Lun) -> bool:
        """Make the image; False when it is there. Raises DriverError."""
        cluster, pool, image = self._of(lun)
        return cluster.make_image(pool, image, size=lun.size, data_pool=lun.datastore.data_pool)

    def exists(self, lun: Lun) -> bool:
        """Whether the image is there, in a pool that is there."""
        cluster, pool, image = self._of(lun)
        return any(each.name == pool for each in cluster.pools()) and image in cluster.images(pool)

    def free(self, lun: Lun) -> bool:
        """Take the image from whoever held it, such as a server that died; only while nobody should have it open."""
        cluster, pool, image = self._of(lun)
        return cluster.free_image(pool, image)

    def shut_out(self, lun: Lun, hosts: Collection[str]) -> tuple[str, ...]:
        """Have the cluster refuse all from now on whoever has it open from these IP addresses; who. Raises Conflict."""
        cluster, pool, image = self._of(lun)
        return cluster.shut_out(pool, image, hosts)

    def remove(self, lun: Lun) -> bool:
        """Remove the image with its snapshots; False when it is not there. Conflict while somebody has it open."""
        if not self.exists(lun):
            return False
        cluster, pool, image = self._of(lun)
        cluster.free_image(pool, image)
        for each in cluster.snapshots(pool, image):
            cluster.remove_snapshot(pool, image, each.name)
        return cluster.remove_image(pool, image)

    def resize(self, lun: Lun, size: int) -> bool:
        """Make the image larger; False when it has the size. Raises DriverError."""
        cluster, pool, image = self._of(lun)
        return cluster.resize_image(pool, image, size)

    def take_snapshot(self, lun: Lun, name: str) -> bool:
        cluster, pool, image = self._of(lun)
        return cluster.take_snapshot(pool, image, name)

    def drop_snapshot(self, lun: Lun, name: str) -> bool:
        cluster, pool, image = self._of(lun)
        return cluster.remove_snapshot(pool, image, name)

    def roll_back(self, lun: Lun, name: str) -> int:
        """Make the image what it was at the snapshot; its size then. Nobody may have it open."""
        cluster, pool, image = self._of(lun)
        cluster.free_image(pool, image)
        cluster.roll_back(pool, image, name)
        return cluster.image_size(pool, image)

    def snapshots(self, lun: Lun) -> tuple[SnapshotFacts, ...]:
        cluster, pool, image = self._of(lun)
        return cluster.snapshots(pool, image)

    def limit(self, lun: Lun, iops: int, bps: int) -> bool:
        """Limit what whoever opens the image may do each second; 0 is no limit. False when it is so already."""
        cluster, pool, image = self._of(lun)
        return cluster.limit_image(pool, image, ImageLimits(iops, bps))


def record_snapshots(lun: Lun, found: Sequence[SnapshotFacts]) -> None:
    """Have the rows say what the cluster told; call it in a transaction."""
    names = {each.name for each in found}
    lun.snapshots.exclude(name__in=names).delete()
    for each in found:
        Snapshot.objects.update_or_create(
            lun=lun, name=each.name, defaults={"size": each.size, "taken_at": each.taken_at}
        )
    Lun.objects.filter(pk=lun.pk).update(rev=IscsiRevision.bump())
    announce()
