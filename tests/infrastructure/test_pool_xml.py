"""Definitions of secrets and storage pools for libvirt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from infrastructure.drivers.attaching import RbdPool
from infrastructure.drivers.errors import DomainXmlError
from infrastructure.drivers.libvirt_pools import pool_xml, said_of, secret_xml

UUID = "11111111-2222-3333-4444-555555555555"
POOL = RbdPool("fast", UUID, "vm.t2.r2.host.fast", ("10.0.0.11:3300", "[fd00::12]:3300"), "mooring-vm", UUID)
text = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), min_size=1, max_size=40)


def test_a_definition_says_what_was_asked_for() -> None:
    assert said_of(pool_xml(POOL)) == POOL


@given(name=text, source=text, user=text)
def test_no_name_breaks_out_of_the_definition(name: str, source: str, user: str) -> None:
    pool = RbdPool(name, UUID, source, ("10.0.0.11:3300",), user, UUID)
    assert said_of(pool_xml(pool)) == pool


def test_the_address_of_a_monitor_has_no_brackets_in_libvirts_form() -> None:
    hosts = etree.fromstring(pool_xml(POOL)).iterfind("source/host")
    assert [(host.get("name"), host.get("port")) for host in hosts] == [("10.0.0.11", "3300"), ("fd00::12", "3300")]


def test_a_secret_can_never_be_read_back() -> None:
    root = etree.fromstring(secret_xml(UUID, "client.mooring-vm"))
    assert root.get("private") == "yes"
    assert root.findtext("usage/name") == "client.mooring-vm"


def test_a_pool_of_another_kind_says_nothing() -> None:
    said = said_of("<pool type='dir'><name>images</name><target><path>/srv</path></target></pool>")
    assert (said.name, said.source, said.monitors, said.secret) == ("images", "", (), "")


def test_what_is_no_pool_is_refused() -> None:
    with pytest.raises(DomainXmlError):
        said_of("<domain/>")
