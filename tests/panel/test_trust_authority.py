"""The panel's certificate authority: what it signs, for whom, and that its keys stay private."""

import datetime as dt
import os
import ssl
import stat
import threading
from pathlib import Path
from socket import socketpair
from typing import Any

import pytest
import time_machine
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from panel.trust import ca
from panel.trust.errors import TrustError

PURPOSES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> Path:
    settings.KEYS_DIR = tmp_path / "keys"
    settings.PKI_DIR = settings.KEYS_DIR / "pki"
    return settings.KEYS_DIR


def extension(pem: bytes, kind: type[Any]) -> Any:
    return x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(kind).value


def test_the_authority_is_made_once_and_loaded_afterwards() -> None:
    assert ca.ensure_ca().pem == ca.ensure_ca().pem == ca.load_ca().pem


def test_no_key_is_readable_by_others(keys: Path) -> None:
    previous = os.umask(0)
    try:
        ca.ensure_panel_certificate()
        ca.ensure_web_certificate(["panel.example.org"])
    finally:
        os.umask(previous)
    files = [path for path in keys.rglob("*") if path.is_file()]
    assert len(files) == 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (keys, keys / "pki")} == {0o700}


def test_half_an_authority_is_refused_rather_than_replaced(keys: Path) -> None:
    ca.ensure_ca()
    (keys / "ca.key").unlink()
    with pytest.raises(TrustError, match=r"ca\.key is missing"):
        ca.ensure_ca()
    assert (keys / "ca.crt").exists()


def test_a_key_of_another_authority_is_refused(keys: Path) -> None:
    ca.ensure_ca()
    certificate = (keys / "ca.crt").read_bytes()
    (keys / "ca.key").unlink()
    (keys / "ca.crt").unlink()
    ca.ensure_ca()
    (keys / "ca.crt").write_bytes(certificate)
    with pytest.raises(TrustError, match="does not belong"):
        ca.load_ca()


def test_a_node_is_server_and_client_under_its_name_and_addresses() -> None:
    ca.ensure_ca()
    issued = ca.issue_node_certificates("primary", ["10.78.0.11", "fd00::11"])
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    assert certificate.subject.rfc4514_string() == "CN=primary,O=Mooring"
    assert [part.oid._name for part in certificate.subject] == ["organizationName", "commonName"]
    assert set(extension(issued.certificate, x509.ExtendedKeyUsage)) == set(PURPOSES.values())
    names = extension(issued.certificate, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["primary"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.78.0.11", "fd00::11"]
    # libvirtd 9 does not start with a certificate that lacks one of these two.
    usage = extension(issued.certificate, x509.KeyUsage)
    assert usage.digital_signature and usage.key_encipherment and not usage.key_cert_sign


def test_a_node_certificate_lasts_825_days_and_is_renewed_before() -> None:
    ca.ensure_ca()
    issued = ca.issue_node_certificates("primary", ["10.78.0.11"])
    left = issued.expires_at - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=824) < left <= dt.timedelta(days=825)
    names = ["primary", "10.78.0.11"]
    assert ca.certificate_is_current(issued.certificate, ca.load_ca(), names)
    with time_machine.travel(issued.renew_at + dt.timedelta(minutes=1), tick=False):
        assert not ca.certificate_is_current(issued.certificate, ca.load_ca(), names)


def test_a_certificate_for_another_address_is_not_current() -> None:
    ca.ensure_ca()
    issued = ca.issue_node_certificates("primary", ["10.78.0.11"])
    assert not ca.certificate_is_current(issued.certificate, ca.load_ca(), ["primary", "10.78.0.99"])


def test_a_certificate_of_another_authority_is_not_current(tmp_path: Path, settings: Any) -> None:
    ca.ensure_ca()
    ours = ca.load_ca()
    settings.KEYS_DIR = tmp_path / "other"
    ca.ensure_ca()
    foreign = ca.issue_node_certificates("primary", ["10.78.0.11"])
    assert not ca.certificate_is_current(foreign.certificate, ours, ["primary"])


def test_what_is_no_certificate_is_not_current() -> None:
    assert not ca.certificate_is_current(b"nonsense", ca.ensure_ca())


def test_the_panel_is_client_only(keys: Path) -> None:
    ca.ensure_panel_certificate()
    pem = (keys / "pki" / "clientcert.pem").read_bytes()
    assert list(extension(pem, x509.ExtendedKeyUsage)) == [PURPOSES["client"]]
    assert (keys / "pki" / "cacert.pem").read_bytes() == ca.load_ca().pem


def test_the_web_certificate_cannot_pass_for_a_node_or_the_panel(keys: Path) -> None:
    ca.ensure_web_certificate(["panel.example.org"])
    pem = (keys / "web.crt").read_bytes()
    assert "O=Mooring," not in x509.load_pem_x509_certificate(pem).subject.rfc4514_string() + ","
    assert list(extension(pem, x509.ExtendedKeyUsage)) == [PURPOSES["server"]]


def test_the_web_certificate_is_made_anew_when_a_host_name_is_added(keys: Path) -> None:
    ca.ensure_web_certificate([])
    first = (keys / "web.crt").read_bytes()
    ca.ensure_web_certificate([])
    assert (keys / "web.crt").read_bytes() == first
    ca.ensure_web_certificate(["panel.example.org", "[::1]"])
    names = extension((keys / "web.crt").read_bytes(), x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "panel.example.org"]


def test_panel_and_node_trust_each_other_in_a_real_handshake(keys: Path, tmp_path: Path) -> None:
    ca.ensure_panel_certificate()
    node = ca.issue_node_certificates("primary", ["10.78.0.11"])
    (tmp_path / "node.pem").write_bytes(node.certificate + node.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "node.pem")
    server.load_verify_locations(keys / "ca.crt")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(keys / "pki" / "cacert.pem")
    client.load_cert_chain(keys / "pki" / "clientcert.pem", keys / "pki" / "clientkey.pem")
    here, there = socketpair()
    seen: list[Any] = []

    def serve() -> None:
        with server.wrap_socket(there, server_side=True) as secure:
            seen.append(secure.getpeercert())

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(here, server_hostname="10.78.0.11") as secure:
        secure.settimeout(5)
        thread.join(5)
        assert secure.version() == "TLSv1.3"
    assert (("commonName", "panel"),) in seen[0]["subject"]


def test_a_key_never_shows_in_a_representation() -> None:
    ca.ensure_ca()
    issued = ca.issue_node_certificates("primary", [])
    assert "PRIVATE" not in repr(issued) and "PRIVATE" not in repr(ca.load_ca())
