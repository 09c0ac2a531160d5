"""The shipped retrospective campaign, and the benchmark that plays it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from discover.backtest.answers import ask_everything
from discover.definition import load

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "campaigns" / "refractive-index.yaml"


def test_answers_above_ten_are_failures_and_said_so(tmp_path: Path) -> None:
    definition = load(FILE)
    pool = definition.pool(definition.pull(tmp_path))
    assert len(pool) == 4764
    assert "n" not in pool.columns, "the answer must not be among the columns that a candidate shows"
    experiment = definition.runner(tmp_path)
    assert experiment is not None
    answers = ask_everything(pool, definition.objective, experiment)
    assert answers.counts() == {"measured": 4737, "failed": 27}
    failed = answers.status == "failed"
    assert np.isnan(answers.values[failed]).all()
    assert all("outside the stated range 1..10" in reason for reason in answers.reason[failed])
    assert 9 < np.nanmax(answers.utilities()) <= 10
    assert "the 27 values above 10" in definition.about
    assert np.count_nonzero(answers.values == 1.0) == 24
    assert "The 24 values of exactly 1" in definition.about


def test_benchmark_on_a_small_pool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two seeds on sixty candidates: the whole way to the JSON and the picture."""
    spec = importlib.util.spec_from_file_location("sample_efficiency", ROOT / "benchmarks" / "sample_efficiency.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    options = ["--seeds", "2", "--rows", "60", "--budget", "15", "--processes", "1", "--out", str(tmp_path)]
    path = benchmark.main(options)
    body = json.loads(path.read_text())
    assert body["policies"] == ["bayesian", "one-feature", "random"]
    assert body["pool"]["size"] == 60
    assert body["budget"] == 15
    assert len(body["runs"]) == 6
    assert set(body["gain_over_random"]) == set(body["policies"])
    assert "bayesian - one-feature" in body["gain_paired"]
    starts = {run["policy"]: run["ids"][:5] for run in body["runs"] if run["seed"] == 0}
    assert starts["bayesian"] == starts["one-feature"] != starts["random"]
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "not to be compared" in capsys.readouterr().out
