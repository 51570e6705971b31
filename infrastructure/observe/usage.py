"""Rates and percentages from two samples of counters."""

from infrastructure.drivers.facts import NodeSample, VESample, VEState

Figures = dict[str, float | None]

_EXECUTING = (VEState.RUNNING, VEState.PAUSED, VEState.SHUTTING_DOWN)
_RATES = {
    "disk_read": "disk_read_bytes",
    "disk_write": "disk_write_bytes",
    "read_ops": "disk_read_requests",
    "write_ops": "disk_write_requests",
    "net_in": "net_rx_bytes",
    "net_out": "net_tx_bytes",
}


def ve_figures(before: VESample | None, now: VESample, seconds: float, vcpus: int) -> Figures:
    """Figures of one VE, named as the columns of the series: percent, bytes, and per second.

    All are None for a VE that does not execute. A counter that fell (a restart, another process) gives None once.
    """
    if now.state not in _EXECUTING:
        return dict.fromkeys(("cpu", "memory", *_RATES))
    cpu = _rate(before.cpu_ns if before else None, now.cpu_ns, seconds)
    figures: Figures = {
        "cpu": None if cpu is None else _percent(cpu / 1e9 / max(vcpus, 1)),
        "memory": now.memory_used,
    }
    for name, counter in _RATES.items():
        figures[name] = _rate(getattr(before, counter) if before else None, getattr(now, counter), seconds)
    return figures


def node_figures(before: NodeSample | None, now: NodeSample, ves: list[Figures]) -> Figures:
    """Figures of the node itself; disk and network are the sums over its VEs."""
    figures: Figures = {"cpu": _node_cpu(before, now), "memory": now.memory_total - memory_free(now)}
    for name in _RATES:
        known = [value for ve in ves if (value := ve[name]) is not None]
        figures[name] = sum(known) if known else None
    return figures


def memory_free(sample: NodeSample) -> int:
    """Bytes available for new work: what the kernel would give up for it counts as free."""
    return sample.memory_free + sample.memory_buffers + sample.memory_cached


def _node_cpu(before: NodeSample | None, now: NodeSample) -> float | None:
    if before is None or before.cpu_busy_ns is None or before.cpu_idle_ns is None:
        return None
    if now.cpu_busy_ns is None or now.cpu_idle_ns is None:
        return None
    busy, idle = now.cpu_busy_ns - before.cpu_busy_ns, now.cpu_idle_ns - before.cpu_idle_ns
    return _percent(busy / (busy + idle)) if busy >= 0 and idle >= 0 and busy + idle > 0 else None


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None or now < before or seconds <= 0:
        return None
    return (now - before) / seconds


def _percent(share: float) -> float:
    return round(min(100.0, max(0.0, share * 100)), 1)
