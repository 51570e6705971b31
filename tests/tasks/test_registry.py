"""Registering jobs: what is refused at import, and what is found in the apps."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from tasks import registry, signatures
from tasks.errors import BadRequest, UnknownJob
from tasks.runner import TaskRun


def test_the_jobs_package_of_each_app_is_imported_with_all_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = tmp_path / "fleet" / "jobs"
    jobs.mkdir(parents=True)
    (tmp_path / "fleet" / "__init__.py").touch()
    (jobs / "__init__.py").touch()
    (jobs / "sail.py").write_text(
        "from tasks.registry import job\n"
        "@job('fleet.sail', title='Sailing', permission='ve.operate')\n"
        "def sail(run, *, knots: int = 3) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_discovered", False)
    monkeypatch.setattr(registry, "_jobs", {})
    apps = [SimpleNamespace(name="fleet"), SimpleNamespace(name="tasks")]
    monkeypatch.setattr(registry, "apps", SimpleNamespace(get_app_configs=lambda: apps))
    try:
        assert registry.get_job("fleet.sail").title == "Sailing"
        with pytest.raises(UnknownJob):
            registry.get_job("fleet.sink")
    finally:
        for name in [name for name in sys.modules if name.startswith("fleet")]:
            del sys.modules[name]


@pytest.mark.parametrize("wrong", [{"permission": "ve.everything"}, {"queue": "nowhere"}])
def test_a_declaration_that_could_never_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        registry.job("test.wrong", **{"title": "Wrong", "permission": "ve.operate"} | wrong)


def test_a_job_takes_its_parameters_by_keyword_only() -> None:
    def positional(run: TaskRun, ve_id: int) -> None: ...

    with pytest.raises(BadRequest):
        registry.job("test.positional", title="T", permission="ve.operate")(positional)


def test_a_kind_belongs_to_one_function() -> None:
    def other(run: TaskRun) -> None: ...

    with pytest.raises(ValueError, match="twice"):
        registry.job("test.move", title="T", permission="ve.operate")(other)


@pytest.mark.parametrize(
    ("lock", "keys"),
    [
        (None, []),
        ("ve:{ve_id}", ["ve:7"]),
        (["node:{node_id}", "ve:{ve_id}", "ve:{ve_id}"], ["node:1", "ve:7"]),
        (lambda params: [f"ve:{params['ve_id']}", "cluster"], ["cluster", "ve:7"]),
    ],
)
def test_locks_may_be_one_several_or_computed(lock: Any, keys: list[str]) -> None:
    job = registry.Job("k", print, "default", "T", "ve.operate", lock, None, None, True, "")
    assert job.lock_keys({"ve_id": 7, "node_id": 1}) == keys


def sample(
    run: TaskRun,
    *,
    ids: list[int],
    mode: Literal["a", "b"] = "a",
    size: float | None = None,
    more: dict[str, int] | None = None,
) -> None: ...


@pytest.mark.parametrize("params", [{"ids": []}, {"ids": [1, 2], "mode": "b", "size": 1, "more": {"x": 1}}])
def test_what_fits_is_completed_with_the_defaults(params: dict[str, Any]) -> None:
    assert signatures.complete(sample, params) == {"mode": "a", "size": None, "more": None} | params


@pytest.mark.parametrize(
    "params",
    [
        {"ids": ["1"]},
        {"ids": 1},
        {"ids": [], "mode": "c"},
        {"ids": [], "size": "1"},
        {"ids": [], "size": float("nan")},
    ],
)
def test_what_does_not_fit_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        signatures.complete(sample, params)


def test_identical_requests_share_a_digest_whatever_the_order() -> None:
    assert signatures.digest("k", {"a": 1, "b": 2}) == signatures.digest("k", {"b": 2, "a": 1})
    assert signatures.digest("k", {"a": 1}) != signatures.digest("k", {"a": 2})
    assert signatures.digest("k", {"a": 1}) != signatures.digest("j", {"a": 1})
