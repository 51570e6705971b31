"""One node under observation: its thread listens to events, samples counters and reads the node in full at times."""

import random
import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from django.utils import timezone

from infrastructure.drivers.base import (
    DriverError,
    Endpoint,
    HostDriver,
    IdentityChanged,
    NotFound,
    Refused,
    Subscription,
    Unreachable,
    within,
)
from infrastructure.drivers.facts import NodeFacts, VEFacts, VEState
from infrastructure.observe.addresses import Finder
from infrastructure.observe.backoff import Backoff
from infrastructure.observe.contact import Contact
from infrastructure.observe.container_addresses import controllers
from infrastructure.observe.inbox import Inbox
from infrastructure.observe.interfaces import Wiring
from infrastructure.observe.messages import Failed, Left, Listed, Message, Seen
from infrastructure.observe.sampler import Sampler, SeriesSink

log = structlog.get_logger("mooring.observe")
SAMPLE_SECONDS = 5.0
SAMPLE_DEADLINE = 8.0
READ_DEADLINE = 8.0
# A full read costs about a millisecond of the node's time per VE: one VE a second at most, but once a minute at least.
FULL_SECONDS = (15.0, 60.0)
REPEATED_ALL = 8  # of so many equal full reads in a row one is written, should a row have been changed by others


class NodeObserver:
    """``step`` does what is due and says how long it may rest; ``run`` is the thread around it.

    All that is found goes to ``tell``; nothing here touches the database. ``inbox`` takes the events and wishes of
    other threads, ``contact`` knows when the node answered last and is asked by a supervisor as well, because a call
    into a hung node may come back late.
    """

    def __init__(
        self,
        node_id: int,
        name: str,
        open_driver: Callable[[], HostDriver],
        tell: Callable[[Message], None],
        record: SeriesSink,
        *,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
    ) -> None:
        self.node_id = node_id
        self.name = name
        self.inbox = Inbox()
        self.contact = Contact(name, lambda reason, refused: tell(Failed(node_id, reason, refused)), clock)
        self.finder = Finder(node_id, tell, clock)
        self.wiring = Wiring(node_id, tell, clock)
        self.sampler = Sampler(node_id, record)
        self._open = open_driver
        self._tell = tell
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._driver: HostDriver | None = None
        self._subscription: Subscription | None = None
        self._retry_at = self._sample_at = self._full_at = clock()
        self._last: tuple[NodeFacts, tuple[VEFacts, ...]] | None = None
        self._repeated = 0

    def run(self) -> None:
        """Observe until stopped. Nothing ends it but that."""
        while not self.inbox.stopped:
            try:
                pause = self.step()
            except Exception:
                log.exception("observing a node failed", node=self.name)
                self._disconnect()
                pause = self._backoff.next()
            self.inbox.wait(pause)
        self._disconnect()

    def step(self) -> float:
        """Do what is due now; returns the seconds until something is due again."""
        try:
            if self._driver is None:
                if self._clock() < self._retry_at:
                    return self._retry_at - self._clock()
                self._connect()
            else:
                self._work(self._driver)
        except DriverError as error:
            self._failed(error)
            return self._retry_at - self._clock()
        return max(0.0, min(self._sample_at, self._full_at) - self._clock())

    def _connect(self) -> None:
        driver = self._driver = self._open()
        self.inbox.take()  # what was wanted of the last connection is contained in the full read below
        with within(SAMPLE_DEADLINE):
            # First listen, then read: what happens in between is read again.
            self._subscription = driver.subscribe(self.inbox.event, self.inbox.lost)
        self.finder.forget()
        self.wiring.forget()
        self.sampler.forget()
        self._last = None
        self._read_all(driver)
        self._backoff.reset()
        self._sample_at = self._clock()
        log.info("node connected", node=self.name)

    def _work(self, driver: HostDriver) -> None:
        mail = self.inbox.take()
        if mail.lost:
            raise Unreachable(f"The connection to libvirt on {self.name} ended ({mail.lost})", code=mail.lost)
        if mail.everything:
            self._last = None
            self._full_at = self._clock()
        if len(mail.changed) > max(8, len(self.sampler.vcpus) // 2):
            self._full_at = self._clock()
        else:
            for uuid, booted in mail.changed.items():
                self._read_one(driver, uuid, booted)
        if self._clock() >= self._full_at:
            self._read_all(driver)
        if self._clock() >= self._sample_at:
            self._sample(driver)

    def _read_one(self, driver: HostDriver, uuid: str, booted: bool) -> None:
        at = timezone.now()
        try:
            with within(SAMPLE_DEADLINE):
                facts = driver.ve(uuid)
        except NotFound:
            self._tell(Left(self.node_id, uuid, at))
            self.sampler.vcpus.pop(uuid, None)
            return
        except Unreachable:
            raise
        except DriverError as error:
            # The next sample shows whether its row is still wrong, and has it read again.
            log.warning("a VE could not be read", node=self.name, ve=uuid, error=str(error))
            return
        self.contact.answered()
        self._tell(Seen(self.node_id, facts, at, booted))
        self.sampler.vcpus[uuid] = facts.vcpus
        self.finder.controllers.pop(uuid, None)
        self.finder.controllers |= controllers([facts])
        self.finder.changed(uuid, self._clock(), started=booted)

    def _read_all(self, driver: HostDriver) -> None:
        at = timezone.now()
        with within(READ_DEADLINE):
            facts = driver.facts()
            _require_identity(driver.endpoint, facts)
            ves = driver.ves()
        self.contact.answered()
        now = self._clock()
        least, most = FULL_SECONDS
        self._full_at = now + min(most, max(least, float(len(ves)))) * random.uniform(0.9, 1.0)  # noqa: S311
        self.sampler.vcpus = {ve.uuid: ve.vcpus for ve in ves}
        self.finder.controllers = controllers(ves)
        self.finder.schedule.running([ve.uuid for ve in ves if ve.state is VEState.RUNNING], now)
        found = replace(facts, memory_free=0), ves
        self._repeated = self._repeated + 1 if found == self._last else 0
        if self._repeated % REPEATED_ALL == 0 or self.contact.reported:
            self._last = found
            self._tell(Listed(self.node_id, facts, ves, at))
            self.contact.restored()

    def _sample(self, driver: HostDriver) -> None:
        following = self._sample_at + SAMPLE_SECONDS
        self._sample_at = following if following > self._clock() else self._clock() + SAMPLE_SECONDS
        at = timezone.now()
        with within(SAMPLE_DEADLINE):
            sample = driver.stats()
        self.contact.answered()
        self._tell(self.sampler.reading(sample, at))
        now = self._clock()
        if self.contact.reported:
            self._full_at = now
        self.finder.start_round(driver, now)
        self.wiring.start_round(driver, now)

    def _failed(self, error: DriverError) -> None:
        self._disconnect()
        self._retry_at = self._clock() + self._backoff.next()
        if not self.inbox.stopped:
            log.warning("node lost", node=self.name, code=error.code, error=str(error))
            self.contact.failed(str(error), refused=isinstance(error, Refused))

    def _disconnect(self) -> None:
        subscription, self._subscription = self._subscription, None
        driver, self._driver = self._driver, None
        if subscription is not None:
            subscription.close()
        if driver is not None:
            driver.close()


def _require_identity(endpoint: Endpoint, facts: NodeFacts) -> None:
    if endpoint.uuid and endpoint.uuid != facts.uuid:
        raise IdentityChanged(
            f"The host UUID of {endpoint.address} is {facts.uuid}, it was {endpoint.uuid} when the node was set up: "
            "this is another machine",
            code="host-uuid",
            advice="Check the address; if the machine was replaced, remove the node and add it again.",
        )
