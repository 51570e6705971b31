"""Gates of the task engine and of the live socket, on a panel of their own.

Beside a POST: a worker that takes a number with BLPOP and inserts a row. Beside lines a second: bare inserts, one
transaction each. Beside a line on its way to the DOM: a Redis publish to its subscriber.
"""

from collections.abc import Collection, Iterator

from tests.bench.gates import Gate, Result, Rule
from tests.bench.stage import say, stage

POST = (
    Gate("POST → first step row, p50", Rule.P50_AT_MOST, 30, "ms"),
    Gate("POST → first step row, p95", Rule.P95_AT_MOST, 100, "ms"),
)
LINES = (Gate("log lines a second, none lost", Rule.P50_AT_LEAST, 1500, "lines/s"),)
DOM = (
    Gate("log line → DOM at 100 lines/s, p50", Rule.P50_AT_MOST, 40, "ms"),
    Gate("log line → DOM at 100 lines/s, p95", Rule.P95_AT_MOST, 120, "ms"),
)
GATES = POST + LINES + DOM
# What the probe calls it, how many rounds, for which gates.
PROBES = (("post", 40, POST), ("lines", 12, LINES), ("dom", 10, DOM))


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Measure what the chosen gates need; all of them take about two minutes."""
    with stage() as panel:
        for name, rounds, gates in PROBES:
            if wanted := [gate for gate in gates if gate in chosen]:
                say(f"tasks: {name}")
                yield from panel.results("tests.bench.tasks_probe", name, rounds, wanted)
