"""What plays the display: one socket that sends without end, one that echoes, one that is silent."""

import socket
import sys
import threading
from pathlib import Path

CHUNK = bytes(256 << 10)


def flood(peer: socket.socket) -> None:
    """Send until the other side leaves; begins with its first byte, so that the measured time has a beginning."""
    if peer.recv(1):
        while True:
            peer.sendall(CHUNK)


def echo(peer: socket.socket) -> None:
    """Send back what comes."""
    while data := peer.recv(65536):
        peer.sendall(data)


def silent(peer: socket.socket) -> None:
    """Wait for the end."""
    while peer.recv(65536):
        pass


def serve(folder: Path, name: str) -> None:
    """Accept for one display, a thread a peer."""

    def one(peer: socket.socket) -> None:
        with peer:
            try:
                {"flood": flood, "echo": echo, "silent": silent}[name](peer)
            except OSError:
                return

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / f"{name}.sock"))
        server.listen(100)
        while True:
            threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    for each in ("flood", "echo"):
        threading.Thread(target=serve, args=(Path(sys.argv[1]), each), daemon=True).start()
    serve(Path(sys.argv[1]), "silent")
