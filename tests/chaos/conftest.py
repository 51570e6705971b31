"""Each fault runs MOORING_CHAOS_REPEAT times, each time with a seed that is printed."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.chaos import report
from tests.chaos.asking import Asker
from tests.chaos.ceph import Work, until_well
from tests.chaos.console import Console
from tests.chaos.invariants import Invariants
from tests.chaos.machine import Machine
from tests.chaos.migration import Migration, Tasks
from tests.chaos.nodes import Nodes
from tests.chaos.panel import Panel
from tests.chaos.report import faults
from tests.chaos.targets import Targets, places
from tests.e2e.conftest import INSTANCE, PORT, ROOT, browser, make_user, password  # noqa: F401
from tests.e2e.lab import NODES

REPEAT = int(os.environ.get("MOORING_CHAOS_REPEAT", "1"))
SEED = int(os.environ.get("MOORING_CHAOS_SEED", "1"))
SECRET = "only for the faults, and long"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "dice" in metafunc.fixturenames:
        metafunc.parametrize("dice", [SEED * 1000 + n for n in range(REPEAT)], indirect=True, ids=str)


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> report.Dice:
    """The randomness of one round; its seed is the test's id."""
    fault = report.faults.setdefault(request.node.originalname, report.Fault())
    fault.runs += 1
    print(f"\n    seed {request.param}")
    return report.Dice(fault, request.param)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = report.nodeid.rpartition("::")[2]
    fault = faults.get(name.partition("[")[0])
    if fault is not None and report.outcome in ("failed", "rerun"):
        why = (line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E "))
        wrong = fault.violations if report.outcome == "failed" else fault.begun_again
        wrong.append(f"{name}: {next(why, '')}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if report.faults:
        terminalreporter.section(f"faults, seed {SEED}")
        for line in report.lines():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def lab() -> Nodes:
    return Nodes(ROOT, os.environ.get("MOORING_LAB_INSTANCE", INSTANCE))


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """The panel's processes, started so that they know the faults' tasks and a clock that can be set."""
    panel = Machine(ROOT, INSTANCE, PORT)
    panel.stop()
    panel.start(under_test=True)
    yield panel
    panel.stop()
    panel.start(under_test=False)


@pytest.fixture(scope="session")
def query(machine: Machine) -> Iterator[Asker]:
    """query("Task.objects.count()") → the value of a Python expression over the panel's models, by way of JSON."""
    asker = Asker(ROOT, INSTANCE)
    yield asker
    asker.close()


@pytest.fixture(scope="session")
def tasks(query: Asker) -> Tasks:
    return Tasks(query)


@pytest.fixture(scope="session")
def panel(machine: Machine, password: str) -> Panel:  # noqa: F811
    session = Panel(int(PORT))
    session.sign_in("admin", password)
    return session


@pytest.fixture(scope="session")
def other_admin(panel: Panel) -> Panel:
    """A second administrator, signed in."""
    make_user("second", "administrator", SECRET)
    session = Panel(panel.port)
    session.sign_in("second", SECRET)
    return session


@pytest.fixture(scope="session")
def signed_in(panel: Panel) -> dict[str, str]:
    """The cookies of the administrator, for browsers: logins are rate-limited."""
    return panel.cookies


@pytest.fixture
def console(browser: Browser, signed_in: dict[str, str], query: Asker) -> Iterator[Console]:  # noqa: F811
    shown = Console(browser, signed_in, query)
    yield shown
    shown.close()


@pytest.fixture
def invariants(dice: report.Dice, lab: Nodes, query: Asker) -> Iterator[Invariants]:
    """Checked after every fault, by the fixture's end, so that no test can forget it."""
    checker = Invariants(lab, query)
    yield checker
    checker.check()
    dice.recovered()


@pytest.fixture
def migration(panel: Panel, lab: Nodes, query: Asker) -> Migration:
    return Migration(panel, lab, query)


@pytest.fixture
def work(invariants: Invariants, panel: Panel, query: Asker, tasks: Tasks) -> Iterator[Work]:
    """Work asked of a storage that is well; what it made is removed before the invariants are checked."""
    until_well(query)
    made = Work(panel, query, tasks)
    yield made
    made.remove_all()


@pytest.fixture
def targets(
    dice: report.Dice, invariants: Invariants, panel: Panel, query: Asker, tasks: Tasks, lab: Nodes
) -> Iterator[Targets]:
    """One node serves, another uses it; the invariants are checked while all of it is there, and when it is gone."""
    until_well(query)
    made = Targets(panel, query, tasks, lab)
    try:
        made.serve_from(*places(dice.sample(NODES, len(NODES))))
        yield made
        invariants.check()
    finally:
        made.remove_all()
