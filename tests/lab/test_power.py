"""Power operations on a real VM and a real CT, each verified on the engine."""

from collections.abc import Callable, Iterator

import pytest

from infrastructure.services import power
from tasks.models import Task
from tests.lab.onboarded import OnboardedLab, completed

pytestmark = pytest.mark.lab

GUESTS = [("secondnode2", "vmd-cli", "qemu"), ("secondnode2", "ct3", "lxc")]


@pytest.fixture(params=GUESTS, ids=lambda guest: guest[1])
def guest(request: pytest.FixtureRequest, onboarded_lab: OnboardedLab) -> Iterator["Guest"]:
    made = Guest(onboarded_lab, *request.param)
    yield made
    onboarded_lab.lab.up()  # starts it again, and waits for its agent


class Guest:
    def __init__(self, panel: OnboardedLab, node: str, name: str, kind: str) -> None:
        self.panel, self.node, self.name, self.kind = panel, node, name, kind

    def does(self, service: Callable[..., Task], state: str) -> None:
        """Run the operation; engine and inventory then show the state."""
        completed(self.panel.run(service(user=self.panel.admin, ve=self.panel.ve(self.name))))
        assert self.panel.lab.states(self.node)[self.name] == state
        assert self.panel.ve(self.name).state == state

    @property
    def domain_id(self) -> str:
        return self.panel.lab.virsh(self.node, "domid", self.name, kind=self.kind).strip()


def test_it_shuts_down_by_itself_and_starts_again(guest: Guest) -> None:
    before = guest.domain_id
    guest.does(power.stop, "stopped")
    guest.does(power.stop, "stopped")
    guest.does(power.start, "running")
    guest.does(power.start, "running")
    assert guest.domain_id != before


def test_it_is_paused_and_resumed(guest: Guest) -> None:
    before = guest.domain_id
    guest.does(power.pause, "paused")
    guest.does(power.resume, "running")
    assert guest.domain_id == before


def test_it_restarts(guest: Guest) -> None:
    guest.does(power.restart, "running")


@pytest.mark.parametrize("guest", GUESTS[1:], indirect=True, ids=["ct3"])
def test_a_container_whose_init_libvirt_has_missed_restarts_and_stops(guest: Guest) -> None:
    for service in (power.restart, power.stop):
        forget_init(guest)
        guest.does(service, "stopped" if service is power.stop else "running")


def forget_init(guest: Guest) -> None:
    """libvirtd hears of a container's init once; started without the note that it keeps of it, it never knows."""
    status = f"/run/libvirt/lxc/{guest.name}.xml"
    script = f"""set -e
    pid=$(cat /run/libvirtd.pid); service libvirtd stop
    while [ -d /proc/$pid ]; do sleep 0.1; done  # the script does not wait for its end
    sed -i '/<init pid=/d' {status}; service libvirtd start
    for try in $(seq 100); do virsh -c lxc:///system uri >/dev/null 2>&1 && exit; sleep 0.2; done; exit 1"""
    guest.panel.lab.exec(guest.node, "sh", "-c", script)
    refused = guest.panel.lab.exec(
        guest.node, "sh", "-c", f"virsh -c lxc:///system shutdown --mode signal {guest.name} 2>&1 || true"
    )
    assert "Init process ID is not yet known" in refused


@pytest.mark.parametrize("guest", GUESTS[:1], indirect=True, ids=["vmd-cli"])
def test_one_that_is_set_to_end_instead_is_started_again(guest: Guest) -> None:
    before = guest.domain_id
    guest.panel.lab.virsh(guest.node, "set-lifecycle-action", guest.name, "reboot", "destroy", "--live")
    guest.does(power.restart, "running")
    assert guest.domain_id != before


def test_it_is_forced_off(guest: Guest) -> None:
    guest.does(power.force_off, "stopped")
