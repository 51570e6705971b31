"""The storage as the panel shows it, its daemons as the faults hold them still, and work asked of it."""

import re
import time
from collections.abc import Sequence

from tests.chaos.asking import Asker
from tests.chaos.machine import until
from tests.chaos.migration import Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.e2e.lab import NODES

PAGES = ("/storage/", "/storage/disks/", "/storage/datastores/")
NOTICEABLE = 2.0  # seconds; a page that asked a hung monitor would take at least as long as one deadline
MONITORS, DAEMONS = ("ceph-mon",), ("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-mds")
_BADGES = ("Healthy", "Warning", "Degraded", "Failure", "No contact")


def state_of(query: Asker) -> str:
    return str(query("Cluster.objects.get().state"))


def health(query: Asker) -> str:
    return str(query("Cluster.objects.get().status['health']"))


def file_servers(query: Asker) -> dict[str, str]:
    """Name → "active" or "standby" of those that run."""
    known = "(d for d in Cluster.objects.get().status['daemons'] if d['kind'] == 'mds' and d['up'])"
    return dict(query(f"{{d['name']: d['role'] for d in {known}}}"))


def until_well(query: Asker, seconds: float = 120) -> float:
    """Online and healthy, with all file servers: monitors without a quorum forget them for a while."""
    return until(
        lambda: state_of(query) == "online" and health(query) == "HEALTH_OK" and len(file_servers(query)) == 2,
        seconds,
        "the cluster is not well",
    )


def badge(panel: Panel) -> str:
    """The word beside the Overview's title."""
    head = panel.get("/storage/").text.split("</h1>")[1].split("data-live-status")[0]
    return next(word for word in _BADGES if word in head)


def heals(panel: Panel) -> bool:
    """Whether the Overview's card of self-heal tells when it will have healed."""
    card = panel.get("/storage/").text.split('aria-label="Self-heal"')[1].split("</section>")[0]
    return re.search(r"about .* left", card) is not None


def quickest(panel: Panel, path: str) -> float:
    """Seconds for a page: the quickest of three, since the machine does other things too."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        assert panel.get(path).status == 200
        times.append(time.monotonic() - started)
    return min(times)


def pids_of(lab: Nodes, programs: Sequence[str], nodes: Sequence[str] = NODES) -> list[int]:
    """The nodes' processes of these programs, to be `frozen`: they hold their connections and answer nothing."""
    return [pid for program in programs for node in nodes for pid in lab.processes(node, program).values()]


class Work:
    """Datastores and moves asked of the panel; `remove_all` takes the datastores away again."""

    def __init__(self, panel: Panel, query: Asker, tasks: Tasks) -> None:
        self._panel, self._query, self._tasks = panel, query, tasks
        self._made: list[str] = []

    def create(self, name: str, use: str) -> int:
        """Two replicas over hosts in tier 2; the task."""
        form = {"name": name, "use": use, "tier": "2", "mode": "r2", "domain": "host"}
        self._made.append(name)
        return self._panel.post("/storage/datastores/add/", **form).task

    def change_tier(self, number: int, tier: int) -> int:
        return self._panel.post(f"/storage/disks/{number}/tier/", tier=str(tier)).task

    def notes(self, task: int) -> list[str]:
        """What its steps said last of how far they are."""
        notes = f"TaskStep.objects.filter(task={task}).exclude(note='').values_list('note', flat=True)"
        return list(self._query(f"list({notes})"))

    def remove_all(self) -> None:
        """Also those that were not made; the worker refuses one that is not empty."""
        until(lambda: state_of(self._query) == "online", 60, "the cluster is not back")
        for name in self._made:
            for number in self._query(f"list(Datastore.objects.filter(name={name!r}).values_list('pk', flat=True))"):
                task = self._panel.post(f"/storage/datastores/{number}/remove/", confirmation=name).task
                assert self._tasks.until_final(task) in ("completed", "warning"), self._tasks.value(task, "reason")
