"""Which gates a run measures, and what becomes of those of a module that breaks."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench.gates import Gate, NotRun, Result, Rule
from tests.bench.turns import Turns, read

FIRST = Gate("first", Rule.P50_AT_MOST, 10, "ms", fewest=1)
SECOND = Gate("second", Rule.P50_AT_MOST, 10, "ms", fewest=1)


class Module:
    """A bench whose second gate cannot be measured."""

    GATES = (FIRST, SECOND)

    @staticmethod
    def run(chosen: Collection[Gate]) -> Iterator[Result]:
        for gate in chosen:
            if gate is SECOND:
                raise RuntimeError("the display went away\nand more")
            yield Result(gate, [1.0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "ALONE", ("console",))
    monkeypatch.setattr(bench, "WITH_PANEL", ())
    monkeypatch.setattr(bench, "import_module", lambda name: Module)
    return tmp_path


def test_the_gates_of_a_module_that_breaks_are_not_run_and_the_others_are_kept(folder: Path) -> None:
    (first, raw), (second, none) = bench.Bench(folder, "").outcomes([FIRST, SECOND])

    assert first == Result(FIRST, [1.0])
    assert (folder / raw).exists()
    assert (second, none) == (NotRun(SECOND, "the display went away"), "")
    assert "and more" in (folder / "console.error.txt").read_text()


def test_a_gate_that_was_not_chosen_is_not_run(folder: Path) -> None:
    outcomes = [outcome for outcome, _ in bench.Bench(folder, "").outcomes([FIRST])]

    assert outcomes == [Result(FIRST, [1.0]), NotRun(SECOND, "not chosen")]


def test_words_choose_by_the_name_of_the_gate_or_of_its_module(folder: Path) -> None:
    assert bench.gates([]) == [(FIRST, True), (SECOND, True)]
    assert bench.gates(["Console first"]) == [(FIRST, True), (SECOND, False)]
    assert bench.gates(["second", "first"]) == [(FIRST, True), (SECOND, True)]
    assert bench.gates(["tree"]) == [(FIRST, False), (SECOND, False)]


def test_every_gate_of_every_module_has_a_name_of_its_own() -> None:
    names = [gate.name for gate, _ in bench.gates([])]

    assert len(names) == len(set(names)) > 20


def test_turns_keep_the_sides_and_their_cpu_apart() -> None:
    spent = iter([0.0, 2.0, 10.0, 11.0, 20.0, 23.0])
    turns = Turns()

    turns.ours(lambda: [1.0, 2.0], lambda: next(spent))
    turns.theirs(lambda: [5.0], lambda: next(spent))
    turns.ours(lambda: [3.0], lambda: next(spent))

    assert read(f"noise\n{turns.json()}\n") == turns
    assert turns.result(FIRST) == Result(FIRST, [1.0, 2.0, 3.0], [5.0], cpu_a=5.0, cpu_b=1.0)
