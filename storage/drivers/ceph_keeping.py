"""Rules, profiles and pools on Ceph. Each function is one round's work, asks before it acts and may be repeated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import rados
import rbd

from infrastructure.drivers.errors import DriverError, NotFound, Refused
from storage.drivers import ceph_pools, matching
from storage.drivers.ceph_crush import Crush, crush
from storage.drivers.ceph_errors import translating
from storage.drivers.ceph_json import rows
from storage.drivers.ceph_round import Round
from storage.drivers.facts import PoolFacts, Profile, Rule
from storage.drivers.matching import UNFINISHED

_DATA_POOL = "conf_rbd_default_data_pool"  # as `rbd config pool set` keeps it
# The autoscaler takes it from here; many disks get a first spread that does not leave most of them idle.
_FEW_GROUPS, _MORE_GROUPS, _MANY_DISKS = 8, 32, 30
_NONE: Mapping[str, Any] = {}


class Keeping:
    """What is there, read once, and the changes of one round."""

    def __init__(self, ask: Round) -> None:
        self._round = ask
        self.osd_dump = ask.ask_one("osd dump")
        self.map_: Crush = crush(ask.ask_one("osd crush dump"))
        self.pools: tuple[PoolFacts, ...] = ceph_pools.pools(self.osd_dump, _NONE, self.map_)

    def pool(self, name: str) -> PoolFacts | None:
        return next((pool for pool in self.pools if pool.name == name), None)

    def rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.map_.rules if rule.name == name), None)

    def profile(self, name: str) -> Profile | None:
        return next((known for known in ceph_pools.profiles(self.osd_dump) if known.name == name), None)

    def make_rule(self, name: str, *, device_class: str, domain: str) -> bool:
        matching.check_name(name)
        if (there := self.rule(name)) is not None:
            matching.require_same_rule(there, device_class=device_class, domain=domain)
            return False
        words = {"name": name, "root": "default", "type": domain, "class": device_class}
        self._round.do("osd crush rule create-replicated", **words)
        return True

    def make_profile(self, profile: Profile) -> bool:
        matching.check_name(profile.name)
        if (there := self.profile(profile.name)) is not None:
            matching.require_same_profile(there, profile)
            return False
        told = {
            "k": profile.data,
            "m": profile.coding,
            "plugin": profile.plugin,
            "crush-root": profile.root,
            "crush-failure-domain": profile.domain,
            "crush-device-class": profile.device_class,
        }
        pairs = [f"{key}={value}" for key, value in told.items() if value != ""]
        self._round.do("osd erasure-code-profile set", name=profile.name, profile=pairs)
        return True

    def make_replicated_pool(self, name: str, *, size: int, rule: str, application: str, marks: dict[str, str]) -> bool:
        matching.check_name(name)
        if self._is_there(name, coded=False, size=size, rule=rule, profile="", application=application, marks=marks):
            return False
        if self.rule(rule) is None:
            raise NotFound(f"There is no CRUSH rule {rule}", code="no-rule", component="ceph")
        unfinished = name + UNFINISHED
        self._create(unfinished, pool_type="replicated", rule=rule, size=size)
        if size == 1:
            self._insist_on_one_copy(unfinished)
        self._set(unfinished, "min_size", matching.min_size(size))
        self._finish(name, application, marks)
        return True

    def make_coded_pool(self, name: str, *, profile: Profile, application: str, marks: dict[str, str]) -> bool:
        matching.check_name(name)
        if (known := self.profile(profile.name)) is None:
            raise NotFound(f"There is no erasure-code profile {profile.name}", code="no-profile", component="ceph")
        matching.require_same_profile(known, profile)
        size = profile.data + profile.coding
        asked = {"application": application, "marks": marks}
        if self._is_there(name, coded=True, size=size, rule=name, profile=profile.name, **asked):
            return False
        if self.rule(name) is None:
            self._round.do("osd crush rule create-erasure", name=name, profile=profile.name)
        unfinished = name + UNFINISHED
        self._create(unfinished, pool_type="erasure", rule=name, erasure_code_profile=profile.name)
        self._set(unfinished, "min_size", matching.min_chunks(profile))
        self._set(unfinished, "allow_ec_overwrites", "true")
        self._finish(name, application, marks)
        return True

    def _is_there(self, name: str, **asked: Any) -> bool:
        """Whether the pool is there as asked for. Conflict when another one is."""
        if (pool := self.pool(name)) is None:
            return False
        matching.require_same_pool(pool, **asked)
        return True

    def _create(self, name: str, **words: object) -> None:
        """Ceph's own answer to a pool of this name that is there already is success."""
        groups = _MORE_GROUPS if len(rows(self.osd_dump, "osds")) > _MANY_DISKS else _FEW_GROUPS
        self._round.do("osd pool create", pool=name, pg_num=groups, pgp_num=groups, autoscale_mode="on", **words)

    def _set(self, pool: str, setting: str, value: object) -> None:
        self._round.do("osd pool set", pool=pool, var=setting, val=str(value))

    def _insist_on_one_copy(self, unfinished: str) -> None:
        """Ceph makes a pool of one copy without asking, but where such pools are forbidden it refuses to set one."""
        try:
            self._round.do("osd pool set", pool=unfinished, var="size", val="1", yes_i_really_mean_it=True)
        except Refused:
            with suppress(DriverError):  # what is told is the reason, not that removing it may be forbidden as well
                self._delete(unfinished)
            raise

    def _delete(self, pool: str) -> None:
        self._round.do("osd pool delete", pool=pool, pool2=pool, yes_i_really_really_mean_it=True)

    def _finish(self, name: str, application: str, marks: Mapping[str, str]) -> None:
        """Mark the pool as the panel's, then give it its name."""
        unfinished = name + UNFINISHED
        self._round.do("osd pool application enable", pool=unfinished, app=application)
        for key, value in marks.items():
            self._round.do("osd pool application set", pool=unfinished, app=application, key=key, value=value)
        self._round.do("osd pool rename", srcpool=unfinished, destpool=name)

    def remove_pool(self, name: str, *, marks: dict[str, str]) -> bool:
        matching.check_name(name)
        if (pool := self.pool(name)) is not None:
            matching.require_marks(pool, marks)
        gone = [there.name for there in self.pools if there.name in (name, name + UNFINISHED)]
        for there in gone:
            self._delete(there)
        rule = self.rule(name)
        used = any(pool.rule == name for pool in self.pools if pool.name not in gone)
        if rule is None or not rule.coded or used:
            return bool(gone)
        self._round.do("osd crush rule rm", name=name)
        return True

    def remove_rule(self, name: str) -> bool:
        matching.check_name(name)
        if self.rule(name) is None:
            return False
        if users := [pool.name for pool in self.pools if pool.rule == name]:
            raise matching.in_use("CRUSH rule", name, users)
        self._round.do("osd crush rule rm", name=name)
        return True

    def remove_profile(self, name: str) -> bool:
        matching.check_name(name)
        if self.profile(name) is None:
            return False
        if users := [pool.name for pool in self.pools if pool.profile == name]:
            raise matching.in_use("erasure-code profile", name, users)
        self._round.do("osd erasure-code-profile rm", name=name)
        return True

    def set_default_data_pool(self, pool: str, data_pool: str) -> bool:
        for name in (pool, data_pool):
            matching.require_readable(self._require(name))
        with self._opened(pool, f"set where images of {pool} keep their data") as ioctx:
            if dict(rbd.RBD().pool_metadata_list(ioctx)).get(_DATA_POOL) == data_pool:
                return False
            rbd.RBD().pool_metadata_set(ioctx, _DATA_POOL, data_pool)
        return True

    def images(self, pool: str) -> tuple[str, ...]:
        there = self._require(pool)
        matching.require_readable(there)
        if there.coded:
            return ()
        with self._opened(pool, f"list the images of {pool}") as ioctx:
            names = [str(name) for name in rbd.RBD().list(ioctx)]
            trash = [f"trash/{entry['name']}" for entry in rbd.RBD().trash_list(ioctx)]
        return tuple(sorted(names + trash))

    @contextmanager
    def _opened(self, pool: str, doing: str) -> "Iterator[rados.Ioctx]":
        """The pool's objects, for librbd."""
        with translating(self._round.where, doing):
            # A pool that was just made and marked is unknown to disks that have not seen a newer map.
            self._round.handle.wait_for_latest_osdmap()
            with self._round.handle.open_ioctx(pool) as ioctx:
                yield ioctx

    def _require(self, name: str) -> PoolFacts:
        if (pool := self.pool(name)) is None:
            raise NotFound(f"There is no pool {name}", code="no-pool", component="ceph")
        return pool
