"""Images of LUNs on Ceph. Each function is one round's work, asks before it acts and may be repeated."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC

import rados
import rbd

from infrastructure.drivers.errors import Conflict, NotFound, Refused
from storage.drivers import matching
from storage.drivers.ceph_errors import translating
from storage.drivers.ceph_round import Round
from storage.drivers.imaging import SHUT_OUT_SECONDS, ImageLimits, SnapshotFacts

# What librbd reads beside an image; who has it open is told at once.
_IOPS, _BPS = "conf_rbd_qos_iops_limit", "conf_rbd_qos_bps_limit"


class Images:
    """Images of pools of the panel, over one handle."""

    def __init__(self, ask: Round) -> None:
        self._round = ask

    def make(self, pool: str, image: str, size: int, data_pool: str) -> bool:
        elsewhere = data_pool if data_pool != pool else ""
        with self._pool(pool, f"make the image {pool}/{image}") as ioctx:
            try:
                rbd.RBD().create(ioctx, image, size, old_format=False, data_pool=elsewhere or None)
            except rbd.ImageExists:
                self._require_same(ioctx, pool, image, size, elsewhere)
                return False
        return True

    def _require_same(self, ioctx: "rados.Ioctx", pool: str, image: str, size: int, data_pool: str) -> None:
        with rbd.Image(ioctx, image, read_only=True) as there:
            found = self._round.handle.pool_reverse_lookup(there.data_pool_id()) if data_pool else pool
            if there.size() != size or found != (data_pool or pool):
                raise Conflict(f"There is an image {pool}/{image} already", code="image-differs", component="ceph")

    def remove(self, pool: str, image: str) -> bool:
        with self._pool(pool, f"remove the image {pool}/{image}") as ioctx:
            try:
                rbd.RBD().remove(ioctx, image)
            except rbd.ImageNotFound:
                return False
            except (rbd.ImageBusy, rbd.ImageHasSnapshots):
                raise _in_use(pool, image) from None
        return True

    def resize(self, pool: str, image: str, size: int) -> bool:
        with self._image(pool, image, f"resize the image {pool}/{image}") as there:
            if size < there.size():
                raise Refused(f"{pool}/{image} cannot shrink", code="shrink", component="ceph")
            if size == there.size():
                return False
            there.resize(size)
        return True

    def size(self, pool: str, image: str) -> int:
        with self._image(pool, image, f"look at the image {pool}/{image}", read_only=True) as there:
            return int(there.size())

    def snapshots(self, pool: str, image: str) -> tuple[SnapshotFacts, ...]:
        with self._image(pool, image, f"list the snapshots of {pool}/{image}", read_only=True) as there:
            return tuple(
                SnapshotFacts(
                    str(row["name"]), int(row["size"]), there.get_snap_timestamp(row["id"]).replace(tzinfo=UTC)
                )
                for row in sorted(there.list_snaps(), key=lambda row: row["id"])
            )

    def take_snapshot(self, pool: str, image: str, name: str) -> bool:
        with self._image(pool, image, f"take a snapshot of {pool}/{image}") as there:
            try:
                there.create_snap(name)
            except rbd.ImageExists:
                return False
        return True

    def remove_snapshot(self, pool: str, image: str, name: str) -> bool:
        with self._image(pool, image, f"remove a snapshot of {pool}/{image}") as there:
            if not _has(there, name):
                return False
            there.remove_snap(name)
        return True

    def roll_back(self, pool: str, image: str, name: str) -> None:
        with self._image(pool, image, f"roll {pool}/{image} back") as there:
            if not _has(there, name):
                raise NotFound(f"{pool}/{image} has no snapshot {name}", code="no-snapshot", component="ceph")
            if len(list(there.watchers_list())) > 1:  # this one is the first
                raise _in_use(pool, image)
            there.rollback_to_snap(name)

    def limit(self, pool: str, image: str, limits: ImageLimits) -> bool:
        with self._image(pool, image, f"limit the image {pool}/{image}") as there:
            known = dict(there.metadata_list())
            changed = False
            for key, value in ((_IOPS, limits.iops), (_BPS, limits.bps)):
                if value and known.get(key) != str(value):
                    there.metadata_set(key, str(value))
                elif not value and key in known:
                    there.metadata_remove(key)
                else:
                    continue
                changed = True
        return changed

    def free(self, pool: str, image: str) -> bool:
        with self._image(pool, image, f"free the image {pool}/{image}") as there:
            owners = [str(row["owner"]) for row in there.lock_get_owners()]
            for owner in owners:
                there.lock_break(rbd.RBD_LOCK_MODE_EXCLUSIVE, owner)
        return bool(owners)

    def shut_out(self, pool: str, image: str, hosts: Collection[str]) -> tuple[str, ...]:
        # Read-only, so that this one is not among those who have it open.
        with self._image(pool, image, f"shut others out of {pool}/{image}", read_only=True) as there:
            watchers = sorted({str(row["addr"]) for row in there.watchers_list()})
            theirs = [each for each in watchers if _host(each) in hosts]
            if others := [each for each in watchers if each not in theirs]:
                raise Conflict(
                    f"{pool}/{image} is open at {', '.join(map(_host, others))} as well",
                    code="image-busy",
                    component="ceph",
                    retryable=True,
                    advice="Find out who opened it (rbd status) and end that first.",
                )
            for each in theirs:
                self._round.handle.blocklist_add(each, SHUT_OUT_SECONDS)
        return tuple(theirs)

    @contextmanager
    def _image(self, pool: str, image: str, doing: str, *, read_only: bool = False) -> "Iterator[rbd.Image]":
        with self._pool(pool, doing) as ioctx, rbd.Image(ioctx, image, read_only=read_only) as there:
            yield there

    @contextmanager
    def _pool(self, pool: str, doing: str) -> "Iterator[rados.Ioctx]":
        matching.check_name(pool)
        with translating(self._round.where, doing):
            # A pool that was just made is unknown to one who has an older map.
            self._round.handle.wait_for_latest_osdmap()
            with self._round.handle.open_ioctx(pool) as ioctx:
                yield ioctx


def _host(watcher: str) -> str:
    """The IP address in "192.0.2.1:0/123" or "[2001:db8::1]:0/123"."""
    return watcher.rpartition(":")[0].strip("[]")


def _has(image: "rbd.Image", snapshot: str) -> bool:
    return any(row["name"] == snapshot for row in image.list_snaps())


def _in_use(pool: str, image: str) -> Conflict:
    return Conflict(
        f"{pool}/{image} is in use",
        code="image-busy",
        component="ceph",
        retryable=True,
        advice="Who has it open must close it first; one that died lets go of it within half a minute.",
    )
