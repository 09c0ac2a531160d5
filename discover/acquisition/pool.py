"""Every candidate of a pool scored on its own, in closed form where there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.acquisition.goal import Goal, Marginals
from discover.acquisition.improvement import log_expected_approach, log_expected_improvement, log_probability_between
from discover.acquisition.sampling import fat_log_improvement, normal_draws

if TYPE_CHECKING:
    from torch import Tensor

MARGINAL_DRAWS = 256
CHUNK = 4096


@dataclass(frozen=True)
class Scores:
    """values: [m], larger is better. kind: what they are, in words. joint: whether a batch has more to gain from
    joint samples than from these scores, which hold where each success counts alike."""

    values: Tensor
    kind: str
    joint: bool


def incumbent(goal: Goal, observed: dict[str, Tensor]) -> float | None:
    """The best utility among observed rows, from posterior means [k] by target; None where none keeps the constraints."""
    utilities, kept = goal.utility(observed), goal.feasible(observed)
    return float(utilities[kept].max()) if bool(kept.any()) else None


def score(goal: Goal, marginals: Marginals, best: float | None, seed: int) -> Scores:
    """Scores of m candidates from the marginal belief about each.

    maximize, minimize: log expected improvement in the target's unit. match: log expected approach; once something lies
    inside a band nothing can improve, and the probability of lying inside it takes over. Several targets: log expected
    improvement of the scalarised utility, from quasi-Monte Carlo draws. Constraints add the logarithm of the
    probability that they are kept; where nothing seen keeps them that probability is all that counts.
    """
    chance = goal.log_feasibility(marginals)
    if best is None:
        return Scores(chance, "log probability of keeping the constraints", joint=False)
    target = goal.single
    if target is None:
        return Scores(
            _sampled(goal, marginals, best, seed) + chance,
            "log expected improvement of the weighted targets",
            joint=True,
        )
    mean, deviation = marginals[target.name]
    if target.direction == "match":
        low, high = target.band if target.band is not None else (target.value, target.value)
        assert low is not None
        assert high is not None
        distance = -best * goal.spans[0]
        if distance <= 0.0 and high > low:
            inside = log_probability_between(mean, deviation, low, high)
            return Scores(inside + chance, "log probability of lying in the band", joint=False)
        distance = max(distance, 1e-9 * goal.spans[0])
        values = log_expected_approach(mean, deviation, low, high, distance)
        return Scores(values + chance, "log expected approach", joint=True)
    sign = 1.0 if target.direction == "maximize" else -1.0
    values = log_expected_improvement(sign * mean, deviation, best * goal.spans[0])
    return Scores(values + chance, "log expected improvement", joint=True)


def _sampled(goal: Goal, marginals: Marginals, best: float, seed: int) -> Tensor:
    """Log expected improvement of the utility by draws from the marginals, in chunks; [m]."""
    names = goal.objective.names
    draws = normal_draws(MARGINAL_DRAWS, len(names), seed)
    parts = []
    for i in range(0, len(marginals[names[0]][0]), CHUNK):
        values = {}
        for k, name in enumerate(names):
            mean, deviation = (part[i : i + CHUNK] for part in marginals[name])
            values[name] = mean + deviation * draws[:, k : k + 1]
        gains = fat_log_improvement(goal.utility(values), torch.tensor(best, dtype=torch.float64))
        parts.append(torch.logsumexp(gains, dim=0) - math.log(MARGINAL_DRAWS))
    return torch.cat(parts)
