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
Prices = Callable[[Sequence[int]], "Tensor"]
"""Positions that were picked, to what each position [m] of a short list would cost besides them."""


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
    log_prices: Prices | None = None,
    to_keep: bool = False,
    floor: float | None = None,
    first: Tensor | None = None,
) -> list[Pick]:
    """At most n different rows of a short list [m, d], each adding most to what the earlier ones promise.

    baseline: [b, d], observed and pending rows, whose true values are as uncertain as the model says. The value of each
    step is incremental qLogNEI: the log expected improvement over the best of baseline and rows already picked, in
    joint posterior draws. Wilson et al., NeurIPS 2018 (greedy batches); Balandat et al., NeurIPS 2020; Ament et al.,
    NeurIPS 2023. allowed: which rows may join those picked; the batch ends where none may. log_prices: logarithms,
    by which the values are lowered: the improvement per cost (Snoek et al., NeurIPS 2012). to_keep: nothing seen keeps the constraints, so
    all that counts is that something does: each step is then the log probability that a row does and no earlier one.
    floor: a utility that is in hand for certain; with it the value is incremental qLogEI. first: [m], what decides the first
    step where it is known without draws, whose errors are as large as the differences between the leading rows.
    """
    values = joint_values(goal, posteriors, torch.cat([shortlist, baseline]), draws, seed)
    kept, softly = goal.feasible(values), goal.log_softly_feasible(values)
    utilities = torch.zeros_like(softly) if to_keep else goal.utility(values)
    m = len(shortlist)
    worst = utilities.amin(dim=1) - float(to_keep)
    best = _best(utilities[:, m:], kept[:, m:], worst)
    if floor is not None:
        best = best.clamp_min(floor) if utilities.shape[1] > m else torch.full_like(best, floor)
    picks: list[Pick] = []
    free = torch.ones(m, dtype=torch.bool)
    for _ in range(min(n, m)):
        open_ = free if allowed is None else free & allowed([pick.position for pick in picks])
        if not bool(open_.any()):
            break
        gains = fat_log_improvement(utilities[:, :m], best[:, None]) + softly[:, :m]
        hopes = torch.logsumexp(gains, dim=0) - math.log(draws)
        if log_prices is not None:
            hopes = hopes - log_prices([pick.position for pick in picks])
        decides = hopes if first is None or picks else first
        position = int(torch.where(open_, decides, -math.inf).argmax())
        picks.append(Pick(position, float(hopes[position])))
        free[position] = False
        best = torch.maximum(best, _best(utilities[:, [position]], kept[:, [position]], worst))
    return picks


def joint_values(
    goal: Goal, posteriors: Mapping[str, TargetPosterior], X: Tensor, draws: int, seed: int
) -> dict[str, Tensor]:
    """Joint draws [draws, m] of all that is measured, by name, at rows X [m, d]; what is measured is independent."""
    names: Sequence[str] = goal.objective.names
    normal = normal_draws(draws, len(X) * len(names), seed)
    found = {}
    for k, name in enumerate(names):
        mine = normal[:, k * len(X) : (k + 1) * len(X)]
        if k and len(posteriors[name].components) > 1:
            # A mixture takes its draws from its components in turn: in another turn for each, so that they do not go together.
            order = torch.randperm(draws, generator=torch.Generator().manual_seed(seed + k))
            found[name] = torch.empty_like(mine)
            found[name][order] = posteriors[name].draw(X, mine[order])
        else:
            found[name] = posteriors[name].draw(X, mine)
    return found


def _best(utilities: Tensor, kept: Tensor, worst: Tensor) -> Tensor:
    """Best feasible utility in each draw: [draws, b] to [draws]; `worst` [draws] where nothing is feasible."""
    if not utilities.shape[1]:
        return worst
    return torch.where(kept, utilities, worst[:, None]).amax(dim=1)
