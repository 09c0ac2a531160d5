"""The one-feature baseline: the right feature, the right end of it, ties by fair draw, and the promises of a policy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from discover.backtest.one_feature import OneFeature, best_order, spearman
from discover.errors import Unsupported
from discover.objective import Objective, Target
from discover.protocols import View
from discover.values import FeatureTable, Training


def view(
    features: np.ndarray,
    rows: list[int],
    values: list[float],
    objective: Objective | None = None,
    blocked: list[int] | None = None,
) -> View:
    n, d = features.shape
    objective = objective or Objective("y")
    order = np.argsort(rows)
    mask = np.zeros(n, dtype=bool)
    mask[rows + (blocked or [])] = True
    training = Training(
        np.array(rows, dtype=np.int64)[order],
        np.array(values, dtype=float)[order],
        np.full(len(rows), np.nan),
        np.zeros(len(rows), dtype=np.int64),
    )
    table = FeatureTable(tuple(f"f{i}" for i in range(d)), features, "")
    ids = np.array([f"c{i:03d}" for i in range(n)])
    none = np.empty(0, dtype=np.int64)
    return View(objective, ids, table, {objective.names[0]: training}, mask, none, none)


def test_spearman_is_that_of_scipy_with_ties_and_constants() -> None:
    generator = np.random.default_rng(0)
    X = generator.integers(0, 4, size=(25, 6)).astype(float)
    X[:, 3] = 1.0
    y = generator.integers(0, 5, size=25).astype(float)
    mine = spearman(X, y)
    assert mine[3] == 0.0
    for column in (0, 1, 2, 4, 5):
        assert mine[column] == pytest.approx(spearmanr(X[:, column], y).statistic)
    assert spearman(X, np.ones(25)).tolist() == [0.0] * 6


def test_takes_the_best_feature_at_its_good_end() -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(60, 5))
    truth = -np.exp(features[:, 2]) + 0.01 * generator.normal(size=60)
    rows = list(range(12))
    batch = OneFeature(start=10).propose(view(features, rows, truth[rows].tolist()), 4, generator)
    free = np.arange(12, 60)
    expected = [f"c{i:03d}" for i in free[np.argsort(features[free, 2])][:4]]
    assert [p.candidate_id for p in batch] == expected
    assert batch.learned["feature"] == "f2"
    assert all("low f2" in p.reason and p.probability == 1.0 for p in batch)


def test_minimising_turns_the_order_around() -> None:
    features = np.arange(30.0)[:, None]
    rows = [3, 8, 12, 20, 25]
    values = features[rows, 0].tolist()
    up = OneFeature(start=5).propose(view(features, rows, values), 2, np.random.default_rng(0))
    down = OneFeature(start=5).propose(
        view(features, rows, values, Objective("y", "minimize")), 2, np.random.default_rng(0)
    )
    assert [p.candidate_id for p in up] == ["c029", "c028"]
    assert [p.candidate_id for p in down] == ["c000", "c001"]


def test_the_order_is_chosen_anew_for_every_batch() -> None:
    generator = np.random.default_rng(2)
    features = generator.normal(size=(80, 2))
    few, many = list(range(5)), list(range(40))
    truth = features[:, 1].copy()
    truth[few] = features[few, 0]
    first = OneFeature(start=5).propose(view(features, few, truth[few].tolist()), 1, generator)
    later = OneFeature(start=5).propose(view(features, many, truth[many].tolist()), 1, generator)
    assert (first.learned["feature"], later.learned["feature"]) == ("f0", "f1")


def test_ties_are_drawn_with_the_chance_that_is_recorded() -> None:
    features = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 7.0, 7.0, 7.0, 7.0])[:, None]
    rows = list(range(6))
    state = view(features, rows, features[rows, 0].tolist())
    counts = dict.fromkeys(range(7, 11), 0)
    for seed in range(400):
        batch = OneFeature(start=5).propose(state, 3, np.random.default_rng(seed))
        assert batch.proposals[0].candidate_id == "c006"
        assert [p.probability for p in batch] == [1.0, 0.5, 0.5]
        for proposal in batch.proposals[1:]:
            counts[int(proposal.candidate_id[1:])] += 1
    assert min(counts.values()) > 150


def test_no_order_without_contrast() -> None:
    features = np.random.default_rng(0).normal(size=(10, 3))
    names = ("a", "b", "c")
    assert best_order(features, names, np.arange(2), np.array([1.0, 2.0])) is None
    assert best_order(features, names, np.arange(5), np.ones(5)) is None
    assert best_order(features, names, np.arange(5), np.array([np.nan] * 3 + [1.0, 2.0])) is None


def test_several_targets_are_refused() -> None:
    with pytest.raises(Unsupported, match="single target"):
        OneFeature().check(Objective([Target("a"), Target("b")]))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10), st.integers(0, 2**31))
def test_promises(n: int, blocked: int, seed: int) -> None:
    """At most n, no blocked one, none twice, the same again for the same generator, and a shortage is explained."""
    generator = np.random.default_rng(seed)
    features = generator.integers(0, 3, size=(25, 4)).astype(float)
    features[:5, 0] = np.arange(5)
    state = view(features, list(range(5)), [0.0, 1.0, 2.0, 3.0, 4.0], blocked=list(range(5, 5 + blocked)))
    first, second = (OneFeature(start=5).propose(state, n, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
    ids = [p.candidate_id for p in first]
    assert len(ids) == len(set(ids)) == min(n, 20 - blocked)
    assert not {f"c{i:03d}" for i in range(5 + blocked)} & set(ids)
    assert bool(first.shortage) == (len(ids) < n)
    assert sum(p.probability or 0 for p in first) <= n + 1e-9
