"""The benchmark of targets plays, keeps what it played, and goes on from there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import targets
from botorch_by_hand import DefaultModel
from scipy.stats import norm
from target_policies import PEERS, policies_of
from target_tasks import TASKS, TOYS, task

from tests.shared_data import needs_data

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/targets.py"


def test_every_policy_plays_each_toy_and_a_second_call_plays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(SCRIPT), "--tasks", "toy-front", "toy-constrained", "--seeds", "1", "--out", str(tmp_path)]
    given += ["--policies", "hypervolume", "feasible-improvement", "random"]
    first = subprocess.run([sys.executable, *given], capture_output=True, text=True, check=True).stdout
    assert first.count("seed 0: area") == 4
    for more in ([], ["--tables"]):
        monkeypatch.setattr(sys, "argv", [*given, *more])
        targets.main()
        again = capsys.readouterr().out
        assert "seed 0: area" not in again
        assert first.endswith(again)
        assert "| toy-front | hypervolume | 1 |" in again


def test_a_policy_that_plays_no_task_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["targets.py", "--tasks", "toy-front", "--policies", "hypervolum", "--seeds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit):
        targets.main()
    assert "play none of the tasks: hypervolum; valid: " in capsys.readouterr().err


def test_a_run_of_another_version_of_the_library_is_made_again_and_one_of_a_peer_is_not(tmp_path: Path) -> None:
    targets.run(["toy-hits"], ["hits", "random"], 1, 1.0, tmp_path)
    places = {policy: tmp_path / f"toy-hits.{policy}.0.json" for policy in ("hits", "random")}
    for policy, place in places.items():
        library = "another" if policy == "hits" else ""
        place.write_text(json.dumps({**json.loads(place.read_text()), "library": library, "at": "before"}))
    targets.run(["toy-hits"], ["hits", "random"], 1, 1.0, tmp_path)
    assert json.loads(places["hits"].read_text())["at"] != "before"
    assert json.loads(places["random"].read_text())["at"] == "before"


@pytest.mark.parametrize("name", ["toy-front", "toy-constrained", "toy-hits", "toy-top"])
def test_a_measure_ends_with_all_that_the_table_holds(name: str) -> None:
    one = task(name)
    curve = one.measure(one, np.random.default_rng(3).permutation(len(one)))
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[-1] == pytest.approx(1.0)
    assert 0.0 <= curve[0] < 1.0


@needs_data
@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_read_and_is_neither_trivial_nor_empty(name: str) -> None:
    one = task(name)
    assert np.isfinite(one.X).all()
    assert all(np.isfinite(values).all() and len(values) == len(one) for values in one.values.values())
    assert one.feasible().sum() >= 3
    few = one.measure(one, np.random.default_rng(0).choice(len(one), 10, replace=False))
    assert few[-1] < 0.999


@needs_data
def test_tasks_with_answers_of_a_test_pool_are_on_the_test_side() -> None:
    from efficiency import split
    from efficiency.pools import load

    sets = json.loads(split.FILE.read_text())
    test = {tuple(np.sort(np.round(load(name).truth, 6))) for name in sets["test"] if name != "dielectric"}
    for name in TASKS:
        one = task(name)
        shared = any(tuple(np.sort(np.round(values, 6))) in test for values in one.values.values())
        assert (one.side == "test") == shared, name


@pytest.mark.parametrize("name", ["toy-hits", "toy-top", "toy-level", "toy-whole"])
def test_what_seeks_no_single_best_is_played_by_ours(name: str) -> None:
    one = task(name)
    for policy in one.policies:
        done = targets.play(one, policy, 0)
        assert len(set(done["rows"])) == one.budget
        assert set(done["closing"]) == {"toy-level": {"f1"}, "toy-whole": {"nlpd"}}.get(name, set())
        assert done["library"]


def test_the_measures_of_learning_are_of_the_rest_and_grow_with_what_is_known() -> None:
    for name in ("toy-level", "toy-whole"):
        one = task(name)
        order = np.random.default_rng(0).permutation(len(one))[:22]
        curve = one.measure(one, order)
        assert curve[-1] >= curve[one.start - 1] > curve[0] == 0.0
        rest, mean = np.setdiff1d(np.arange(60), order), DefaultModel(one, order).marginals()[0]
        truth = one.values["y"]
        if name == "toy-whole":
            assert curve[-1] == pytest.approx(1 - np.sqrt(np.mean((mean - truth)[rest] ** 2)) / truth.std(), abs=1e-3)
        else:
            right = (mean >= 0.5) == (truth >= 0.5)
            sides = [right[rest][truth[rest] >= 0.5].mean(), right[rest][truth[rest] < 0.5].mean()]
            assert curve[-1] == pytest.approx(sum(sides) - 1, abs=0.05)


def test_f1_and_log_density_by_hand() -> None:
    rows = np.arange(40)
    one = task("toy-level")
    truth, (mean, deviation) = one.values["y"][40:], (part[40:] for part in DefaultModel(one, rows).marginals())
    found = ((mean >= 0.5) & (truth >= 0.5)).sum()
    precision, recall = found / (mean >= 0.5).sum(), found / (truth >= 0.5).sum()
    assert one.closing(one, rows)["f1"] == pytest.approx(2 * precision * recall / (precision + recall), abs=0.05)
    whole = task("toy-whole")
    noise = DefaultModel(whole, rows).noise
    told = -norm.logpdf(truth, mean, np.sqrt(deviation**2 + noise)).mean() - np.log(whole.values["y"].std())
    assert whole.closing(whole, rows)["nlpd"] == pytest.approx(told, abs=0.02)


@pytest.mark.parametrize(("name", "peer"), [(name, peer) for name in TOYS for peer in PEERS[task(name).kind]])
def test_botorch_by_hand_chooses_among_what_is_left(name: str, peer: str) -> None:
    one = task(name)
    tried = np.arange(12)
    more = targets.chooser(one, peer, 0)(tried, 4)
    assert len(set(more.tolist()) - set(tried.tolist())) == 4
    assert peer in policies_of(one)


def test_the_peers_batch_is_spread_where_its_scores_alone_would_sit_together() -> None:
    one = task("toy-level")
    tried = np.arange(12)
    batch = targets.chooser(one, "botorch-straddle", 0)(tried, 4)
    mean, deviation = DefaultModel(one, tried).marginals()
    score = np.where(np.isin(np.arange(60), tried), -np.inf, 1.96 * deviation - np.abs(mean - 0.5))
    alone = np.argsort(-score)[:4]
    assert batch[0] == alone[0]

    def nearest(rows: np.ndarray) -> float:
        gaps = np.linalg.norm(one.X[rows][:, None] - one.X[rows][None], axis=2)
        return float(gaps[np.triu_indices(len(rows), 1)].min())

    assert nearest(batch) >= nearest(alone)
