"""The benchmark of targets plays, keeps what it played, and goes on from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import targets
from learning_tasks import DefaultModel
from target_tasks import DATA, TASKS, task

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/targets.py"


def told(out: Path, *more: str) -> str:
    given = [sys.executable, str(SCRIPT), "--tasks", "toy-front", "toy-constrained", "--seeds", "1", "--out", str(out)]
    return subprocess.run([*given, *more], capture_output=True, text=True, check=True).stdout


def test_every_policy_plays_each_toy_and_a_second_call_plays_nothing(tmp_path: Path) -> None:
    first = told(tmp_path, "--policies", "hypervolume", "feasible-improvement", "random")
    assert first.count("seed 0: area") == 4
    again = told(tmp_path, "--policies", "hypervolume", "feasible-improvement", "random")
    assert "seed 0: area" not in again
    assert "toy-front (front, 1 paired seeds)" in again
    assert told(tmp_path, "--tables") == again


def test_a_measure_ends_with_all_that_the_table_holds() -> None:
    for name in ("toy-front", "toy-constrained"):
        one = task(name)
        curve = one.measure(one, np.arange(len(one)))
        assert (np.diff(curve) >= -1e-12).all()
        assert curve[-1] == pytest.approx(1.0)
        assert 0.0 <= curve[0] < 1.0


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not beside the repository")
@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_read_and_is_neither_trivial_nor_empty(name: str) -> None:
    one = task(name)
    assert np.isfinite(one.X).all()
    assert all(np.isfinite(values).all() and len(values) == len(one) for values in one.values.values())
    assert one.feasible().sum() >= 3
    few = one.measure(one, np.random.default_rng(0).choice(len(one), 10, replace=False))
    assert few[-1] < 0.999


def test_what_seeks_no_single_best_is_played_too(tmp_path: Path) -> None:
    given = [sys.executable, str(SCRIPT), "--seeds", "1", "--out", str(tmp_path)]
    toys = ["--tasks", "toy-hits", "toy-level", "toy-whole", "--policies", "hits-ahead", "straddle", "uncertainty"]
    said = subprocess.run([*given, *toys], capture_output=True, text=True, check=True).stdout
    assert said.count("seed 0: area") == 4


def test_the_measures_of_learning_end_with_all_that_the_table_holds() -> None:
    for name, end in (("toy-hits", 1.0), ("toy-level", 0.95), ("toy-whole", 0.95)):
        one = task(name)
        order = np.random.default_rng(0).permutation(len(one))
        curve = one.measure(one, order)
        assert curve[-1] >= end
        assert curve[0] < curve[-1]
    assert np.corrcoef(DefaultModel(one, order[:40]).posterior_mean(), one.values["y"])[0, 1] > 0.9


@pytest.mark.parametrize("name", ["toy-hits", "toy-level", "toy-whole"])
def test_botorch_by_hand_chooses_among_what_is_left(name: str) -> None:
    one = task(name)
    tried = np.arange(12)
    more = targets.chooser(one, "botorch", 0)(tried, 4)
    assert len(set(more.tolist()) - set(tried.tolist())) == 4
