"""The pools, rules and profiles of the FakeCluster."""

import threading
from collections import defaultdict, deque
from dataclasses import replace

from infrastructure.drivers.base import remaining
from infrastructure.drivers.errors import DriverError, NotFound, Refused, TimedOut
from storage.drivers import matching
from storage.drivers.facts import PoolFacts, Profile, Rule
from storage.drivers.matching import UNFINISHED

LOOKING_SECONDS = 4.0


class FakePools:
    """PoolKeeper in memory. Every call is noted in ``calls`` and first meets the fault scripted for its name."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.pools_by_name: dict[str, PoolFacts] = {}
        self.rules_by_name = {"replicated_rule": Rule(0, "replicated_rule", coded=False, root="default", domain="host")}
        self.profiles_by_name: dict[str, Profile] = {}
        self.images_by_pool: defaultdict[str, list[str]] = defaultdict(list)
        self.data_pools: dict[str, str] = {}  # pool → rbd_default_data_pool
        self._number = 0
        self._faults: defaultdict[str, deque[DriverError | threading.Event]] = defaultdict(deque)

    def fail_next(self, method: str, error: DriverError, *, times: int = 1) -> None:
        """The next calls of the method raise this and do nothing.

        "finish_pool" is the point at which a pool is made but has not its name yet: a call that is interrupted there.
        """
        self._faults[method].extend([error] * times)

    def hang(self, method: str) -> threading.Event:
        """The next call of the method waits until the event is set, and is TimedOut at its deadline."""
        gate = threading.Event()
        self._faults[method].append(gate)
        return gate

    def _enter(self, method: str) -> None:
        self.calls.append(method)
        if not self._faults[method]:
            return
        fault = self._faults[method].popleft()
        if isinstance(fault, DriverError):
            raise fault
        seconds = remaining(LOOKING_SECONDS)
        if not fault.wait(seconds):
            raise TimedOut(f"The cluster did not answer within {seconds:g} s", code="deadline", component="ceph")

    def add_pool(self, name: str, *, size: int = 3, stored: int = 0, **facts: object) -> PoolFacts:
        """A pool made by hand, without marks unless ``applications`` has them."""
        self._number += 1
        pool = PoolFacts(
            self._number, name, coded=False, size=size, min_size=2, rule="replicated_rule", groups=32, stored=stored
        )
        pool = replace(pool, used=stored * size, **facts)  # type: ignore[arg-type]
        self.pools_by_name[name] = pool
        return pool

    def pools(self) -> tuple[PoolFacts, ...]:
        self._enter("pools")
        return tuple(self.pools_by_name.values())

    def rules(self) -> tuple[Rule, ...]:
        self._enter("rules")
        return tuple(self.rules_by_name.values())

    def profiles(self) -> tuple[Profile, ...]:
        self._enter("profiles")
        return tuple(self.profiles_by_name.values())

    def make_rule(self, name: str, *, device_class: str, domain: str) -> bool:
        self._enter("make_rule")
        matching.check_name(name)
        if (there := self.rules_by_name.get(name)) is not None:
            matching.require_same_rule(there, device_class=device_class, domain=domain)
            return False
        if not self._has_class(device_class):
            raise Refused(
                f"device class {device_class} does not exist",
                code="EINVAL",
                component="ceph",
                advice="Add a disk of this tier first.",
            )
        self._add_rule(Rule(0, name, coded=False, root="default", device_class=device_class, domain=domain))
        return True

    def _has_class(self, device_class: str) -> bool:
        raise NotImplementedError

    def _add_rule(self, rule: Rule) -> None:
        number = 1 + max((there.id for there in self.rules_by_name.values()), default=-1)
        self.rules_by_name[rule.name] = replace(rule, id=number)

    def make_profile(self, profile: Profile) -> bool:
        self._enter("make_profile")
        matching.check_name(profile.name)
        if (there := self.profiles_by_name.get(profile.name)) is not None:
            matching.require_same_profile(there, profile)
            return False
        self.profiles_by_name[profile.name] = profile
        return True

    def make_replicated_pool(self, name: str, *, size: int, rule: str, application: str, marks: dict[str, str]) -> bool:
        self._enter("make_replicated_pool")
        pool = PoolFacts(0, name, coded=False, size=size, min_size=matching.min_size(size), rule=rule)
        return self._make_pool(pool, application, marks)

    def make_coded_pool(self, name: str, *, profile: Profile, application: str, marks: dict[str, str]) -> bool:
        self._enter("make_coded_pool")
        matching.check_name(name)
        if profile.name not in self.profiles_by_name:
            raise NotFound(f"There is no erasure-code profile {profile.name}", code="no-profile", component="ceph")
        matching.require_same_profile(self.profiles_by_name[profile.name], profile)
        size = profile.data + profile.coding
        pool = PoolFacts(
            0, name, coded=True, size=size, min_size=matching.min_chunks(profile), rule=name, profile=profile.name
        )
        pool = replace(pool, data_chunks=profile.data)
        if name not in self.pools_by_name and name not in self.rules_by_name:
            place = {"root": profile.root, "device_class": profile.device_class, "domain": profile.domain}
            self._add_rule(Rule(0, name, coded=True, **place))
        return self._make_pool(pool, application, marks)

    def _make_pool(self, pool: PoolFacts, application: str, marks: dict[str, str]) -> bool:
        matching.check_name(pool.name)
        if (there := self.pools_by_name.get(pool.name)) is not None:
            matching.require_same_pool(
                there,
                coded=pool.coded,
                size=pool.size,
                rule=pool.rule,
                profile=pool.profile,
                application=application,
                marks=marks,
            )
            return False
        if pool.rule not in self.rules_by_name:
            raise NotFound(f"There is no CRUSH rule {pool.rule}", code="no-rule", component="ceph")
        unfinished = pool.name + UNFINISHED
        self._number += 1
        made = replace(pool, id=self._number, name=unfinished, groups=8)
        self.pools_by_name.setdefault(unfinished, made)
        self._enter("finish_pool")
        made = self.pools_by_name.pop(unfinished)
        self.pools_by_name[pool.name] = replace(made, name=pool.name, applications={application: dict(marks)})
        return True

    def remove_pool(self, name: str, *, marks: dict[str, str]) -> bool:
        self._enter("remove_pool")
        matching.check_name(name)
        if (pool := self.pools_by_name.get(name)) is not None:
            matching.require_marks(pool, marks)
        gone = [self.pools_by_name.pop(key, None) for key in (name, name + UNFINISHED)]
        self.images_by_pool.pop(name, None)
        self.data_pools.pop(name, None)
        rule = self.rules_by_name.get(name)
        if rule is not None and rule.coded and not self._users(rule=name):
            del self.rules_by_name[name]
            return True
        return any(gone)

    def _users(self, *, rule: str = "", profile: str = "") -> list[str]:
        pools = self.pools_by_name.values()
        return [pool.name for pool in pools if (rule and pool.rule == rule) or (profile and pool.profile == profile)]

    def remove_rule(self, name: str) -> bool:
        self._enter("remove_rule")
        matching.check_name(name)
        if users := self._users(rule=name):
            raise matching.in_use("CRUSH rule", name, users)
        return self.rules_by_name.pop(name, None) is not None

    def remove_profile(self, name: str) -> bool:
        self._enter("remove_profile")
        matching.check_name(name)
        if users := self._users(profile=name):
            raise matching.in_use("erasure-code profile", name, users)
        return self.profiles_by_name.pop(name, None) is not None

    def set_default_data_pool(self, pool: str, data_pool: str) -> bool:
        self._enter("set_default_data_pool")
        for name in (pool, data_pool):
            matching.require_readable(self._require_pool(name))
        changed = self.data_pools.get(pool) != data_pool
        self.data_pools[pool] = data_pool
        return changed

    def images(self, pool: str) -> tuple[str, ...]:
        self._enter("images")
        there = self._require_pool(pool)
        matching.require_readable(there)
        return () if there.coded else tuple(sorted(self.images_by_pool[pool]))

    def _require_pool(self, name: str) -> PoolFacts:
        if (pool := self.pools_by_name.get(name)) is None:
            raise NotFound(f"There is no pool {name}", code="no-pool", component="ceph")
        return pool
