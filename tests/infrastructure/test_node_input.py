"""Nothing but a checked name, address, port and fingerprint goes on to an engine."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.uris import checked_address
from infrastructure.services.errors import InvalidInput
from infrastructure.services.node_input import (
    clean_address,
    clean_fingerprint,
    clean_location,
    clean_name,
    clean_port,
)

HOSTILE = [
    "",
    "-h",
    ";id",
    "$(id)",
    "`id`",
    "a b",
    "a\nb",
    "a\x00",
    "../x",
    "a@snap",
    "<b>",
    "]]>",
    "'",
    '"',
    "http://a",
    "qemu+tls://a/system",
    "a/b",
    "a:22",
    "a%eth0",
    "ä",
    "x" * 300,
]
FINGERPRINT = "SHA256:wrSGVQIb8SRB3wwtmx52bCpip16bdINYlcC2qQvByyI"


@pytest.mark.parametrize("name", [*HOSTILE, "Primary", "a.b", "a_b", "a-", "x" * 64, "panel"])
def test_a_name_is_one_host_label(name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        clean_name(name)
    assert refusal.value.field == "name" and refusal.value.advice


@pytest.mark.parametrize("name", ["primary", "secondnode1", "a", "n-1", "x" * 63])
def test_ordinary_names_are_taken(name: str) -> None:
    assert clean_name(f" {name} ") == name


@pytest.mark.parametrize("address", [*HOSTILE, "10.0.0", "10.0.0.256", "0.0.0.0", "224.0.0.1", "::", "fe80::1%eth0"])
def test_an_address_is_an_ip_address_or_host_name(address: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        clean_address(address)
    assert refusal.value.field == "address"


@pytest.mark.parametrize(
    ("entered", "taken"),
    [
        ("10.78.0.11", "10.78.0.11"),
        (" fd00::0011 ", "fd00::11"),
        ("[fd00::11]", "fd00::11"),
        ("Node1.Example.org", "node1.example.org"),
    ],
)
def test_one_address_is_stored_in_one_way(entered: str, taken: str) -> None:
    assert clean_address(entered) == taken


@given(st.text(max_size=80))
def test_whatever_is_let_through_is_safe_in_an_address(entered: str) -> None:
    try:
        taken = clean_address(entered)
    except InvalidInput:
        return
    assert checked_address(taken) == taken
    assert set(taken) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-:")


@given(st.ip_addresses())
def test_every_address_of_a_machine_is_taken(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if not (address.is_multicast or address.is_unspecified):
        assert ipaddress.ip_address(clean_address(str(address))) == address


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_has_limits(port: int) -> None:
    with pytest.raises(InvalidInput):
        clean_port(port)


@pytest.mark.parametrize("fingerprint", ["", "MD5:aa:bb", FINGERPRINT[:-1], FINGERPRINT + "x", "SHA256:" + "$" * 43])
def test_a_fingerprint_is_sha256(fingerprint: str) -> None:
    with pytest.raises(InvalidInput):
        clean_fingerprint(fingerprint)


def test_padding_of_a_fingerprint_does_not_matter() -> None:
    assert clean_fingerprint(f" {FINGERPRINT}= ") == FINGERPRINT


@pytest.mark.parametrize(("clean", "value"), [(clean_location, "x" * 64), (clean_location, "a\nb")])
def test_a_location_is_one_short_line(clean: Callable[[str, str], str], value: str) -> None:
    with pytest.raises(InvalidInput):
        clean(value, "rack")
