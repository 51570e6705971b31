"""One TLS handshake with libvirtd under a deadline, before libvirt is asked to connect.

libvirt's own handshake waits without limit when the daemon is stopped but its kernel still accepts connections, and
it cannot be interrupted.  The probe also tells apart causes that libvirt reports as one.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.errors import Refused, TimedOut, Unreachable
from infrastructure.drivers.uris import checked_address

_HUNG_UP = "client-certificate"
_AGAIN_SECONDS = 0.3


def probe(endpoint: Endpoint, seconds: float) -> tuple[str, int]:
    """(IP address, port) where the daemon accepted the panel's certificate; else Unreachable, TimedOut or Refused."""
    ip, port, _certificate = handshake(endpoint, seconds)
    return ip, port


def handshake(endpoint: Endpoint, seconds: float) -> tuple[str, int, bytes]:
    """Like ``probe``, with the certificate (DER) that the daemon showed; always a new connection."""
    try:
        return _handshake(endpoint, seconds)
    except Refused as error:
        if error.code != _HUNG_UP:
            raise
    # So hangs up as well who is just ending: only who does it again has looked at the certificate.
    time.sleep(_AGAIN_SECONDS)
    return _handshake(endpoint, seconds)


def _handshake(endpoint: Endpoint, seconds: float) -> tuple[str, int, bytes]:
    where = f"{endpoint.name} ({endpoint.address}:{endpoint.tls_port})"
    context = _context(Path(endpoint.pki_dir))
    address = checked_address(endpoint.address)
    with (
        _explained(where, seconds),
        socket.create_connection((address, endpoint.tls_port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=address) as secure,
    ):
        # The daemon sends one byte once it has checked the client's certificate and name, or hangs up.
        if not secure.recv(1):
            raise _not_accepted(where)
        ip, port = secure.getpeername()[:2]
        return str(ip), int(port), secure.getpeercert(binary_form=True) or b""


@contextmanager
def _explained(where: str, seconds: float) -> Iterator[None]:
    """What a socket or its TLS raises, as a DriverError with the cause."""
    try:
        yield
    except TimeoutError as error:
        raise TimedOut(
            f"libvirtd on {where} did not answer within {seconds:.0f} s",
            code="connect-timeout",
            advice="Check that the node is up and that libvirtd is not stuck.",
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise Refused(
            f"The certificate of {where} is not valid: {error.verify_message}",
            code="server-certificate",
            advice="Onboard the node again to renew its certificate.",
        ) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        raise _not_accepted(where) from error
    except ConnectionRefusedError as error:
        raise Unreachable(
            f"Nothing listens on {where}",
            code="connection-refused",
            advice="Start libvirtd on the node, or onboard the node again.",
        ) from error
    except OSError as error:
        raise Unreachable(
            f"{where} cannot be reached: {error.strerror or error}",
            code="no-route",
            advice="Check the node's power, network and address.",
        ) from error


def _not_accepted(where: str) -> Refused:
    return Refused(
        f"libvirtd on {where} does not accept the panel's certificate",
        code=_HUNG_UP,
        advice="Onboard the node again.",
    )


def _context(pki: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(pki / "cacert.pem")
        context.load_cert_chain(pki / "clientcert.pem", pki / "clientkey.pem")
    except OSError as error:
        raise Refused(
            f"The panel's certificates in {pki} cannot be read: {error}",
            code="pki",
            advice="Restore the panel's key folder, then restart the panel.",
        ) from error
    return context
