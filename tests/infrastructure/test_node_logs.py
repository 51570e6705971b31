"""Service logs of a node: read when asked for, by whom may, shown as text and nothing else."""

from collections.abc import Collection
from typing import Any

import pytest
from django.utils import timezone

from infrastructure.drivers.base import Completed, TimedOut, remaining
from infrastructure.models import VE, Node
from infrastructure.services import node_logs
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from tests.infrastructure.fake_nodes import Cluster


class Node3:
    """Answers tail and journalctl; `limits` are the deadlines of the calls."""

    def __init__(self) -> None:
        self.text = "first\nlast\n"
        self.code = 0
        self.systemd = False
        self.asked: list[list[str]] = []
        self.limits: list[float] = []
        self.error: Exception | None = None

    def run(self, argv: Collection[str], *, deadline: float = 20.0, **_: Any) -> Completed:
        self.limits.append(remaining(deadline))
        if self.error is not None:
            raise self.error
        argv = list(argv)
        if argv[0] == "test":
            return Completed(b"", b"", 0 if self.systemd else 1)
        self.asked.append(argv)
        return Completed(self.text.encode("utf-8", "surrogateescape"), b"", self.code)


@pytest.fixture
def host(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Node3:
    Node.objects.update(onboarded_at=timezone.now())
    made = Node3()
    monkeypatch.setattr(cluster.primary, "run", made.run)
    return made


def path(ve: VE | None = None) -> str:
    node = Node.objects.get(name="primary")
    return f"/infrastructure/nodes/{node.pk}/log/{f'?ve={ve.pk}' if ve else ''}"


def test_the_last_lines_of_libvirtd_are_shown_with_their_age(operator: User, host: Node3, client_of: Any) -> None:
    html = client_of(operator).get(path()).content.decode()

    assert host.asked == [["tail", "-n", "200", "--", "/var/log/libvirt/libvirtd.log"]]
    assert "first\nlast" in html
    assert "data-age" in html


def test_under_systemd_the_journal_is_read(operator: User, host: Node3, client_of: Any) -> None:
    host.systemd = True
    client_of(operator).get(path())
    assert host.asked[0][:3] == ["journalctl", "--unit", "libvirtd.service"]


def test_the_log_of_one_ve_is_that_of_its_process(
    operator: User, host: Node3, cluster: Cluster, client_of: Any
) -> None:
    client_of(operator).get(path(cluster.vmtest))
    assert host.asked == [["tail", "-n", "200", "--", "/var/log/libvirt/qemu/vmtest.log"]]


@pytest.mark.parametrize("name", ["../../etc/shadow", "a/b"])
def test_no_name_leads_out_of_the_folder(
    name: str, operator: User, host: Node3, cluster: Cluster, client_of: Any
) -> None:
    VE.objects.filter(pk=cluster.vmtest.pk).update(name=name)
    html = client_of(operator).get(path(cluster.vmtest)).content.decode()
    assert host.asked == []
    assert "keeps no log for the name" in html


def test_nothing_in_a_log_is_markup_or_steers_the_screen(operator: User, host: Node3, client_of: Any) -> None:
    host.text = "<script>alert(1)</script>\x1b[31mred\x1b[0m\x07 \u202eback\x00 \udcff\ttab"
    html = client_of(operator).get(path()).content.decode()

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;red back" in html
    assert not set("\x00\x07\x1b\u202e") & set(html)


def test_a_long_line_is_cut_and_only_the_last_lines_are_shown(operator: User, host: Node3, client_of: Any) -> None:
    host.text = "\n".join(["early"] + ["x" * 5000] * 200)
    html = client_of(operator).get(path()).content.decode()
    assert "early" not in html
    assert "x" * 2000 not in html and "x" * 1999 + "…" in html


def test_a_node_that_hangs_is_given_up_after_three_seconds(operator: User, host: Node3, client_of: Any) -> None:
    host.error = TimedOut("primary did not finish tail within 3 s", advice="Check the node.")
    answer = client_of(operator).get(path())
    assert answer.status_code == 200
    assert max(host.limits) <= node_logs.READ_SECONDS == 3.0
    assert 'role="alert"' in answer.content.decode()
    assert "primary did not finish tail within 3 s." in answer.content.decode()


def test_a_log_that_is_not_there_is_said(operator: User, host: Node3, client_of: Any) -> None:
    host.code = 1
    assert "has no log /var/log/libvirt/libvirtd.log" in client_of(operator).get(path()).content.decode()


def test_a_viewer_may_not_read_it_and_the_tab_says_so(
    viewer: User, host: Node3, cluster: Cluster, client_of: Any
) -> None:
    client = client_of(viewer)
    assert client.get(path()).status_code == 403
    tab = client.get(path().replace("log/", "?tab=logs")).content.decode()
    assert "Your role does not allow reading service logs" in tab
    assert host.asked == []


def test_a_right_over_another_node_is_none_over_this_one(
    host: Node3, cluster: Cluster, make_user: Any, client_of: Any
) -> None:
    other = Node.objects.get(name="secondnode1")
    client = client_of(make_user("ana", "operator", scope=("node", other.pk)))
    assert client.get(path()).status_code == 404
    assert host.asked == []
    assert AuditRecord.objects.filter(action=f"GET {path()}", result="refused").exists()


def test_the_tab_itself_asks_no_node(operator: User, host: Node3, cluster: Cluster, client_of: Any) -> None:
    html = client_of(operator).get(path().replace("log/", "?tab=logs")).content.decode()
    assert host.asked == []
    assert "Read log" in html and '<option value=""' in html and "vmtest" in html
