"""Random is uniform; space-filling covers."""

from __future__ import annotations

import numpy as np
import pytest

from discover.policy.random import Random
from discover.policy.space_filling import SpaceFilling
from tests.policy.policy_views import features_of, rows_of, view_of


def test_random_is_uniform_over_free_candidates_and_states_its_chance() -> None:
    view = view_of(features_of(10), [0, 1], excluded=[9])
    counts = np.zeros(10)
    generator = np.random.default_rng(0)
    for _ in range(7000):
        batch = Random().propose(view, 2, generator)
        counts[rows_of(batch)] += 1
        assert batch.proposals[0].probability == pytest.approx(2 / 7)
    assert counts[[0, 1, 9]].sum() == 0
    assert np.abs(counts[2:9] / 7000 - 2 / 7).max() < 0.02


def covering(X: np.ndarray, rows: list[int]) -> np.ndarray:
    """Distance of every row from the nearest chosen one."""
    return np.linalg.norm(X[:, None] - X[rows], axis=2).min(axis=1)


@pytest.mark.parametrize("method", ["farthest", "medoids"])
def test_the_first_is_random_and_states_its_chance(method: str) -> None:
    view = view_of(features_of(30))
    firsts = {rows_of(SpaceFilling(method).propose(view, 1, np.random.default_rng(s)))[0] for s in range(60)}  # type: ignore[arg-type]
    assert len(firsts) > 15
    batch = SpaceFilling(method).propose(view, 2, np.random.default_rng(0))  # type: ignore[arg-type]
    assert batch.proposals[0].probability == pytest.approx(1 / 30)
    assert batch.proposals[1].probability is None


def test_farthest_is_the_farthest_at_each_step() -> None:
    X = features_of(80, 2)
    X = (X - X.mean(axis=0)) / np.ptp(X, axis=0)
    view = view_of(X, [3], pending=[7], excluded=[11])
    chosen = [3, 7, 11]
    for row in rows_of(SpaceFilling("farthest").propose(view, 6, np.random.default_rng(0))):
        gaps = covering(X, chosen)
        assert gaps[row] == pytest.approx(gaps.max())
        chosen.append(row)


def test_medoids_bring_the_pool_nearest_at_each_step() -> None:
    X = features_of(60, 2)
    X = (X - X.mean(axis=0)) / np.ptp(X, axis=0)
    view = view_of(X, [3], pending=[7])
    chosen = [3, 7]
    for row in rows_of(SpaceFilling("medoids").propose(view, 5, np.random.default_rng(0))):
        best = min(covering(X, [*chosen, other]).mean() for other in range(60) if other not in chosen)
        assert covering(X, [*chosen, row]).mean() == pytest.approx(best)
        chosen.append(row)


@pytest.mark.parametrize("method", ["farthest", "medoids"])
def test_it_covers_better_than_random_whatever_the_units(method: str) -> None:
    X = features_of(400, 2)
    ours, blind = [], []
    for seed in range(10):
        view = view_of(X * [1.0, 1e6])
        ours.append(covering(X, rows_of(SpaceFilling(method).propose(view, 12, np.random.default_rng(seed)))).mean())  # type: ignore[arg-type]
        blind.append(covering(X, rows_of(Random().propose(view, 12, np.random.default_rng(seed)))).mean())
    assert max(ours) < np.mean(blind)


def test_batches_of_one_continue_each_other() -> None:
    X = features_of(50, 2)
    once = rows_of(SpaceFilling("farthest").propose(view_of(X), 5, np.random.default_rng(1)))
    step: list[int] = []
    for k in range(5):
        step += rows_of(
            SpaceFilling("farthest").propose(view_of(X, pending=step), 1, np.random.default_rng(1 if k == 0 else k))
        )
    assert once == step


def test_a_large_pool_is_covered_from_a_sample() -> None:
    X = features_of(6000, 4)
    rows = rows_of(SpaceFilling("medoids").propose(view_of(X, [0]), 5, np.random.default_rng(0)))
    assert len(set(rows)) == 5
    blind = rows_of(Random().propose(view_of(X, [0]), 5, np.random.default_rng(0)))
    assert covering(X, [0, *rows]).mean() < covering(X, [0, *blind]).mean()
