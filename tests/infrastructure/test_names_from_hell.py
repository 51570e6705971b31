"""Names that engines and people chose, wherever one reaches an engine: taken as they are or refused, never understood.

The names of nodes are checked when they are entered (test_node_input.py); those of VEs, disks and networks are whatever
libvirt has.
"""

import posixpath
import shlex
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from infrastructure.choices import Kind
from infrastructure.drivers.base import DiskFacts, DomainXmlError, Refused, VEKind
from infrastructure.drivers.facts import Completed
from infrastructure.drivers.libvirt_xml import domain_facts
from infrastructure.drivers.ssh import command_line
from infrastructure.drivers.uris import checked_address, connection_uri, host_part
from infrastructure.models import VE, Node
from infrastructure.services import equivalents, node_logs
from infrastructure.services.errors import NotPossible
from infrastructure.services.migration import MigrationOptions, Plan, disks
from infrastructure.services.preflight import DiskCopy
from infrastructure.services.preflight.copies import obstacle
from panel.live.registry import UnknownTopic, lookup
from panel.series.store import Store
from tasks.text import Secret, clean, shown_command
from tests.infrastructure.test_driver_uris import NODE

HOSTILE = (
    "-h", "--", "--help", ";id", "$(id)", "`id`", "a b", "a\nb", "a\x00b", "../x", "..", "a@snap", "<b>", "]]>", "<!--",
    "&amp;", "&", "'", '"', "'; rm -rf /", "json:{}", "nbd://x", "a/b", "a,b=c", "%2e%2e", "*", "~root", "|id", "a\tb",
    "\u202eb", "-oProxyCommand=id", "a\r", "é", "\\", "{0}", "{ve.node}", "%s",
)  # fmt: skip
CLEAN = st.characters(blacklist_categories=("Cs",))


def names(function: Any) -> Any:
    """The hostile names and whatever hypothesis thinks of."""
    for name in HOSTILE:
        function = example(name=name)(function)
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    function = settings(max_examples=150, suppress_health_check=quiet)(function)
    return given(name=st.text(CLEAN, min_size=1, max_size=40))(function)


class Host:
    """Takes commands as SSH would: an argv that cannot be quoted is refused."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def ves(self) -> tuple[()]:
        return ()

    def run(self, argv: Any, **kwargs: Any) -> Completed:
        line = command_line(list(argv))
        assert shlex.split(line) == list(argv), "a shell would read another command"
        self.commands.append(list(argv))
        return Completed(b"", b"", 0)


def plan_with(host: Host, monkeypatch: pytest.MonkeyPatch, name: str = "vm") -> Plan:
    ve = VE(pk=7, uuid="00000000-0000-0000-0000-000000000007", name=name, kind=Kind.VM)
    monkeypatch.setattr(import_module("infrastructure.services.migration.plan"), "driver", lambda node: host)
    return Plan(ve, Node(pk=1, name="a", address="192.0.2.1"), Node(pk=2, name="b", address="192.0.2.2"), True, False,
                MigrationOptions())  # fmt: skip


def assert_no_option(argv: list[str], hostile: str) -> None:
    """The name stands behind `--`, or inside an argument that begins with something of ours."""
    ours = argv.index("--") if "--" in argv and argv[-1] != "--" else len(argv)
    for place, element in enumerate(argv):
        if hostile in element and element not in ("--",):
            assert place > ours or element.startswith(("/", "--directory=/")), f"{argv} may be read as an option"


@names
def test_the_log_of_a_ve_is_a_file_of_its_folder_or_refused(name: str) -> None:
    host = Host()
    try:
        source, argv = node_logs._source(host, VE(name=name, kind=Kind.VM))  # type: ignore[arg-type]
        host.run(argv)
    except (NotPossible, Refused):
        return
    assert posixpath.dirname(posixpath.normpath(source)) == "/var/log/libvirt/qemu"
    assert argv[-2:] == ["--", source]


@names
def test_a_disk_is_copied_and_deleted_by_its_plain_path_or_not_at_all(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (name, f"/srv/{name}", f"/srv/{name}/disk", f"/{name}/disk"):
        disk = DiskFacts(target="vda", source=path, type="file", format="raw", device="disk")
        no_link = SimpleNamespace(run=lambda argv, check: Completed(b"", b"", 1))
        if obstacle(SimpleNamespace(live=True, source="a", ve="vm", source_driver=no_link), disk) is not None:  # type: ignore[arg-type]
            continue
        assert path.startswith("/")
        assert ".." not in path.split("/")
        host = Host()
        plan, copy = plan_with(host, monkeypatch), DiskCopy("vda", path, "raw", 1, 1)
        for act in (
            partial(disks.make_empty, plan, copy, show=lambda argv: None),
            partial(disks.is_there, plan, copy),
            partial(disks.discard, plan, [copy]),
        ):
            try:
                act()
            except Refused:
                assert set(path) & set("\n\r\0")
        for argv in host.commands:
            assert_no_option(argv, path)


@names
def test_what_the_log_shows_as_a_command_is_one(name: str) -> None:
    ve, node = VE(name=name, kind=Kind.VM), Node(name="primary", address="192.0.2.1")

    argv = equivalents.virsh(ve, node, "start")

    assert shlex.split(shown_command(argv)) == argv
    assert name not in shown_command([*argv[:-1], Secret(name)]).split("start ")[-1]
    shown = clean(shown_command(argv))
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)


@names
def test_a_name_in_domain_xml_stays_text(name: str) -> None:
    root = etree.Element("domain", type="kvm")
    try:
        for tag, text in (("name", name), ("uuid", "7895325f-2250-5e7a-974c-08312439da70"), ("title", name)):
            etree.SubElement(root, tag).text = text
        devices = etree.SubElement(root, "devices")
        etree.SubElement(etree.SubElement(devices, "disk", type="file"), "source", file=name)
        facts = domain_facts(etree.tostring(root, encoding="unicode"))
    except (ValueError, DomainXmlError):  # XML has no such character, or nothing is left of the name
        return
    # A parser reads every line break as one; the ends are trimmed.
    assert facts.name == name.strip() or "\r" in name
    assert len(facts.disks) == 1
    assert not facts.nics


@names
def test_pasted_xml_defines_nothing_but_what_it_says(name: str) -> None:
    text = f"<domain type='kvm'><name>{name}</name><uuid>u</uuid><devices/></domain>"
    try:
        facts = domain_facts(text)
    except DomainXmlError:
        return
    assert not facts.disks or "<disk" in name


@names
def test_only_addresses_reach_a_uri(name: str) -> None:
    try:
        host = host_part(name)
        uri = connection_uri(type(NODE)("n", name, pki_dir="/pki"), VEKind.VM)
    except Refused:
        return
    assert uri == f"qemu+tls://{host}/system?pkipath=/pki"
    assert checked_address(name)
    assert not name.startswith("-")


@names
def test_a_series_lies_in_its_folder(name: str, tmp_path: Path) -> None:
    if name not in ("node", "ve"):
        with pytest.raises(ValueError, match="no series are kept"):
            Store(tmp_path).path(name, 7)
    assert Store(tmp_path).path("ve", 7).resolve().is_relative_to(tmp_path.resolve())


@names
def test_a_topic_is_a_word_and_a_key(name: str) -> None:
    for topic in (name, f"task:{name}", f"{name}:1"):
        try:
            found, key = lookup(topic)
        except UnknownTopic:
            continue
        assert set(found.prefix + key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
