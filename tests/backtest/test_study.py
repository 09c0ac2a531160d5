"""Studies on a small table: paired starts, exact chance beside them, JSON and back, and no look at the answers ahead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from discover import CandidatePool, Objective
from discover.backtest import Study, run_study
from discover.backtest.answers import answers_from_frame
from discover.backtest.loop import Retrospective, play, view_of
from discover.backtest.one_feature import OneFeature
from discover.errors import DiscoverError, InvalidInput, Unsupported
from discover.experiment.callable import CallableExperiment
from discover.features.build import feature_table
from discover.objective import Target
from discover.policy.bayesian import Bayesian
from discover.policy.random import Random
from discover.protocols import View
from discover.values import Batch, Proposal

SIZE = 120


def table(failures: int = 15) -> pd.DataFrame:
    """120 candidates, one telling feature of four, the first few of the best failed."""
    generator = np.random.default_rng(5)
    frame = pd.DataFrame(generator.normal(size=(SIZE, 4)), columns=list("abcd"))
    frame.insert(0, "name", [f"m{i:03d}" for i in range(SIZE)])
    frame["y"] = 2 * frame["b"] + 0.3 * generator.normal(size=SIZE)
    frame.loc[generator.permutation(SIZE)[:failures], "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def pool() -> CandidatePool:
    return CandidatePool.from_frame(table().drop(columns="y"), id="name", features=list("abcd"))


@pytest.fixture(scope="module")
def study(pool: CandidatePool) -> Study:
    policies = {"one-feature": OneFeature(), "random": Random()}
    return run_study(
        pool, Objective("y"), table(), policies=policies, seeds=range(12), budget=30, batch=5, name="planted"
    )


def test_shapes_and_books(study: Study) -> None:
    assert len(study.runs) == 24
    assert study.pool["size"] == SIZE
    assert study.pool["values"] == SIZE - 15
    assert study.pool["statuses"] == {"measured": 105, "failed": 15}
    for run in study.runs:
        assert len(run.ids) == len(set(run.ids)) == len(run.normalised) == 30
        assert np.all(np.diff(run.normalised) >= 0)
    curves = study.curves()
    assert len(curves) == 24 * 30
    assert set(curves.columns) == {"policy", "seed", "experiment", "best", "normalised", "top"}


def test_curves_are_those_of_the_table(study: Study) -> None:
    truth = table().set_index("name")["y"]
    for run in study.runs[::5]:
        found = truth[list(run.ids)].fillna(truth.min()).cummax()
        assert run.best == pytest.approx(found.to_numpy())


def test_seeds_are_paired(study: Study) -> None:
    """Another seed is another start; the same seed with the same starting rule is the same one."""
    again = run_study(
        CandidatePool.from_frame(table().drop(columns="y"), id="name", features=list("abcd")),
        Objective("y"),
        table(),
        policies={"x": OneFeature(), "y": OneFeature(start=25)},
        seeds=range(3),
        budget=30,
    )
    for seed in range(3):
        short, long = again.of("x")[seed], again.of("y")[seed]
        assert short.ids[:10] == long.ids[:10] == study.of("one-feature")[seed].ids[:10]
        assert short.ids != long.ids
    assert len({run.ids[:10] for run in study.of("one-feature")}) > 6


def test_the_planted_feature_is_better_than_random_and_random_is_not(study: Study) -> None:
    assert study.gain("one-feature").low > 0
    assert study.gain("random").sign == 0
    verdicts = study.verdicts()
    assert verdicts[0].startswith("one-feature is better than random choice")
    assert verdicts[1].startswith("random is no better than random choice")
    assert "no better than random" in repr(study)
    row = study.summary().loc["one-feature"]
    assert row["enhancement"] > 1.5
    assert row["acceleration_50"] > 1.5
    assert row["area"] - row["random_area"] == pytest.approx(row["gain"])


def test_random_policy_agrees_with_its_exact_expectation(pool: CandidatePool) -> None:
    """300 seeds of the real random policy lie on the exact line, which no seed was used for."""
    many = run_study(pool, Objective("y"), table(), policies={"random": Random()}, seeds=range(300), budget=12, batch=4)
    curves = np.array([run.normalised for run in many.runs])
    line = many.scale.normalised(many.chance.mean)
    error = curves.std(axis=0) / np.sqrt(len(curves))
    assert np.all(np.abs(curves.mean(axis=0) - line) < 4.5 * error)
    tops = np.mean([run.top for run in many.runs], axis=0)
    assert tops == pytest.approx(np.arange(1, 13) / SIZE, abs=0.03)


def test_minimise_is_maximise_of_the_negative(pool: CandidatePool) -> None:
    frame = table()
    up = run_study(pool, Objective("y"), frame, policies={"o": OneFeature()}, seeds=[1], budget=20)
    flipped = frame.assign(y=-frame["y"])
    down = run_study(pool, Objective("y", "minimize"), flipped, policies={"o": OneFeature()}, seeds=[1], budget=20)
    assert up.runs[0].normalised == pytest.approx(down.runs[0].normalised)
    assert down.curves()["best"].iloc[-1] == pytest.approx(-up.curves()["best"].iloc[-1])


def test_a_real_experiment_gives_the_same_study_as_its_table(pool: CandidatePool, study: Study) -> None:
    truth = table().set_index("b")["y"]

    def look_up(values: dict) -> float:  # type: ignore[type-arg]
        return float(truth[values["b"]])

    experiment = CallableExperiment(look_up, targets={"y": ""})
    asked = run_study(pool, Objective("y"), experiment, policies={"one-feature": OneFeature()}, seeds=[0], budget=30)
    assert asked.runs[0].ids == study.of("one-feature")[0].ids
    assert asked.chance.mean == pytest.approx(study.chance.mean)


def test_processes_change_nothing(pool: CandidatePool, study: Study) -> None:
    policies = {"one-feature": OneFeature(), "random": Random()}
    told: list[tuple[int, int | None]] = []
    other = run_study(
        *(pool, Objective("y"), table()),
        **{"policies": policies, "seeds": range(2), "budget": 30, "processes": 2},
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(i, 4) for i in range(1, 5)]
    for run in other.runs:
        assert run.ids == study.of(run.policy)[run.seed].ids


def test_json_and_back(study: Study, tmp_path: Path) -> None:
    path = study.save(tmp_path / "deep" / "study.json")
    body = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert body["verdicts"] == study.verdicts()
    again = Study.read(path)
    assert repr(again) == repr(study)
    assert again.to_dict() == study.to_dict()
    pd.testing.assert_frame_equal(again.curves(), study.curves())


@pytest.mark.parametrize("seeds", [[3], range(9)])
def test_few_seeds_conclude_nothing(pool: CandidatePool, tmp_path: Path, seeds: list[int]) -> None:
    """A bootstrap over a handful of seeds would be far too sure of itself."""
    few = run_study(pool, Objective("y"), table(), policies={"random": Random()}, seeds=seeds, budget=10)
    assert f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}, 10 experiments in batches of 5\n" in repr(few)
    assert few.verdicts()[0].startswith(f"random is not to be compared with random choice on {len(seeds)} seed")
    assert Study.read(few.save(tmp_path / "few.json")).seeds == tuple(seeds)


def test_budget_beyond_the_pool_tries_everything_once(pool: CandidatePool) -> None:
    whole = run_study(pool, Objective("y"), table(), policies={"random": Random()}, seeds=[0, 1], budget=500, batch=50)
    assert whole.budget == SIZE
    assert whole.asked == Study.from_dict(whole.to_dict()).asked == 500
    assert "2 seeds, 120 experiments in batches of 50 (500 were asked for; the pool holds no more)" in repr(whole)
    assert all(len(run.ids) == SIZE and run.normalised[-1] == 1.0 and run.top[-1] == 1.0 for run in whole.runs)


def test_a_policy_sees_only_what_was_tried(pool: CandidatePool) -> None:
    """Other answers for the untried candidates leave the whole view untouched."""
    frame, tried = table(), np.array([3, 50, 7])
    changed = frame.copy()
    changed.loc[~changed.index.isin(tried), "y"] = 99.0
    views = [
        view_of(
            Retrospective(
                Objective("y"), pool.ids, feature_table(pool, None), answers_from_frame(pool, Objective("y"), f)
            ),
            *(tried, 1, {}),
        )
        for f in (frame, changed)
    ]
    assert views[0].seen == views[1].seen
    assert np.flatnonzero(views[0].blocked).tolist() == sorted(tried.tolist())
    for name in ("rows", "values", "stds", "bounds"):
        np.testing.assert_array_equal(*(getattr(v.training["y"], name) for v in views))


@dataclass(frozen=True)
class Stubborn:
    """Proposes the first candidate again and again."""

    options: dict = field(default_factory=dict)  # type: ignore[type-arg]

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        return Batch((Proposal(str(view.ids[0]), "stubborn", "because"),))


def test_a_policy_that_breaks_its_promise_is_caught(pool: CandidatePool) -> None:
    answers = answers_from_frame(pool, Objective("y"), table())
    known = Retrospective(Objective("y"), pool.ids, feature_table(pool, None), answers)
    with pytest.raises(DiscoverError, match="broke its promise in iteration 1"):
        play(known, Stubborn(), seed=0, budget=5, batch=1)


def test_answers_must_be_complete_and_single(pool: CandidatePool) -> None:
    frame = table()
    broken = pd.concat([frame.iloc[2:], frame.iloc[5:6]])
    with pytest.raises(InvalidInput) as caught:
        run_study(pool, Objective("y"), broken, policies={"random": Random()})
    text = str(caught.value)
    assert "m005" in text
    assert "m000" in text
    assert "2 of 120 are missing" in text
    with pytest.raises(InvalidInput, match="column 'y'"):
        run_study(pool, Objective("y"), frame.drop(columns="y"), policies={"random": Random()})


def test_refusals(pool: CandidatePool) -> None:
    with pytest.raises(InvalidInput) as caught:
        run_study(pool, Objective("y"), table(), policies={}, seeds=[1, 1], budget=0)
    assert len(caught.value.problems) == 3
    with pytest.raises(InvalidInput) as caught:
        run_study(pool, Objective("y"), table(), policies=["random", "baysian", "random"])
    assert len(caught.value.problems) == 2
    assert "did you mean 'bayesian'?" in str(caught.value)
    with pytest.raises(Unsupported, match="one target"):
        run_study(pool, Objective([Target("y"), Target("z")]), table())


def test_constraint_counts_as_no_value(pool: CandidatePool) -> None:
    limited = run_study(
        pool, Objective("y", constraints=["y <= 1.0"]), table(), policies={"random": Random()}, seeds=[0, 1], budget=30
    )
    assert limited.scale.best <= 1.0
    assert limited.pool["values"] == int((table()["y"] <= 1.0).sum())


def test_what_is_constrained_besides_the_target_is_looked_up_too(pool: CandidatePool) -> None:
    frame = table()
    frame["hazard"] = frame["a"]
    frame.loc[:9, "hazard"] = np.nan
    seeking = Objective("y", constraints=["hazard <= 0.2"])
    kept = (frame["hazard"] <= 0.2) & frame["y"].notna()
    rows = frame.set_index("a")[["y", "hazard"]]

    def measure(values: Mapping[str, Any]) -> dict[str, float | None]:
        found = rows.loc[values["a"]]
        return {"y": found["y"], "hazard": None if np.isnan(found["hazard"]) else found["hazard"]}

    experiment = CallableExperiment(measure, {"y": "", "hazard": ""})
    for answers in (frame, experiment):
        found = run_study(pool, seeking, answers, policies={"random": Random()}, seeds=[0], budget=40)
        assert found.pool["values"] == kept.sum()
        assert found.scale.best == frame.loc[kept, "y"].max()
    known = Retrospective(seeking, pool.ids, feature_table(pool, None), answers_from_frame(pool, seeking, frame))
    tried = np.arange(20, dtype=np.int64)
    view = view_of(known, tried, 1, {})
    measured = frame["y"].notna() & (frame.index < 20)  # one that failed in the target tells nothing of the other
    np.testing.assert_array_equal(view.training["hazard"].rows, np.flatnonzero(measured & frame["hazard"].notna()))
    np.testing.assert_array_equal(view.training["hazard"].values, frame["hazard"][view.training["hazard"].rows])
    with pytest.raises(InvalidInput, match="column 'hazard'"):
        run_study(pool, seeking, table(), policies={"random": Random()})


def test_a_policy_keeps_what_is_constrained_besides_the_target(pool: CandidatePool) -> None:
    frame = table(failures=0)
    frame["hazard"] = frame["b"]  # what makes the target large is what is forbidden
    free, bound = (
        run_study(pool, goal, frame, policies={"it": Bayesian(model="single")}, seeds=[0], budget=25, batch=5)
        for goal in (Objective("y"), Objective("y", constraints=["hazard <= 0.5"]))
    )
    hazard = frame.set_index("name")["hazard"]
    late = [[hazard[i] <= 0.5 for i in run.runs[0].ids[10:]] for run in (free, bound)]
    assert np.mean(late[1]) > np.mean(late[0]) + 0.2
    assert bound.scale.best == frame.loc[frame["hazard"] <= 0.5, "y"].max()
