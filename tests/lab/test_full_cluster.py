"""Near-full and full on a real Ceph: what is refused with which figure, what the Overview says, and that all clears."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infrastructure.services.errors import NotPossible
from storage.drivers import registry
from storage.models import Cluster, Datastore
from storage.services import datastores, settings
from storage.services.access import driver
from storage.services.settings import Marks
from tasks.models import Task
from tests.lab.ceph import ceph
from tests.lab.known_cluster import known_cluster, look
from tests.lab.onboarded import OnboardedLab, completed
from tests.waiting import eventually

pytestmark = pytest.mark.lab
USUAL = Marks(85, 90, 95)
# Objects of 4 MiB until one is not taken any more; a full cluster lets writers wait.
_FILL = """head -c 4194304 /dev/urandom >/tmp/4m
for i in $(seq 100); do timeout 5 rados -p {pool} put o$i /tmp/4m || exit 0; done; exit 1"""


class Full:
    """The lab's cluster in the panel, and its pages."""

    def __init__(self, panel: OnboardedLab, cluster: Cluster, client: Any) -> None:
        self.panel, self.cluster, self._client = panel, cluster, client

    def look(self) -> None:
        look(self.cluster)

    def page(self, path: str, **query: str) -> str:
        return str(self._client.get(path, query).content.decode()).split("<main")[1].split("</main>")[0]

    def badge(self) -> str:
        """The word beside the Overview's title, after a look."""
        self.look()
        words = ("Healthy", "Warning", "Degraded", "Failure")
        return next(word for word in words if word in self.page("/storage/").split("</h1>")[1].split("live")[0])

    def asked(self, name: str, use: str = "vm") -> tuple[Datastore, Task]:
        self.look()
        return datastores.create(
            user=self.panel.admin, cluster=self.cluster, name=name, use=use, tier=2, mode="r2", domain="host"
        )

    def created(self, name: str, use: str = "vm") -> Datastore:
        datastore, task = self.asked(name, use)
        completed(self.panel.run(task))
        datastore.refresh_from_db()
        self.look()
        return datastore

    def removal(self, datastore: Datastore) -> Task:
        task = datastores.remove(user=self.panel.admin, datastore=datastore, confirmation=datastore.name)
        return self.panel.run(task)

    def set_marks(self, marks: Marks) -> None:
        self.look()
        task = settings.change_marks(user=self.panel.admin, cluster=self.cluster, marks=marks)
        completed(self.panel.run(task))

    @property
    def fill(self) -> int:
        """Percent that is used of the fullest disk, rounded down."""
        return int(max(100 * disk.used / disk.size for disk in driver(self.cluster).look().disks))


@pytest.fixture
def full(panel_lab: OnboardedLab, client_of: Callable[..., Any]) -> Iterator[Full]:
    cluster = known_cluster(panel_lab)
    look(cluster)
    made = Full(panel_lab, cluster, client_of(panel_lab.admin))
    yield made
    for name, ratio in (("full", 0.95), ("backfillfull", 0.9), ("nearfull", 0.85)):
        ceph(panel_lab.lab, "osd", f"set-{name}-ratio", str(ratio))
    for datastore in Datastore.objects.all():
        made.removal(datastore)
    registry.drop_all()


def test_near_full_and_full_are_told_refuse_what_is_new_and_clear(full: Full) -> None:
    kept, files = full.created("kept"), full.created("iso", "files")
    begun, late = full.asked("late")
    near = full.fill
    full.set_marks(Marks(near, near + 2, near + 3))

    eventually(lambda: full.badge() == "Degraded", 60)
    assert "nearfull" in full.page("/storage/")
    refusal = f"% full, and the near-full mark is {near}%"
    assert refusal in full.page("/storage/policies/", tier="2")
    with pytest.raises(NotPossible, match=refusal):
        full.asked("new")
    assert full.panel.run(late).state == "failed"
    assert refusal in late.reason
    assert begun.pool not in {pool.name for pool in driver(full.cluster).pools()}

    full.panel.lab.exec("primary", "sh", "-c", _FILL.format(pool=kept.pool))
    eventually(lambda: full.badge() == "Failure", 60)
    assert "full osd" in full.page("/storage/")
    for datastore in (files, begun):
        completed(full.removal(datastore))
    assert "near-full mark" in full.page("/storage/policies/", tier="2")

    full.set_marks(USUAL)
    eventually(lambda: full.badge() == "Healthy", 60)
    assert "near-full mark" not in full.page("/storage/policies/", tier="2")
    full.panel.lab.exec("primary", "rados", "-p", kept.pool, "put", "after", "/tmp/4m")
    full.created("new")
