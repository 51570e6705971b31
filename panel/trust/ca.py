"""The panel's own certificate authority.

It signs three kinds of certificates: one per node (libvirtd's and QEMU's, as server and as client of its peers), one
for the panel as libvirt client, one for the panel's web server. Whoever holds a certificate named `O=Mooring,CN=…` may
drive libvirt on every node; the web certificate carries another organisation, so it never counts as one of them.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings

from panel.trust.errors import TrustError
from panel.trust.files import write_private

ORGANISATION = "Mooring"
PANEL_NAME = "panel"
# libvirt compares with fnmatch. The panel drives nodes, nodes receive VEs from each other; nobody else has such a name.
ALLOWED_DNS = (f"O={ORGANISATION},CN=*",)
CA_DAYS = 3650
NODE_DAYS = 825
WEB_DAYS = 397  # browsers refuse longer ones
RENEW_BEFORE = dt.timedelta(days=60)
_BACKDATED = dt.timedelta(hours=1)  # a node's clock may be behind

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Authority:
    """The CA's key and certificate."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Described:
    """What people compare a certificate by; the serial in upper-case hexadecimal, as openssl prints it."""

    serial: str
    subject: str
    issuer: str
    issued_at: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True)
class Issued:
    """One certificate with its key, both PEM, and the CA's certificate that signed it."""

    certificate: bytes
    key: bytes = field(repr=False)
    ca: bytes
    expires_at: dt.datetime

    @property
    def renew_at(self) -> dt.datetime:
        return self.expires_at - RENEW_BEFORE


def _paths() -> tuple[Path, Path]:
    return settings.KEYS_DIR / "ca.key", settings.KEYS_DIR / "ca.crt"


def ensure_ca() -> Authority:
    """Load the authority, or make it once. TrustError when only half of it is there."""
    key_path, certificate_path = _paths()
    if key_path.exists() or certificate_path.exists():
        return load_ca()
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{ORGANISATION} CA", f"Mooring {settings.INSTANCE}")
    now = dt.datetime.now(dt.UTC)
    certificate = (
        _builder(name, name, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(key_path, _key_pem(key))
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(key, certificate)


def load_ca() -> Authority:
    """The authority as stored. TrustError when it is missing or damaged, or key and certificate do not match."""
    key_path, certificate_path = _paths()
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except FileNotFoundError as error:
        raise TrustError(
            f"{error.filename} is missing. Restore {settings.KEYS_DIR} from a backup, "
            "or run `manage.py prepare` on an empty folder and set each node up again."
        ) from error
    except ValueError as error:
        raise TrustError(
            f"The authority in {settings.KEYS_DIR} cannot be read ({error}). Restore it from a backup."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise TrustError(f"{key_path} does not belong to {certificate_path}. Restore both from one backup.")
    return Authority(key, certificate)


def issue_node_certificates(name: str, addresses: Iterable[str]) -> Issued:
    """A certificate for a node as server and client, valid for its name and addresses (host names or IP addresses)."""
    # RSA: libvirt 9 and QEMU 7.2 want the key-encipherment usage, which only RSA keys may state.
    return _issue(
        load_ca(),
        rsa.generate_private_key(public_exponent=65537, key_size=3072),
        _name(ORGANISATION, name),
        [name, *addresses],
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
        NODE_DAYS,
    )


def ensure_panel_certificate() -> None:
    """The certificate with which the panel reaches libvirt, in PKI_DIR under the names libvirt looks for."""
    authority = ensure_ca()
    folder = settings.PKI_DIR
    if is_current(folder / "clientcert.pem", authority) and (folder / "clientkey.pem").exists():
        if not (folder / "cacert.pem").exists():
            write_private(folder / "cacert.pem", authority.pem)
        return
    issued = _issue(
        authority,
        rsa.generate_private_key(public_exponent=65537, key_size=3072),
        _name(ORGANISATION, PANEL_NAME),
        [],
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        NODE_DAYS,
    )
    write_private(folder / "cacert.pem", issued.ca)
    write_private(folder / "clientkey.pem", issued.key)
    write_private(folder / "clientcert.pem", issued.certificate)


def ensure_web_certificate(hosts: Iterable[str]) -> None:
    """The web server's certificate for localhost and the given host names or addresses; renewed when they changed."""
    authority = ensure_ca()
    certificate_path, key_path = settings.KEYS_DIR / "web.crt", settings.KEYS_DIR / "web.key"
    names = list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *(host.strip("[]") for host in hosts)]))
    if is_current(certificate_path, authority, names) and key_path.exists():
        return
    issued = _issue(
        authority,
        ec.generate_private_key(ec.SECP256R1()),
        _name(f"{ORGANISATION} web", names[0]),
        names,
        [ExtendedKeyUsageOID.SERVER_AUTH],
        WEB_DAYS,
    )
    write_private(key_path, issued.key)
    write_private(certificate_path, issued.certificate + issued.ca)


def is_current(path: Path, authority: Authority, names: Iterable[str] = ()) -> bool:
    """Whether the certificate file exists and need not be renewed."""
    return path.exists() and certificate_is_current(path.read_bytes(), authority, names)


def certificate_is_current(pem: bytes, authority: Authority, names: Iterable[str] = ()) -> bool:
    """Whether our authority signed it, it is not due for renewal, and it names all of `names`."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    if certificate.not_valid_after_utc - RENEW_BEFORE <= dt.datetime.now(dt.UTC):
        return False
    return {_general_name(name) for name in names} <= _names_of(certificate)


def describe(data: bytes) -> Described:
    """Read a certificate, PEM or DER. ValueError when it is not one."""
    load = x509.load_pem_x509_certificate if data.startswith(b"-----") else x509.load_der_x509_certificate
    found = load(data)
    return Described(
        f"{found.serial_number:X}",
        _words(found.subject),
        _words(found.issuer),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
    )


def expiry(pem: bytes) -> dt.datetime:
    """When the certificate ends, in UTC. ValueError when it is not one."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def _issue(
    authority: Authority,
    key: PrivateKey,
    subject: x509.Name,
    names: Iterable[str],
    purposes: list[x509.ObjectIdentifier],
    days: int,
) -> Issued:
    builder = (
        _builder(subject, authority.certificate.subject, key, dt.datetime.now(dt.UTC), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(encipher_keys=isinstance(key, rsa.RSAPrivateKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    alternatives = list(dict.fromkeys(_general_name(name) for name in names))
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    return Issued(
        certificate.public_bytes(serialization.Encoding.PEM),
        _key_pem(key),
        authority.pem,
        certificate.not_valid_after_utc,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(organisation: str, common: str) -> x509.Name:
    # Organisation first: libvirt prints and compares the parts in this order.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _words(name: x509.Name) -> str:
    """As libvirt prints it: "O=Mooring,CN=primary"."""
    short = {NameOID.ORGANIZATION_NAME: "O", NameOID.COMMON_NAME: "CN"}
    return ",".join(f"{short.get(part.oid, part.oid.dotted_string)}={part.value!s}" for part in name)


def _usage(*, sign_certificates: bool = False, encipher_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_encipherment=encipher_keys,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
