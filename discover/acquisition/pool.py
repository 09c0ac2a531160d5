"""Every candidate of a pool scored on its own, in closed form where there is one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.goal import Goal, Marginals, moments, over_parts
from discover.acquisition.hypervolume import log_expected_hypervolume
from discover.acquisition.improvement import log_expected_approach, log_expected_improvement, log_probability_between
from discover.acquisition.sampling import fat_log_improvement, normal_draws
from discover.pareto import hypervolume

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


def incumbent(goal: Goal, observed: Mapping[str, Tensor]) -> float | None:
    """The best utility among observed rows, from posterior means [k] by target; None where none keeps the constraints.

    Under a reference it is the hypervolume above it, in spans.
    """
    kept = goal.feasible(observed)
    if not bool(kept.any()):
        return None
    if goal.reference:
        return hypervolume(goal.above_reference(observed)[kept].numpy(), np.zeros(len(goal.reference)))
    return float(goal.utility(observed)[kept].max())


def score(
    goal: Goal, marginals: Marginals, best: float | None, seed: int, observed: Mapping[str, Tensor] | None = None
) -> Scores:
    """Scores of m candidates from the marginal belief about each.

    maximize, minimize: log expected improvement in the target's unit. match: log expected approach; once something lies
    inside a band nothing can improve, and the probability of lying inside it takes over. Several targets: log expected
    gain in hypervolume over the front of `observed` (means [k] by target), in closed form; without a reference log expected
    improvement of the scalarised utility, from quasi-Monte Carlo draws. Constraints add the logarithm of the probability that
    they are kept; where nothing seen keeps them that probability is all that counts, and a batch makes it large that one of
    its candidates does.
    """
    chance = goal.log_feasibility(marginals)
    if best is None:
        return Scores(chance, "log probability of keeping the constraints", joint=True)
    target = goal.single
    if target is None and goal.reference:
        assert observed is not None
        known = goal.above_reference(observed)[goal.feasible(observed)]
        gains = log_expected_hypervolume(goal, marginals, known)
        return Scores(gains + chance, "log expected gain in hypervolume", joint=True)
    if target is None:
        return Scores(
            _sampled(goal, marginals, best, seed) + chance,
            "log expected improvement of the weighted targets",
            joint=True,
        )
    if target.direction == "match":
        low, high = target.ends
        distance = -best * goal.spans[0]
        if distance <= 0.0 and high > low:
            inside = over_parts(
                marginals[target.name], lambda mean, width: log_probability_between(mean, width, low, high)
            )
            return Scores(inside + chance, "log probability of lying in the band", joint=False)
        distance = max(distance, 1e-9 * goal.spans[0])
        values = over_parts(
            marginals[target.name], lambda mean, width: log_expected_approach(mean, width, low, high, distance)
        )
        return Scores(values + chance, "log expected approach", joint=True)
    sign = 1.0 if target.direction == "maximize" else -1.0
    values = over_parts(
        marginals[target.name],
        lambda mean, width: log_expected_improvement(sign * mean, width, best * goal.spans[0]),
    )
    return Scores(values + chance, "log expected improvement", joint=True)


def _sampled(goal: Goal, marginals: Marginals, best: float, seed: int) -> Tensor:
    """Log expected improvement of the utility by draws from the marginals, in chunks; [m]."""
    names = [target.name for target in goal.objective.targets]
    draws = normal_draws(MARGINAL_DRAWS, len(names), seed)
    held = {name: moments(marginals[name]) for name in names}
    parts = []
    for i in range(0, len(held[names[0]][0]), CHUNK):
        values = {}
        for k, name in enumerate(names):
            mean, deviation = (part[i : i + CHUNK] for part in held[name])
            values[name] = mean + deviation * draws[:, k : k + 1]
        gains = fat_log_improvement(goal.utility(values), torch.tensor(best, dtype=torch.float64))
        parts.append(torch.logsumexp(gains, dim=0) - math.log(MARGINAL_DRAWS))
    return torch.cat(parts)
