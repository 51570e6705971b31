"""Gates of the console: what its way through the panel costs beside the same SSH forward alone.

Samples b are the bare forward's, or those of websockify between the same browser and the same display, with TLS as
ours: once on its own beside the display, without SSH, and once where the panel stands, behind OpenSSH's forward.
Real parts: OpenSSH's server on the loopback, the panel's own websocket with its rights checks under uvicorn with TLS.
The displays are sockets that flood, echo or are silent.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import Stage, free_port, say

START_SECONDS = 60.0
FORWARD = Gate("console throughput, against the bare SSH forward", Rule.RATIO_AT_LEAST, 0.8, "MiB/s")
WEBSOCKIFY = Gate("console throughput, against websockify 0.10", Rule.RATIO_AT_LEAST, 1.0, "MiB/s")
OVER_SSH = Gate("console throughput, against websockify 0.10 over SSH", Rule.RATIO_AT_LEAST, 1.0, "MiB/s")
TYPICAL = Gate("console added latency, 64 B ping-pong, p50", Rule.MORE_AT_MOST, 0.3, "ms")
WORST = Gate("console added latency, 64 B ping-pong, p99", Rule.P99_MORE_AT_MOST, 2.0, "ms")
IDLE = Gate("50 idle consoles", Rule.MORE_AT_MOST, 3.0, "% of a core")
GATES = (FORWARD, WEBSOCKIFY, OVER_SSH, TYPICAL, WORST, IDLE)
# What the probe calls it, how many rounds, for which gates.
PROBES = (
    ("throughput", 12, (FORWARD,)),
    ("websockify", 12, (WEBSOCKIFY,)),
    ("websockify_over_ssh", 12, (OVER_SSH,)),
    ("latency", 12, (TYPICAL, WORST)),
    ("idle", 10, (IDLE,)),
)


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Measure what the chosen gates need; all of them take about four minutes."""
    with _stage() as panel:
        for name, rounds, gates in PROBES:
            if wanted := [gate for gate in gates if gate in chosen]:
                say(f"console: {name}")
                yield from panel.results("tests.bench.console_probe", name, rounds, wanted)


@contextmanager
def _stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="mooring-bench-"))
    panel = Stage(folder)
    panel.environment["MOORING_HTTPS"] = "1"
    try:
        _start(panel, folder)
        yield panel
    finally:
        panel.close()
        shutil.rmtree(folder, ignore_errors=True)


def _start(panel: Stage, folder: Path) -> None:
    panel.python("django", "migrate", "-v", "0")
    panel.python("django", "createcachetable")
    (folder / "endpoint.json").write_text(json.dumps(_start_sshd(panel, folder)))
    panel.start(sys.executable, "-m", "tests.bench.console_displays", str(folder), name="displays")
    certificate = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    _run("openssl", "req", "-x509", *certificate, "-keyout", str(folder / "web.key"), "-out", str(folder / "web.crt"))
    panel.start(
        *(sys.executable, "-m", "uvicorn", "tests.bench.console_app:application"),
        *("--host", "127.0.0.1", "--port", str(panel.port), "--lifespan", "off"),
        *("--ssl-keyfile", str(folder / "web.key"), "--ssl-certfile", str(folder / "web.crt")),
        *("--ws", "websockets-sansio", "--ws-max-size", "1048576", "--ws-per-message-deflate", "false"),
        *("--no-server-header", "--no-access-log"),
        name="web",
    )
    _start_forward(panel, folder)
    ports = [_start_websockify(panel, folder, display) for display in ("flood", "forwarded")]
    until = time.monotonic() + START_SECONDS
    while not (all(map(_listens, [panel.port, *ports])) and (folder / "silent.sock").exists()):
        if time.monotonic() > until:
            raise RuntimeError((folder / "web.log").read_text())
        time.sleep(0.1)


def _start_sshd(panel: Stage, folder: Path) -> dict[str, Any]:
    """OpenSSH's server for this user; the Endpoint's fields that lead to it."""
    for name in ("host", "client"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    port = free_port()
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "prohibit-password",
    }
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)
    panel.start("/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config"), name="sshd")
    return {
        "name": "bench",
        "address": "127.0.0.1",
        "ssh_port": port,
        "host_key": " ".join((folder / "host.pub").read_text().split()[:2]),
        "ssh_key_path": str(folder / "client"),
    }


def _start_forward(panel: Stage, folder: Path) -> None:
    """OpenSSH's client: the flooding display as a socket of its own."""
    found = json.loads((folder / "endpoint.json").read_text())
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{found['ssh_port']} {found['host_key']}\n")
    known = f"UserKnownHostsFile={folder / 'known_hosts'}"
    options = ("-F", "none", "-N", "-i", str(folder / "client"), "-o", known, "-o", "ExitOnForwardFailure=yes")
    way = ("-L", f"{folder / 'forwarded.sock'}:{folder / 'flood.sock'}", "-p", str(found["ssh_port"]))
    panel.start("ssh", *options, *way, "root@127.0.0.1", name="forward")


def _start_websockify(panel: Stage, folder: Path, display: str) -> int:
    """websockify before a display; its port."""
    port = free_port()
    (folder / f"websockify-{display}.port").write_text(str(port))
    keys = ("--cert", str(folder / "web.crt"), "--key", str(folder / "web.key"), "--ssl-only")
    target = ("--unix-target", str(folder / f"{display}.sock"))
    panel.start("/usr/bin/websockify", *keys, *target, f"127.0.0.1:{port}", name=f"websockify-{display}")
    return port


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
