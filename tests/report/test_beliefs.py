"""Parity and calibration: the right pairs, and coverage that is right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from discover import Campaign
from discover.report.beliefs import LEVELS, Beliefs, beliefs, binomial_band


def made(mean: np.ndarray, std: np.ndarray, found: np.ndarray) -> Beliefs:
    ids = tuple(str(i) for i in range(len(mean)))
    return Beliefs("y", "", ids, np.ones(len(mean), dtype=np.int64), mean, std, found)


def test_by_hand() -> None:
    known = made(np.array([1.0, 2.0, 3.0]), np.ones(3), np.array([1.5, 2.0, 7.0]))
    numbers = known.numbers()
    assert numbers["mae"] == pytest.approx(1.5)
    assert numbers["bias"] == pytest.approx(1.5)
    assert numbers["spearman"] == 1.0
    assert numbers["coverage90"] == pytest.approx(2 / 3)
    assert known.coverage([0.1])[0] == pytest.approx(1 / 3)


def test_a_calibrated_model_lies_in_the_band_and_an_overconfident_one_does_not() -> None:
    generator = np.random.default_rng(0)
    mean, std = generator.normal(size=4000), np.exp(generator.normal(size=4000))
    honest = made(mean, std, mean + std * generator.normal(size=4000))
    assert honest.coverage() == pytest.approx(LEVELS, abs=0.03)
    bold = made(mean, std / 3, honest.found)
    low, high = binomial_band(LEVELS, 4000)
    assert np.all(bold.coverage() < low)
    assert np.all(low < LEVELS)
    assert np.all(high > LEVELS)


def test_pairs_are_those_of_the_store(campaign: Campaign) -> None:
    """Each prediction is the one committed before the experiment; the start and the failures have no part."""
    known = beliefs(campaign)
    proposals = campaign.proposals.set_index("id")
    observed = campaign.observations.query("status == 'measured'").set_index("id")
    judged = proposals.index[proposals["predicted_mean"].notna()]
    assert set(known.ids) == set(judged) & set(observed.index)
    assert 5 <= len(known) <= 15
    for place, candidate in enumerate(known.ids):
        assert known.mean[place] == proposals.loc[candidate, "predicted_mean"]
        assert known.std[place] == proposals.loc[candidate, "predicted_std"] > 0
        assert known.found[place] == observed.loc[candidate, "modulus"]


def test_nothing_tested_yet_has_no_numbers() -> None:
    assert made(*np.empty((3, 0))).numbers() == {}
