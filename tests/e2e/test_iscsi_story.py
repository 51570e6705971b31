"""A CHAP user, a target with limits and two LUNs, from the screens to a guest that has one of them as its disk.

The guest goes on, and reads what it wrote, after a disk of Ceph was lost; then all of it is taken away again.
"""

import secrets
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.disk_writer import DiskWriter
from tests.e2e.lab import Lab
from tests.e2e.test_storage_story import ceph, choose, disk_back, disks_of, made, many_disks  # noqa: F401
from tests.lab.initiator import Initiator, NotLetIn

pytestmark = pytest.mark.e2e

NODE, INITIATOR, GUEST_NODE, GUEST = "secondnode1", "secondnode2", "primary", "vm2"
NAME = "iqn.2001-04.com.example:story"
TASK_MS = 120_000
_ATTACH = """
umask 077
printf '<secret ephemeral="yes" private="yes"><usage type="iscsi"><target>%s</target></usage></secret>' "$1" >/tmp/s.xml
uuid=$(virsh secret-define /tmp/s.xml | grep -oE '[0-9a-f-]{36}')
printf %s "$2" >/tmp/s.key && virsh secret-set-value "$uuid" --file /tmp/s.key --plain
cat >/tmp/d.xml && virsh attach-device "$3" /tmp/d.xml --config
rm -f /tmp/s.xml /tmp/s.key /tmp/d.xml
"""
_DISK = """<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/>
<auth username='{user}'><secret type='iscsi' usage='{name}'/></auth>
<source protocol='iscsi' name='{iqn}/1'><host name='{portal}' port='3260'/></source>
<target dev='vdb' bus='virtio'/></disk>"""


class Story:
    """The screens, as an administrator goes through them."""

    def __init__(self, page: Page, lab: Lab) -> None:
        self.page = page
        self.name = f"story-{secrets.token_hex(3)}"
        self.password = secrets.token_hex(7)
        self.iqn = f"iqn.2014-06.com.vstorage:{self.name}"
        addresses = lab.exec(NODE, "ip", "-4", "-br", "addr", "show", "dev", "br0").split()
        self.portal = f"{addresses[2].rpartition('.')[0]}.{secrets.randbelow(20) + 61}"

    def done(self) -> None:
        """The task, to whose page the last click led, is over and all is well."""
        self.page.wait_for_url("**/tasks/*/")
        expect(self.page.locator("#page-head")).to_contain_text("Completed", timeout=TASK_MS)

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def give_the_role(self) -> None:
        self.page.goto("/iscsi/nodes/")
        self.page.wait_for_load_state("load")
        self.click("Give a node the role")
        self.page.get_by_label("Node", exact=True).select_option(label=NODE)
        self.click("Give the role")
        row = self.page.locator("#nodes tr").filter(has_text=NODE)
        expect(row).to_contain_text("Ready", timeout=TASK_MS)

    def add_user(self) -> None:
        self.page.goto("/iscsi/users/")
        self.page.wait_for_load_state("load")
        self.click("Add user")
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Name", exact=True).fill(self.name)
        dialog.get_by_label("Password", exact=True).fill(self.password)
        dialog.get_by_role("button", name="Add user").click()
        expect(self.page.locator("#users")).to_contain_text(self.name)

    def add_target(self) -> None:
        page = self.page
        page.goto("/iscsi/targets/add/")
        page.get_by_label("Name", exact=True).fill(self.name)
        expect(page.locator("#target-iqn")).to_have_text(self.iqn)
        page.get_by_label("Node", exact=True).select_option(label=NODE)
        page.get_by_label("New address").fill(f"{self.portal}/24")
        page.get_by_label("CHAP user").select_option(label=self.name)
        page.get_by_label("IOPS").fill("2000")
        page.get_by_label("Bandwidth").fill("200")
        self.click("Add target")
        self.done()

    def add_lun(self, *, tier: int, domain: str, mode: str) -> None:
        self.open_target()
        self.page.get_by_role("toolbar", name=f"{self.name} actions").get_by_text("Add LUN").click()
        self.page.get_by_label("Size", exact=True).fill("1")
        choose(self.page, tier=tier, domain=domain, mode=mode)
        self.click("Add LUN")
        self.done()

    def delete(self, name: str, typed: str) -> None:
        """The object of this page, by its button and what must be typed."""
        self.page.get_by_role("toolbar", name=f"{name} actions").get_by_role("button", name="Delete…").click()
        self.confirm(name, typed)

    def delete_in_its_row(self, name: str, typed: str) -> None:
        """An object that this page lists, by the menu of its row."""
        self.click(f"Actions for {name}")
        self.page.get_by_role("menuitem", name="Delete…").click()
        self.confirm(name, typed)

    def confirm(self, name: str, typed: str) -> None:
        self.page.get_by_label("Type it to confirm").fill(typed)
        self.click(f"Delete {name}")
        self.done()

    def open_target(self) -> None:
        self.page.goto("/iscsi/")
        self.page.get_by_role("link", name=self.iqn).click()
        expect(self.page.locator("#page-title")).to_contain_text("Running")


@pytest.fixture
def guest(lab: Lab) -> Iterator[Callable[[Story], DiskWriter]]:
    """guest(story) → vm2, running with LUN 1 as its second disk; afterwards it is stopped and has it no more."""

    def start(story: Story) -> DiskWriter:
        disk = _DISK.format(user=story.name, name=story.name, iqn=story.iqn, portal=story.portal)
        script = f'cat <<\'END\' | sh -ec "$0" sh "$@"\n{disk}\nEND\n'
        lab.exec(GUEST_NODE, "sh", "-ec", script, _ATTACH, story.name, story.password, GUEST)
        lab.exec(GUEST_NODE, "virsh", "start", GUEST)
        return DiskWriter(lab, GUEST_NODE, GUEST, device="/dev/vdb")

    yield start
    lab.exec(GUEST_NODE, "sh", "-c", f"virsh destroy {GUEST}; virsh detach-disk {GUEST} vdb --config; true")


@pytest.mark.usefixtures("many_disks")
def test_a_guest_reads_from_its_lun_what_it_wrote_though_a_disk_was_lost(
    page: Page,
    lab: Lab,
    guest: Callable[[Story], DiskWriter],
    disk_back: list[str],  # noqa: F811
) -> None:
    before = made(lab)
    story = Story(page, lab)
    story.give_the_role()
    story.add_user()
    story.add_target()
    story.add_lun(tier=2, domain="osd", mode="ec5-2")
    story.add_lun(tier=2, domain="host", mode="r2")

    initiator = Initiator(lab, INITIATOR)
    assert initiator.targets(story.portal, name=NAME, user=story.name, password=story.password) == {story.iqn: {1, 2}}
    for wrong in ({}, {"user": story.name, "password": "something else"}):
        with pytest.raises(NotLetIn):
            initiator.targets(story.portal, name=NAME, **wrong)

    writer = guest(story)
    writer.begin(rest=0.1)
    story.open_target()
    expect(page.get_by_role("table", name=f"Initiators of {story.name}")).to_contain_text("iqn.")
    page.goto("/iscsi/initiators/")
    expect(page.get_by_role("row").filter(has_text=story.name).first).to_contain_text("Connected")
    writer.until_written(5)
    disk = str(disks_of(lab, "tier2")[0])
    disk_back.append(disk)
    lab.run("disk-off", disk)
    writer.until_written(writer.written() + 5)
    blocks = writer.stop()
    writer.check(blocks)
    assert writer.errors() == ""
    lab.run("disk-on", disk_back.pop())
    lab.exec(GUEST_NODE, "virsh", "destroy", GUEST)

    _take_away(story)
    assert made(lab) == before
    assert "tgtd" not in lab.exec(NODE, "ps", "-eo", "comm")
    assert story.portal not in lab.exec(NODE, "ip", "-4", "-br", "addr", "show", "dev", "br0")


def _take_away(story: Story) -> None:
    page = story.page
    story.open_target()
    page.get_by_role("link", name="LUN 1", exact=True).click()
    story.delete(f"LUN 1 of {story.name}", f"{story.name}/1")
    story.open_target()
    story.delete_in_its_row(f"LUN 2 of {story.name}", f"{story.name}/2")
    story.open_target()
    story.delete(story.name, story.name)
    page.goto("/iscsi/users/")
    page.get_by_role("row").filter(has_text=story.name).get_by_role("button", name="Remove…").click()
    story.click(f"Remove {story.name}")
    expect(page.locator("#users")).not_to_contain_text(story.name)
    page.goto("/iscsi/nodes/")
    row = page.locator("#nodes tr").filter(has_text=NODE)
    row.get_by_role("button", name="Take away…").click()
    story.click("Take the role away")
    expect(row).to_have_count(0, timeout=TASK_MS)
