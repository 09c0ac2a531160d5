"""A batch chosen together: sequential greedy noisy expected improvement over joint draws of a short list."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.acquisition.goal import Goal
from discover.acquisition.sampling import fat_log_improvement, normal_draws

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.posterior import TargetPosterior

Allowed = Callable[[Sequence[int]], "Tensor"]
"""Positions that were picked, to the positions [m] of a short list that may still join them, as booleans."""


@dataclass(frozen=True)
class Pick:
    """position: in the short list. value: logarithm of the expected further improvement, in units of the utility."""

    position: int
    value: float


def greedy_batch(
    goal: Goal,
    posteriors: Mapping[str, TargetPosterior],
    shortlist: Tensor,
    baseline: Tensor,
    n: int,
    *,
    draws: int,
    seed: int,
    allowed: Allowed | None = None,
    log_costs: Tensor | None = None,
) -> list[Pick]:
    """At most n different rows of a short list [m, d], each adding most to what the earlier ones promise.

    baseline: [b, d], observed and pending rows, whose true values are as uncertain as the model says. The value of each
    step is incremental qLogNEI: the log expected improvement over the best of baseline and rows already picked, in
    joint posterior draws. Wilson et al., NeurIPS 2018 (greedy batches); Balandat et al., NeurIPS 2020; Ament et al.,
    NeurIPS 2023. allowed: which rows may join those picked; the batch ends where none may. log_costs: [m], by which the
    values are lowered: the improvement per cost (Snoek et al., NeurIPS 2012).
    """
    utilities, kept, softly = _joint_draws(goal, posteriors, torch.cat([shortlist, baseline]), draws, seed)
    m = len(shortlist)
    worst = utilities.amin(dim=1)
    best = _best(utilities[:, m:], kept[:, m:], worst)
    picks: list[Pick] = []
    free = torch.ones(m, dtype=torch.bool)
    for _ in range(min(n, m)):
        open_ = free if allowed is None else free & allowed([pick.position for pick in picks])
        if not bool(open_.any()):
            break
        gains = fat_log_improvement(utilities[:, :m], best[:, None]) + softly[:, :m]
        values = torch.logsumexp(gains, dim=0) - math.log(draws)
        if log_costs is not None:
            values = values - log_costs
        position = int(torch.where(open_, values, -math.inf).argmax())
        picks.append(Pick(position, float(values[position])))
        free[position] = False
        best = torch.maximum(best, _best(utilities[:, [position]], kept[:, [position]], worst))
    return picks


def _joint_draws(
    goal: Goal, posteriors: Mapping[str, TargetPosterior], X: Tensor, draws: int, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Utilities, whether constraints are kept, and the log of the latter softened: [draws, m] each. X: [m, d]."""
    names: Sequence[str] = goal.objective.names
    normal = normal_draws(draws, len(X) * len(names), seed)
    values = {name: posteriors[name].draw(X, normal[:, k * len(X) : (k + 1) * len(X)]) for k, name in enumerate(names)}
    return goal.utility(values), goal.feasible(values), goal.log_softly_feasible(values)


def _best(utilities: Tensor, kept: Tensor, worst: Tensor) -> Tensor:
    """Best feasible utility in each draw: [draws, b] to [draws]; `worst` [draws] where nothing is feasible."""
    if not utilities.shape[1]:
        return worst
    return torch.where(kept, utilities, worst[:, None]).amax(dim=1)
