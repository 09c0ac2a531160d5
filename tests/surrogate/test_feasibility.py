"""What is learned of failures: a chance that predicts them, words that name them, and nothing from too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from discover.objective import Objective
from discover.protocols import View
from discover.surrogate.failing.feasibility import FLOOR, LEAST, feasibility, outcomes
from discover.surrogate.failing.words import failure_words
from discover.values import Block, FeatureTable, Training

NAMES = ("temperature", "ligand=PCy3", "ligand=PPh3")
BLOCKS = (Block("temperature", "numbers", 0, 1), Block("ligand", "categories", 1, 3))


def table(n: int, seed: int = 0) -> FeatureTable:
    generator = np.random.default_rng(seed)
    ligand = generator.integers(2, size=n)
    X = np.column_stack([generator.uniform(20, 140, n).round(), ligand == 0, ligand == 1]).astype(float)
    return FeatureTable(NAMES, X, "hash", BLOCKS)


def fails(X: np.ndarray) -> np.ndarray:
    return (X[:, 2] == 1) & (X[:, 0] > 100)


def view_of(features: FeatureTable, rows: np.ndarray, failed: np.ndarray) -> View:
    """A view in which some rows were tried, of which some failed."""
    good = np.sort(rows[~failed])
    blocked = np.zeros(len(features), dtype=bool)
    blocked[rows] = True
    training = Training(good, np.ones(len(good)), np.full(len(good), np.nan), np.zeros(len(good), dtype=np.int64))
    ids = np.array([f"c{k:04d}" for k in range(len(features))])
    nothing = np.empty(0, dtype=np.int64)
    return View(
        Objective("yield", "maximize"), ids, features, {"yield": training}, blocked, nothing, np.sort(rows[failed])
    )


@pytest.fixture(scope="module")
def tried() -> tuple[View, np.ndarray]:
    features = table(300)
    rows = np.arange(80)
    return view_of(features, rows, fails(features.values[rows])), np.arange(80, 300)


def test_unseen_failures_are_predicted(tried):
    view, unseen = tried
    found = feasibility(view)
    assert found is not None
    assert found.useful
    chance, truth = found.chance(view.features.values[unseen]), fails(view.features.values[unseen])
    assert truth.sum() > 20
    pairs = (chance[~truth][:, None] > chance[truth][None]).mean()  # the area under the curve, counted out
    assert pairs > 0.95
    assert chance[truth].mean() < 0.5 < chance[~truth].mean()
    assert (chance >= FLOOR).all()
    assert (chance <= 1.0).all()
    assert found.record["log_loss"] < found.record["log_loss_of_share"]


def test_the_words_name_what_the_failures_have_in_common(tried):
    view, _ = tried
    rows, worked = outcomes(view)
    (said,) = feasibility(view).record["words"]
    assert "ligand" in said
    assert "PPh3" in said
    limit = float(said.split("temperature > ")[1].split()[0])
    X = view.features.values[rows]
    named = (X[:, 2] == 1) & (X[:, 0] > limit)
    assert f"({(named & ~worked).sum()} of {named.sum()})" in said
    assert (named & ~worked).sum() >= 0.8 * (~worked).sum()


def test_failures_by_chance_seldom_weigh_anything():
    features = table(300, seed=1)
    rows, used = np.arange(40), 0
    for seed in range(6):
        failed = np.zeros(40, dtype=bool)
        failed[np.random.default_rng(seed).choice(40, 10, replace=False)] = True
        found = feasibility(view_of(features, rows, failed))
        assert found is not None
        assert found.useful == found.record["used"]
        used += found.useful
        assert found.useful or (found.chance(features.values) == 1.0).all()
    assert used <= 2


@pytest.mark.parametrize(
    ("bad", "good", "enough"), [(LEAST - 1, 20, False), (LEAST, LEAST - 1, False), (LEAST, 20, True)]
)
def test_nothing_is_learned_from_too_few(bad, good, enough):
    features = table(60)
    failed = np.arange(bad + good) < bad
    assert (feasibility(view_of(features, np.arange(bad + good), failed)) is not None) == enough


def test_a_failure_that_later_gave_a_number_is_a_success(tried):
    view, _ = tried
    again = int(view.training["yield"].rows[0])
    twice = replace(view, infeasible=np.union1d(view.infeasible, [again]))
    for one, other in zip(outcomes(view), outcomes(twice)):
        assert (one == other).all()


def test_the_same_data_give_the_same_chances(tried):
    view, unseen = tried
    X = view.features.values[unseen]
    assert (feasibility(view).chance(X) == feasibility(view).chance(X)).all()


def test_bits_of_a_fingerprint_are_no_words():
    features = table(80)
    bits = replace(features, blocks=(Block("all", "fingerprint", 0, 3),))
    worked = ~fails(features.values)
    assert failure_words(features, np.arange(80), worked)
    assert not failure_words(bits, np.arange(80), worked)


def test_features_beyond_single_precision_are_told_in_words_all_the_same() -> None:
    X = np.linspace(-1.0, 1.0, 40)[:, None] * 1e200
    found = failure_words(FeatureTable(("size",), X, "hash"), np.arange(40), X[:, 0] < 0)
    assert found == ["fails where size > 0 (20 of 20)"]
