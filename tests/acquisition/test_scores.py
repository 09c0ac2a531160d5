"""From an objective to the scores of a pool: directions, bands, several targets, constraints."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from discover.acquisition.goal import AUGMENTATION, Goal, Parts
from discover.acquisition.pool import incumbent, score
from discover.acquisition.sampling import normal_draws
from discover.objective import Objective, Target


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def normal(mean: torch.Tensor, deviation: torch.Tensor) -> Parts:
    return [(1.0, mean, deviation)]


def goal_of(objective: Objective, observed: dict[str, torch.Tensor], scale: float = 2.0, seed: int = 0) -> Goal:
    return Goal.of(objective, observed, dict.fromkeys(objective.names, scale), np.random.default_rng(seed))


def test_the_best_seen_follows_the_direction() -> None:
    seen = {"y": tensor(1.0, 4.0, 9.0)}
    assert incumbent(goal_of(Objective("y"), seen), seen) == 4.5
    assert incumbent(goal_of(Objective("y", "minimize"), seen), seen) == -0.5
    assert incumbent(goal_of(Objective("y", "match", value=5.0), seen), seen) == -0.5
    assert incumbent(goal_of(Objective("y", "match", band=(3.0, 5.0)), seen), seen) == 0.0
    assert incumbent(goal_of(Objective("y", constraints=["y <= 2"]), seen), seen) == 0.5
    assert incumbent(goal_of(Objective("y", constraints=["y <= 0"]), seen), seen) is None


@pytest.mark.parametrize(
    ("objective", "winner"),
    [
        (Objective("y"), 3),
        (Objective("y", "minimize"), 0),
        (Objective("y", "match", value=2.1), 2),
        (Objective("y", "match", band=(0.9, 1.2)), 1),
        (Objective("y", constraints=["y <= 2.5"]), 2),
    ],
)
def test_the_highest_score_is_what_the_objective_asks_for(objective: Objective, winner: int) -> None:
    seen = {"y": tensor(0.5, 1.6)}
    goal = goal_of(objective, seen)
    marginals = {"y": normal(tensor(0.0, 1.0, 2.0, 3.0), tensor(0.2, 0.2, 0.2, 0.2))}
    scores = score(goal, marginals, incumbent(goal, seen), seed=0)
    assert scores.joint
    assert int(scores.values.argmax()) == winner


def test_once_something_lies_in_the_band_its_probability_counts() -> None:
    seen = {"y": tensor(1.1, 7.0)}
    goal = goal_of(Objective("y", "match", band=(1.0, 1.2)), seen)
    scores = score(goal, {"y": normal(tensor(1.1, 1.1, 2.0), tensor(0.05, 1.0, 0.05))}, incumbent(goal, seen), seed=0)
    assert not scores.joint
    assert scores.kind == "log probability of lying in the band"
    assert float(scores.values[0].exp()) == pytest.approx(0.9545, abs=1e-3)
    assert int(scores.values.argmax()) == 0


def test_an_exact_match_already_seen_leaves_finite_scores() -> None:
    seen = {"y": tensor(5.0)}
    goal = goal_of(Objective("y", "match", value=5.0), seen)
    scores = score(goal, {"y": normal(tensor(5.0, 80.0), tensor(1.0, 1.0))}, incumbent(goal, seen), seed=0)
    assert bool(torch.isfinite(scores.values).all())
    assert int(scores.values.argmax()) == 0


def test_where_nothing_keeps_the_constraints_keeping_them_is_all_that_counts() -> None:
    seen = {"y": tensor(5.0)}
    goal = goal_of(Objective("y", constraints=["y <= 1"]), seen)
    scores = score(goal, {"y": normal(tensor(1.0, 3.0), tensor(1.0, 1.0))}, incumbent(goal, seen), seed=0)
    assert scores.joint
    assert float(scores.values[0]) == pytest.approx(math.log(0.5))


TWO = Objective([Target("a"), Target("b", "minimize")])


def test_several_targets_are_weighed_by_an_augmented_chebyshev_sum() -> None:
    seen = {"a": tensor(0.0, 10.0), "b": tensor(1.0, 3.0)}
    goal = goal_of(TWO, seen)
    (wa, wb), at = goal.weights, {"a": tensor(5.0), "b": tensor(2.0)}
    parts = [wa * (5.0 - 10.0) / 10.0, wb * (-2.0 + 1.0) / 2.0]
    assert wa + wb == pytest.approx(1.0)
    assert float(goal.utility(at)[0]) == pytest.approx(min(parts) + AUGMENTATION * sum(parts))
    assert goal_of(TWO, seen, seed=1).weights != goal.weights
    assert goal_of(TWO, seen, seed=0).weights == goal.weights


def test_the_dominating_candidate_scores_highest_under_any_weights() -> None:
    seen = {"a": tensor(0.0, 10.0), "b": tensor(1.0, 3.0)}
    marginals = {
        "a": normal(tensor(5.0, 12.0, 12.0), tensor(1.0, 1.0, 1.0)),
        "b": normal(tensor(2.0, 0.5, 4.0), tensor(0.5, 0.5, 0.5)),
    }
    for seed in range(10):
        goal = goal_of(TWO, seen, seed=seed)
        scores = score(goal, marginals, incumbent(goal, seen), seed=seed)
        assert int(scores.values.argmax()) == 1
        assert bool(torch.isfinite(scores.values).all())


def test_sampled_scores_agree_with_the_closed_form_of_one_target() -> None:
    """Weights (1, 0) leave one target, whose expected improvement is known."""
    goal = Goal(TWO, {"a": 1.0, "b": 1.0}, weights=(1.0, 0.0), tops=(0.0, 0.0), spans=(1.0, 1.0))
    mean, deviation = tensor(-0.5, 0.0, 1.0), tensor(1.0, 1.0, 0.5)
    one = normal(tensor(0.0, 0.0, 0.0), tensor(1.0, 1.0, 1.0))
    scores = score(goal, {"a": normal(mean, deviation), "b": one}, 0.0, seed=0).values
    draws = mean[:, None] + deviation[:, None] * normal_draws(2**14, 1, 7)[:, 0]
    expected = (draws.clamp_max(0.0) + AUGMENTATION * draws).clamp_min(0.0).mean(dim=1)
    assert torch.allclose(scores.exp(), expected, rtol=0.1)


def test_draws_are_normal_repeat_with_their_seed_and_exist_in_any_dimension() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    draws = normal_draws(1024, 300, 4)
    wide = normal_draws(4, torch.quasirandom.SobolEngine.MAXDIM + 1, 4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(draws, normal_draws(1024, 300, 4))
    assert not torch.equal(draws, normal_draws(1024, 300, 5))
    assert draws.dtype == wide.dtype == torch.float64
    assert bool(torch.isfinite(draws).all())
    assert float(draws.mean().abs()) < 0.01
    assert float(draws.std()) == pytest.approx(1.0, abs=0.02)


def test_two_limits_of_one_outcome_are_one_interval():
    mean, deviation = torch.tensor([1.35, 0.0, 3.0], dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    told = {"y": normal(mean, deviation), "gap": normal(mean, deviation)}
    band, sides = (
        Goal(Objective("y", constraints=texts), {"y": 1.0, "gap": 1.0})
        for texts in (["gap in [1.1, 1.6]"], ["gap >= 1.1", "gap <= 1.6"])
    )
    expected = norm.cdf(1.6, mean, 1.0) - norm.cdf(1.1, mean, 1.0)
    assert sides.log_feasibility(told).exp().numpy() == pytest.approx(expected)
    assert torch.equal(band.log_feasibility(told), sides.log_feasibility(told))
