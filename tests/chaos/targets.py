"""Targets as the faults hit them: asked of the panel, told by tgtd itself, used by an initiator on another node."""

import itertools
import secrets
import time
from dataclasses import dataclass, replace

from tests.chaos.asking import Asker
from tests.chaos.machine import until
from tests.chaos.migration import OPEN, Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.e2e.lab import NODES
from tests.lab.initiator import Initiator, NotLetIn

USER, INITIATOR = "chaos", "iqn.2001-04.com.example:chaos"
IOPS, MBPS = 100, 50
# Others for each target: what a node told of its addresses may be some seconds old.
_ADDRESSES = itertools.cycle(range(61, 240))
_STRANGER = "iqn.2001-04.com.example:stranger"
# What tgtd shows of its target behind the sessions: LUNs, accounts, initiators; then where it listens.
_TOLD = """
timeout 5 tgtadm -C "$0" --lld iscsi --op show --mode target || exit 0
timeout 5 tgtadm -C "$0" --lld iscsi --op show --mode portal || true
"""
_LUNS = "LUN information:"
_DISK = "driver=raw,file.driver=iscsi,file.transport=tcp,file.initiator-name={},file.user={},file.password-secret=chap,"


@dataclass(frozen=True)
class Served:
    """A target that was made: its server's number on the node, and where it is reached."""

    pk: int
    name: str
    iqn: str
    node: str
    number: int
    portal: str


class Targets:
    """Targets and LUNs asked of the panel on one node; `remove_all` takes everything of iSCSI away again."""

    def __init__(self, panel: Panel, query: Asker, tasks: Tasks, lab: Nodes) -> None:
        self._panel, self._query, self._tasks, self._lab = panel, query, tasks, lab
        self._password = secrets.token_hex(7)
        self._user = 0
        self.node = self.initiator = ""

    def serve_from(self, node: str, initiator: str) -> None:
        """Give a node the role, and have another one's initiator use it by CHAP."""
        self.node, self.initiator = node, initiator
        self._give_role(node)
        assert self._panel.post("/iscsi/users/add/", name=USER, secret=self._password).status == 302
        self._user = self._query(f"ChapUser.objects.get(name={USER!r}).pk")

    def _give_role(self, node: str) -> None:
        number = self._query(f"Node.objects.get(name={node!r}).pk")
        assert self._panel.post("/iscsi/nodes/add/", node=str(number)).status == 302
        role = f"IscsiNode.objects.get(pk={number})"
        until(lambda: self._query(f"{role}.state") == "ready", 120, f"{node} is not prepared")

    def give_role_to_another(self) -> str:
        """A node besides the one that serves and the one that uses it; it can serve as well then."""
        other = next(node for node in NODES if node not in (self.node, self.initiator))
        self._give_role(other)
        return other

    def ask_move(self, target: Served, node: str) -> int:
        """The task that moves it, without its node where that is silent."""
        number = self._query(f"Node.objects.get(name={node!r}).pk")
        form = {"node": str(number), "interface": "", "without_node": "on"}
        return self._panel.post(f"/iscsi/targets/{target.pk}/move/", **form).task

    def again(self, target: Served) -> Served:
        """The same target, where it is now."""
        row = self._query(f"[[t.node.name, t.number] for t in Target.objects.filter(pk={target.pk})][0]")
        return replace(target, node=row[0], number=row[1])

    def make(self, name: str) -> Served:
        """A target that asks for CHAP, lets one initiator in and has limits; it runs."""
        node = self._query(f"[[n.pk, n.address] for n in Node.objects.filter(name={self.node!r})][0]")
        portal = f"{node[1].rpartition('.')[0]}.{next(_ADDRESSES)}"
        form = {"name": name, "node": str(node[0]), "address": f"{portal}/24", "chap": str(self._user)}
        form |= {"initiators": INITIATOR, "iops": str(IOPS), "bandwidth": str(MBPS), "sharing": "each"}
        self._done(self._panel.post("/iscsi/targets/add/", **form).task)
        row = self._query(f"[[t.pk, t.iqn, t.number] for t in Target.objects.filter(name={name!r})][0]")
        return Served(row[0], name, row[1], self.node, row[2], portal)

    @staticmethod
    def lun_form(number: int, gib: int = 1) -> dict[str, str]:
        """A LUN in two copies over hosts in tier 2."""
        return {"number": str(number), "size": str(gib), "name": "", "tier": "2", "mode": "r2", "domain": "host"}

    def ask_lun(self, target: Served, number: int) -> int:
        """The task that adds it."""
        return self._panel.post(f"/iscsi/targets/{target.pk}/luns/add/", **self.lun_form(number)).task

    def make_with_luns(self, name: str, *numbers: int) -> Served:
        target = self.make(name)
        for number in numbers:
            self._done(self.ask_lun(target, number))
        return target

    def state(self, target: Served) -> list[str]:
        """Its state and the reason, as the collector wrote them."""
        return list(self._query(f"[[t.state, t.reason] for t in Target.objects.filter(pk={target.pk})][0]"))

    def page(self, target: Served) -> str:
        return self._panel.get(f"/iscsi/targets/{target.pk}/").words

    def process(self, target: Served) -> str:
        """Which process its server is: "PID TICKS"; "" while there is none."""
        return self._lab.exec(target.node, "sh", "-c", f"cat /run/mooring-iscsi/{target.number}/run || true").strip()

    def kill(self, target: Served) -> None:
        self._lab.exec(target.node, "kill", "-KILL", self.process(target).split()[0])

    def told(self, target: Served) -> str:
        """LUNs, accounts, initiators and portals as tgtd tells them; "" while it does not."""
        said = self._lab.exec(target.node, "sh", "-c", _TOLD, str(target.number))
        return said.partition(_LUNS)[2]

    def connected(self, target: Served) -> bool:
        said = self._lab.exec(target.node, "sh", "-c", _TOLD, str(target.number))
        return INITIATOR in said.partition(_LUNS)[0]

    def until_told(self, target: Served, wanted: str, was: str, seconds: float) -> float:
        """Until another process tells the same of it as the one that was; the seconds it took."""
        same = "it does not tell what it told before"
        try:
            return until(lambda: self.process(target) != was and self.told(target) == wanted, seconds, same)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.state(target)} {self.told(target)}") from None

    def assert_let_in(self, target: Served, *luns: int) -> None:
        """By name and password only, and to these LUNs."""
        assert self._seen(target, INITIATOR, self._password) == {target.iqn: set(luns)}
        assert self._seen(target, INITIATOR, "another password") == {}
        assert self._seen(target, _STRANGER, self._password) == {}

    def _seen(self, target: Served, name: str, password: str) -> dict[str, set[int]]:
        try:
            tools = Initiator(self._lab, self.initiator)
            return tools.targets(target.portal, name=name, user=USER, password=password)
        except NotLetIn:
            return {}

    def io(self, target: Served, *commands: str) -> None:
        """Have qemu-io do this with LUN 1."""
        where = f"{_DISK.format(INITIATOR, USER)}file.portal={target.portal}:3260,file.target={target.iqn},file.lun=1"
        words = ["--object", f"secret,id=chap,data={self._password}", "--image-opts", "-t", "none"]
        words += [word for command in commands for word in ("-c", command)]
        said = self._lab.exec(self.initiator, "timeout", "150", "qemu-io", *words, where, timeout=160)
        assert "failed" not in said, said[-2000:]

    def write_slowly(self, target: Served, count: int) -> float:
        """Write so many blocks of 4 KiB from 64 MiB on, all of them asked for at once; the seconds it took."""
        began = time.monotonic()
        self.io(target, *(f"aio_write -q -P 9 {(64 << 20) + 4096 * n} 4k" for n in range(count)), "aio_flush")
        return time.monotonic() - began

    def crash_by_empty_read(self, target: Served) -> None:
        """A read of no blocks ends tgt when its store is RBD."""
        url = f"iscsi://{USER}%{self._password}@{target.portal}:3260/{target.iqn}/1"
        words = f"timeout 5 iscsi-test-cu -i {INITIATOR} -t SCSI.Read10.ZeroBlocks -d '{url}' 2>&1 || true"
        self._lab.exec(self.initiator, "sh", "-c", words)

    def remove_all(self) -> None:
        """Also what an earlier round could not take away. Nodes and storage are waited for."""
        away = "Node.objects.exclude(state='online').exists() or Cluster.objects.get().state != 'online'"
        until(lambda: not self._query(away), 90, "a node or the cluster is not online")
        for task in self._query(f"list(Task.objects.filter(state__in={OPEN}).values_list('pk', flat=True))"):
            self._tasks.until_final(task)
        words = "f'{x.target.name}/{x.number}' if x.target else x.image"
        for pk, typed in self._query(f"[[x.pk, {words}] for x in Lun.objects.select_related('target')]"):
            self._done(self._panel.post(f"/iscsi/luns/{pk}/delete/", confirmation=typed).task)
        for pk, name in self._query("[[x.pk, x.name] for x in Target.objects.all()]"):
            self._done(self._panel.post(f"/iscsi/targets/{pk}/delete/", confirmation=name).task)
        for pk in self._query("[x.pk for x in ChapUser.objects.all()]"):
            assert self._panel.post(f"/iscsi/users/{pk}/remove/").status == 302
        for pk in self._query("[x.pk for x in IscsiNode.objects.all()]"):
            self._done(self._panel.post(f"/iscsi/nodes/{pk}/withdraw/").task)

    def _done(self, task: int) -> None:
        assert self._tasks.until_final(task) in ("completed", "warning"), self._tasks.value(task, "reason")


def places(choice: list[str]) -> tuple[str, str]:
    """Of shuffled nodes: one to serve, which is not the one that the tests ask Ceph by, and one to use it."""
    serving = next(node for node in choice if node != NODES[0])
    return serving, next(node for node in choice if node != serving)
