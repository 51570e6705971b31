"""What keeps target servers running on a node, run here with a stand-in for tgtd."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import eventually

SCRIPT = Path(__file__).resolve().parents[2] / "iscsi" / "drivers" / "files" / "iscsi-servers.sh"
# As tgtd does, it ignores SIGTERM; `ip` knows one address.
TGTD = '#!/bin/sh\ntrap "" TERM\necho "$@" >>"$0.calls"\nexec sleep 1000\n'
IP = '#!/bin/sh\ncase "$*" in *192.0.2.1) echo "2: eth0 inet 192.0.2.1/24" ;; esac\n'


class Node:
    """The script with its folders and programs below one folder."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.calls = self.programs / "tgtd.calls"
        for name, content in (("tgtd", TGTD), ("ip", IP)):
            (self.programs / name).write_text(content)
            (self.programs / name).chmod(0o755)
        text = SCRIPT.read_text()
        for there, here in (("/run/mooring-iscsi", "run"), ("/var/log/mooring-iscsi", "log")):
            text = text.replace(there, str(folder / here))
        text = text.replace("PATH=/usr/local/sbin", f"PATH={self.programs}:/usr/local/sbin")
        self.script = folder / "script"
        self.script.write_text(text)

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            ["sh", str(self.script), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=dict(os.environ),
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def row(self, number: int = 1) -> dict[str, str]:
        """number, kept, up, instance, starts, waiting, portals of one server; {} when it is not kept."""
        names = ("number", "kept", "up", "instance", "starts", "waiting", "portals")
        rows = [dict(zip(names, line.split("\t"), strict=True)) for line in self.run("status").splitlines()]
        return next((row for row in rows if row["number"] == str(number)), {})

    def kill(self, number: int = 1) -> None:
        os.kill(int(self.row(number)["instance"].partition("-")[0]), 9)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    for number in ("1", "2"):
        made.run("stop", number)
    shutil.rmtree(tmp_path, ignore_errors=True)


def up(node: Node, number: int = 1) -> dict[str, str]:
    eventually(lambda: node.row(number).get("up") == "yes")
    return node.row(number)


def test_a_server_is_started_with_its_number_and_addresses(node: Node) -> None:
    node.run("start", "1", "192.0.2.1")
    row = up(node)
    assert (row["kept"], row["starts"], row["waiting"], row["portals"]) == ("yes", "1", "", "192.0.2.1")
    assert node.calls.read_text() == "-f -C 1 --iscsi portal=192.0.2.1:3260\n"
    node.run("idle", code=1)


def test_one_that_was_killed_comes_back_as_another(node: Node) -> None:
    node.run("start", "1", "192.0.2.1")
    before = up(node)
    node.kill()
    eventually(lambda: node.row().get("up") == "yes" and node.row()["instance"] != before["instance"])
    assert node.row()["starts"] == "2"


def test_one_that_was_stopped_is_gone_though_it_ignores_the_signal_and_can_be_started_again(node: Node) -> None:
    node.run("start", "1", "192.0.2.1")
    process = int(up(node)["instance"].partition("-")[0])
    node.run("stop", "1")
    node.run("stop", "1")
    assert node.row() == {}
    assert not Path(f"/proc/{process}").exists()
    node.run("idle")
    node.run("start", "1", "192.0.2.1")
    assert up(node)["starts"] == "1"


def test_starting_what_runs_starts_no_second_one(node: Node) -> None:
    node.run("start", "1", "192.0.2.1")
    before = up(node)
    node.run("start", "1", "192.0.2.1", "192.0.2.9")
    after = up(node)
    assert (after["instance"], after["portals"]) == (before["instance"], "192.0.2.1 192.0.2.9")
    assert len(node.calls.read_text().splitlines()) == 1


def test_without_an_address_of_its_own_it_is_not_started_and_says_so(node: Node) -> None:
    """tgtd would listen at every address of the node."""
    node.run("start", "2", "192.0.2.9")
    eventually(lambda: node.row(2).get("waiting"))
    assert (node.row(2)["up"], node.row(2)["waiting"]) == ("no", "None of its addresses is on this node")
    assert not node.calls.exists()
    node.run("start", "2", "192.0.2.9", "192.0.2.1")
    assert up(node, 2)["waiting"] == ""
    assert node.calls.read_text() == "-f -C 2 --iscsi portal=192.0.2.1:3260\n"


def test_when_what_keeps_it_was_killed_it_runs_on_and_is_taken_over(node: Node) -> None:
    node.run("start", "1", "192.0.2.1")
    before = up(node)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argv[1:4] == [str(node.script).encode(), b"keep", b"1"]:
            os.kill(int(folder.name), 9)
    eventually(lambda: node.row().get("kept") == "no")
    assert node.row()["instance"] == before["instance"]
    node.run("start", "1", "192.0.2.1")
    eventually(lambda: node.row().get("kept") == "yes")
    node.kill()
    eventually(lambda: node.row().get("up") == "yes" and node.row()["instance"] != before["instance"])


def test_words_that_it_does_not_know_do_nothing(node: Node) -> None:
    for words in (("start", "../x", "192.0.2.1"), ("stop", "-1"), ("rm",), ("start",)):
        node.run(*words, code=2)
