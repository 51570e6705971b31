"""What a libvirt network's XML says about its reach."""

import pytest

from infrastructure.drivers.libvirt_xml import network_layout, parse

NAT = """<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>
<ip address='192.168.122.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip>
<ip family='ipv6' address='fd00::1' prefix='64'/></network>"""


def test_a_nat_network_has_addresses_and_a_dhcp_range() -> None:
    found = network_layout(parse(NAT, "network"))
    assert found["mode"] == "nat"
    assert found["addresses"] == ("192.168.122.1/24", "fd00::1/64")
    assert found["dhcp"] == ("192.168.122.2 \u2013 192.168.122.254",)


@pytest.mark.parametrize(
    ("xml", "mode"),
    [
        ("<network><name>a</name></network>", "isolated"),
        ("<network><name>a</name><forward/></network>", "nat"),
        ("<network><name>a</name><forward mode='bridge'/><bridge name='br0'/></network>", "bridge"),
    ],
)
def test_modes(xml: str, mode: str) -> None:
    assert network_layout(parse(xml, "network")) == {"mode": mode, "addresses": (), "dhcp": ()}


def test_an_address_that_is_none_is_shown_as_it_is() -> None:
    xml = "<network><name>a</name><ip address='odd' prefix='x'/></network>"
    assert network_layout(parse(xml, "network"))["addresses"] == ("odd",)
