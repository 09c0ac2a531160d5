"""The campaign's path, and what chance and a single feature would have done from the same start."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, Objective
from discover.backtest.answers import Answers, answers_from_frame
from discover.report.curves import _odds, compare, path_of

from .conftest import every_answer


@pytest.fixture(scope="module")
def answers(campaign: Campaign) -> Answers:
    return answers_from_frame(campaign.pool, campaign.objective, every_answer())


def test_path_is_every_experiment_in_order(campaign: Campaign) -> None:
    path = path_of(campaign)
    observed = campaign.observations
    assert len(path) == 25
    assert campaign.pool.ids[path.rows].tolist() == observed["id"].tolist()
    failed = (observed["status"] == "failed").to_numpy()
    assert failed.any()
    assert np.isnan(path.utilities[failed]).all()
    assert np.nanmax(path.utilities) == path.best[-1] == campaign.best(1)["modulus"].iloc[0]
    assert path.start == int(campaign.proposals["predicted_mean"].isna().sum())
    assert path.elsewhere == 0


def test_the_baseline_begins_where_the_campaign_began(campaign: Campaign, answers: Answers) -> None:
    path = path_of(campaign)
    comparison = compare(campaign, path, answers)
    floor = comparison.scale.worst
    start = np.maximum.accumulate(np.nan_to_num(path.utilities[: path.start], nan=floor))
    assert comparison.baseline[: path.start] == pytest.approx(start)
    assert np.all(np.diff(comparison.baseline) >= 0)
    assert len(comparison.baseline) == len(comparison.chance) == len(path)
    assert comparison.feature.startswith("volume")
    assert comparison.area["baseline"] > comparison.area["random"]


def test_odds_are_the_share_of_draws_that_do_as_well() -> None:
    utilities = np.array([1.0, np.nan, 5.0, 2.0, 5.0, np.nan, 3.0])
    for k in range(1, 8):
        draws = [np.nanmax([-1.0, *draw]) for draw in combinations(utilities, k)]
        assert _odds(utilities, 5.0, k) == pytest.approx(np.mean(np.array(draws) >= 5.0))
        assert _odds(utilities, 3.0, k) == pytest.approx(np.mean(np.array(draws) >= 3.0))


def test_results_from_elsewhere_are_not_on_the_path(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("modulus"), policy="random")
    started.tell(pd.DataFrame({"id": ["m-001", "m-002"], "modulus": [1.0, 2.0]}))
    batch = started.ask(3)
    started.tell(batch.assign(modulus=[3.0, 4.0, 5.0]))
    path = path_of(started)
    assert path.values.tolist() == [3.0, 4.0, 5.0]
    assert path.elsewhere == 2
    assert path.start == 3


def test_minimising_reads_in_the_targets_own_unit(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("modulus", "minimize"), policy="random")
    batch = started.ask(4)
    started.tell(batch.assign(modulus=[4.0, 6.0, 2.0, 3.0]))
    path = path_of(started)
    assert (-path.best).tolist() == [4.0, 4.0, 2.0, 2.0]


def test_a_broken_constraint_does_not_count(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("modulus", constraints=["modulus <= 5"]), policy="random")
    batch = started.ask(3)
    started.tell(batch.assign(modulus=[4.0, 9.0, 4.5]))
    assert path_of(started).best.tolist() == [4.0, 4.0, 4.5]
