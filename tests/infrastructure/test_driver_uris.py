"""Only checked parts reach a URI or a resolver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.base import Endpoint, Refused, VEKind
from infrastructure.drivers.uris import checked_address, connection_uri, data_uri, peer_uri

NODE = Endpoint("n", "10.0.0.1", pki_dir="/var/lib/mooring/keys/pki")


def test_it_builds_the_uris_of_a_node() -> None:
    assert connection_uri(NODE, VEKind.VM) == "qemu+tls://10.0.0.1/system?pkipath=/var/lib/mooring/keys/pki"
    assert connection_uri(NODE, VEKind.CT) == "lxc+tls://10.0.0.1/?pkipath=/var/lib/mooring/keys/pki"
    assert peer_uri(NODE) == "qemu+tls://10.0.0.1/system?pkipath=/etc/pki/mooring"
    assert data_uri(NODE) == "tcp://10.0.0.1"


def test_it_brackets_ipv6_and_names_another_port() -> None:
    node = Endpoint("n", "2001:db8::1", pki_dir="/pki", tls_port=16515)
    assert connection_uri(node, VEKind.VM) == "qemu+tls://[2001:db8::1]:16515/system?pkipath=/pki"
    assert data_uri(node) == "tcp://[2001:db8::1]"


@pytest.mark.parametrize(
    "address",
    ["", "-oProxyCommand=id", "a b", "a/b", "a@b", "a?x=1", "a#b", "a..b", "a:1", "[::1]", "ä.de", "a\n", "x" * 254],
)
def test_it_refuses_what_is_no_address(address: str) -> None:
    with pytest.raises(Refused):
        checked_address(address)


@pytest.mark.parametrize("folder", ["relative", "/a?b=c", "/a b", "/a&no_verify=1", "/a/../etc", "/a\n"])
def test_it_refuses_a_folder_that_would_change_the_uri(folder: str) -> None:
    with pytest.raises(Refused):
        connection_uri(Endpoint("n", "10.0.0.1", pki_dir=folder), VEKind.VM)


def test_a_node_without_certificates_is_not_dialled() -> None:
    with pytest.raises(Refused, match="Onboard"):
        connection_uri(Endpoint("n", "10.0.0.1"), VEKind.VM)


@given(st.text(max_size=60))
def test_an_accepted_address_cannot_leave_its_place_in_a_uri(address: str) -> None:
    try:
        accepted = checked_address(address)
    except Refused:
        return
    assert not set(accepted) & set("/?#@[]% \t\r\n\\")
    assert not accepted.startswith("-")
