"""Making a target's server what it should be: look, compare, send what differs. Idempotent.

Run as the last step of every task about a target, and by the collector whenever a server differs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils import timezone

from infrastructure.drivers.base import DriverError, NotFound, Unreachable
from iscsi.differences import Action, Wanted, address_differences, differences
from iscsi.drivers.base import TargetServers
from iscsi.drivers.facts import ServerFacts
from iscsi.models import Lun, Target
from iscsi.services import observed
from iscsi.services.access import ceph_access, servers_on
from iscsi.services.images import Images
from iscsi.services.turns import Turn, taken
from iscsi.services.wanted import wanted_of
from storage.models import Cluster

ROUNDS = 3  # a server may change between the look and what is sent: crash, or be told by another
WAIT_SECONDS = 90.0  # many LUNs that are added at once come one after the other
Tell = Callable[[Action], None]


@dataclass(slots=True)
class Outcome:
    """What a reconcile did, and why it did not do the rest.

    failed: what could not be done → why. `luns`: LUN → why it could not be shown or taken away. `error`: the last one.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    luns: dict[int, str] = field(default_factory=dict)
    error: DriverError | None = None

    @property
    def ok(self) -> bool:
        return not self.failed


def reconcile(target_id: int, *, tell: Tell | None = None, wait: float = WAIT_SECONDS) -> Outcome:
    """Bring one target's server to what is wanted now. What fails is in the outcome and in the rows.

    tell: called with each action before it is done. Raises Unreachable when the node does not answer, Conflict when
    somebody else reconciles the target for longer than ``wait`` seconds, TrustError for secrets that cannot be read.
    """
    with taken(target_id, wait=wait) as turn:
        target = Target.objects.select_related("node", "chap_user", "mutual_user").filter(pk=target_id).first()
        if target is None:
            return Outcome()
        wanted, servers = wanted_of(target), servers_on(target.node)
        outcome, found = _rounds(servers, wanted, turn, tell or (lambda _action: None))
        observed.record(target_id, observed.verdict(wanted, found, outcome.luns), timezone.now())
        return outcome


def find(servers: TargetServers, number: int) -> ServerFacts | None:
    """What a server tells of itself; None when the node keeps none of that number."""
    try:
        return servers.look(number)
    except NotFound:
        return None


def _rounds(servers: TargetServers, wanted: Wanted, turn: Turn, tell: Tell) -> tuple[Outcome, ServerFacts | None]:
    """Look and act until nothing differs; what was done, and how the server is now."""
    outcome, number = Outcome(), wanted.server.number
    for attempt in range(ROUNDS):
        outcome.failed, outcome.luns, outcome.error = {}, {}, None
        found = find(servers, number)
        if wanted.target is not None and found is not None and found.error is not None:
            outcome.failed["Asking the server"], outcome.error = str(found.error), found.error
            return outcome, found
        if attempt == 0 and wanted.target is not None and (found is None or not found.running):
            _prepare(servers)
        lacking, surplus = _addresses(servers, wanted)
        actions = [*lacking, *differences(wanted, found), *surplus]
        if not actions:
            return outcome, found
        if not _apply(servers, actions, turn, tell, outcome):
            break
    return outcome, find(servers, number)


def _prepare(servers: TargetServers) -> None:
    """What a server needs on its node before it is started: somebody may have taken the files away."""
    cluster = Cluster.objects.exclude(iscsi_key="").first()
    if cluster is not None:
        servers.prepare(ceph_access(cluster))


def _addresses(servers: TargetServers, wanted: Wanted) -> tuple[list[Action], list[Action]]:
    """Addresses to add, which servers need first, and those to take away, which they must not use any more."""
    if not wanted.addresses and not wanted.surplus:
        return [], []
    there = servers.addresses()
    only = Wanted(wanted.server, addresses=wanted.addresses)
    return address_differences(only, there), address_differences(Wanted(wanted.server, surplus=wanted.surplus), there)


def _apply(servers: TargetServers, actions: list[Action], turn: Turn, tell: Tell, outcome: Outcome) -> bool:
    """Do them; whether anything was done, so that another look is worth it."""
    progress = False
    for action in actions:
        turn.keep()
        tell(action)
        try:
            if action.shows:
                _take_over(action.shows)
            action.do(servers)
        except Unreachable as error:
            if error.component in ("ssh", "host"):
                raise
            _note(outcome, action, error)
            return progress
        except DriverError as error:
            _note(outcome, action, error)
            if action.lun is None:
                return progress and error.retryable
        else:
            progress = True
            outcome.done.append(action.words)
    return progress


def _take_over(image: str) -> None:
    """Shut out whoever had the image open: a server that died holds it for half a minute, and nobody else should."""
    lun = Lun.objects.select_related("datastore__cluster").filter(image=image).first()
    if lun is not None:
        Images().free(lun)


def _note(outcome: Outcome, action: Action, error: DriverError) -> None:
    outcome.failed[action.words], outcome.error = str(error), error
    if action.lun is not None:
        outcome.luns[action.lun] = str(error)
