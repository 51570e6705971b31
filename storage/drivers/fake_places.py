"""The CRUSH map of the FakeCluster, as far as hosts and their places go."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from storage.drivers import placing
from storage.drivers.facts import Bucket
from storage.drivers.fake_settings import FakeSettings
from storage.drivers.placing import Location


class FakePlaces(FakeSettings):
    """HostPlacer in memory. `buckets` are by id."""

    def __init__(self) -> None:
        super().__init__()
        self.buckets: dict[int, Bucket] = {-1: Bucket(-1, placing.ROOT[1], placing.ROOT[0])}

    def locate_host(self, host: str, location: Location, *, along: Mapping[str, Location] | None = None) -> bool:
        self._enter("locate_host")
        changes = placing.plan(self.buckets.values(), host, location, along)
        self.buckets = {bucket.id: bucket for bucket in placing.applied(self.buckets.values(), changes)}
        return bool(changes)

    def remove_places(self, names: Iterable[str]) -> tuple[str, ...]:
        self._enter("remove_places")
        gone = placing.empty(self.buckets.values(), names)
        numbers = {bucket.id for bucket in self.buckets.values() if bucket.name in gone}
        self.buckets = {
            bucket.id: replace(bucket, children=tuple(child for child in bucket.children if child not in numbers))
            for bucket in self.buckets.values()
            if bucket.id not in numbers
        }
        return gone
