"""What tests/bench/console.py measures, with its stage's settings.

`python -m tests.bench.console_probe NAME ROUNDS` prints Turns as JSON.
"""

import sys
import time
from collections.abc import Callable

import django

django.setup()

import uvloop  # noqa: E402

from infrastructure.drivers.ssh import AsyncSsh  # noqa: E402
from tests.bench import cpu  # noqa: E402
from tests.bench.console_app import display_of, endpoint  # noqa: E402
from tests.bench.console_browser import Websocket, through_the_panel, through_websockify  # noqa: E402
from tests.bench.turns import Turns  # noqa: E402

BYTES = 48 << 20
PINGS = 300
IDLE_CONSOLES = 50
IDLE_WINDOW = 5.0
WARM_UP = 8 << 20


def flooded(browser: Websocket) -> list[float]:
    """MiB/s."""
    browser.send(b"x")
    browser.swallow(WARM_UP)
    begun = time.perf_counter()
    browser.swallow(BYTES)
    took = time.perf_counter() - begun
    browser.close()
    return [BYTES / took / (1 << 20)]


async def bare_flood() -> list[float]:
    ssh = AsyncSsh()
    stream = await ssh.open_unix(endpoint(), display_of("flood"))
    stream.write(b"x")
    left = WARM_UP
    while left > 0:
        left -= len(await stream.read(64 << 10))
    left, begun = BYTES, time.perf_counter()
    while left > 0:
        left -= len(await stream.read(64 << 10))
    took = time.perf_counter() - begun
    await ssh.close()
    return [BYTES / took / (1 << 20)]


def echoed(browser: Websocket) -> list[float]:
    """ms of one 64-byte ping-pong; the first of them, which warm up, are left out."""
    samples = []
    for _ in range(PINGS):
        begun = time.perf_counter()
        browser.send(bytes(64))
        browser.exactly(2 + 64)
        samples.append((time.perf_counter() - begun) * 1000)
    browser.close()
    return samples[PINGS // 10 :]


async def bare_echo() -> list[float]:
    ssh, samples = AsyncSsh(), []
    stream = await ssh.open_unix(endpoint(), display_of("echo"))
    for _ in range(PINGS):
        begun, left = time.perf_counter(), 64
        stream.write(bytes(64))
        while left > 0:
            left -= len(await stream.read(64))
        samples.append((time.perf_counter() - begun) * 1000)
    await ssh.close()
    return samples[PINGS // 10 :]


def throughput(rounds: int) -> Turns:
    """MiB/s through the panel, and over the same SSH forward alone."""
    found = Turns()
    for _ in range(rounds):
        found.ours(lambda: flooded(through_the_panel("flood")), _web)
        found.theirs(lambda: uvloop.run(bare_flood()), time.process_time)
    return found


def websockify(rounds: int, display: str = "flood") -> Turns:
    """MiB/s through the panel, and through websockify beside the display."""
    found = Turns()
    for _ in range(rounds):
        found.ours(lambda: flooded(through_the_panel("flood")), _web)
        found.theirs(lambda: flooded(through_websockify(display)), lambda: cpu.of_stage(f"websockify-{display}"))
    return found


def websockify_over_ssh(rounds: int) -> Turns:
    """MiB/s through the panel, and through websockify behind OpenSSH's forward to the display."""
    return websockify(rounds, "forwarded")


def latency(rounds: int) -> Turns:
    """ms of each ping-pong."""
    found = Turns()
    for _ in range(rounds):
        found.ours(lambda: echoed(through_the_panel("echo")), _web)
        found.theirs(lambda: uvloop.run(bare_echo()), time.process_time)
    return found


def idle(rounds: int) -> Turns:
    """Percent of a core that the web process takes, with 50 idle consoles and without any; in five turns each."""
    found = Turns()
    for _ in range(5):
        found.theirs(lambda: _windows(rounds // 5), _web)
        browsers = [through_the_panel("silent") for _ in range(IDLE_CONSOLES)]
        time.sleep(1)  # what opening them costs is not part of it
        found.ours(lambda: _windows(rounds // 5), _web)
        for browser in browsers:
            browser.close()
        time.sleep(1)
    return found


def _windows(count: int) -> list[float]:
    samples = []
    for _ in range(count):
        before, begun = _web(), time.perf_counter()
        time.sleep(IDLE_WINDOW)
        samples.append((_web() - before) / (time.perf_counter() - begun) * 100)
    return samples


def _web() -> float:
    return cpu.of_stage("web")


if __name__ == "__main__":
    probes: dict[str, Callable[[int], Turns]] = {
        "throughput": throughput,
        "websockify": websockify,
        "websockify_over_ssh": websockify_over_ssh,
        "latency": latency,
        "idle": idle,
    }
    print(probes[sys.argv[1]](int(sys.argv[2])).json())
