"""Scores on other scales are those of many draws in the targets' units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from discover.acquisition.goal import Goal
from discover.acquisition.pool import score
from discover.acquisition.scales import on_scales
from discover.objective import Objective
from discover.surrogate.targets.transforms import Affine, Logarithm, YeoJohnson

MEAN = torch.tensor([0.5, 1.5, 2.2, 2.6, 1.0], dtype=torch.float64)
DEVIATION = torch.tensor([0.2, 0.6, 0.1, 0.3, 1.2], dtype=torch.float64)
NORMAL = torch.from_numpy(np.random.default_rng(0).normal(size=(400_000, 1)))


def goal_of(objective: Objective) -> Goal:
    names = objective.names
    return Goal(objective, dict.fromkeys(names, 3.0), spans=(3.0,))


def test_improvement_and_constraints_are_those_of_draws() -> None:
    scales = {"y": Logarithm(1.0, math.exp(2.0)), "z": YeoJohnson(0.3, 1.0, 2.0, 0.0).reaching(np.array([5.0]))}
    goal = goal_of(Objective("y", "maximize", constraints=["z <= 2.5", "y >= 0.1"]))
    best = math.exp(2.0)
    found = on_scales(goal, best / 3.0, scales)
    assert found is not None
    beliefs = {"y": [(1.0, MEAN, DEVIATION)], "z": [(1.0, 0.1 * MEAN, 0.5 * DEVIATION)]}
    got = score(found.goal, beliefs, found.best, 0).values + found.offset
    y = scales["y"].invert(MEAN + DEVIATION * NORMAL)
    other = torch.from_numpy(np.random.default_rng(1).normal(size=(400_000, 1)))
    z = scales["z"].invert(0.1 * MEAN + 0.5 * DEVIATION * other)
    chance = (z <= 2.5).double().mean(dim=0) * (y >= 0.1).double().mean(dim=0)
    exact = (y - best).clamp_min(0.0).mean(dim=0) * chance
    some = exact > 1e-3
    assert int(some.sum()) >= 3
    assert torch.allclose(got.exp()[some], exact[some], rtol=0.05)


def test_a_target_that_is_to_be_small_keeps_its_order() -> None:
    scale = Logarithm(1.0, math.exp(4.0))
    goal = goal_of(Objective("y", "minimize"))
    found = on_scales(goal, -math.exp(1.2) / 3.0, {"y": scale})
    assert found is not None
    assert found.best == pytest.approx(-1.2)
    got = score(found.goal, {"y": [(1.0, MEAN, torch.full_like(MEAN, 0.3))]}, found.best, 0).values
    assert torch.equal(torch.argsort(got), torch.argsort(-MEAN))


def test_a_mixture_of_equal_parts_is_the_part_itself() -> None:
    goal = goal_of(Objective("y"))
    found = on_scales(goal, 2.0, {"y": Logarithm(1.0, 9.0)})
    assert found is not None
    one = score(found.goal, {"y": [(1.0, MEAN, DEVIATION)]}, found.best, 0).values
    two = score(found.goal, {"y": [(0.3, MEAN, DEVIATION), (0.7, MEAN, DEVIATION)]}, found.best, 0).values
    assert torch.allclose(one, two)


def test_where_there_is_nothing_to_carry_over_nothing_is() -> None:
    curve = Logarithm(1.0, 9.0)
    assert on_scales(goal_of(Objective("y")), 1.0, {"y": Affine()}) is None
    assert on_scales(goal_of(Objective("y", "match", value=3.0)), 1.0, {"y": curve}) is None
    assert on_scales(goal_of(Objective("y", constraints=["y >= 1"])), None, {"y": curve}).best is None  # type: ignore[union-attr]
