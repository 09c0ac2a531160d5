"""Batches for several targets: what each candidate is expected to add to the hypervolume of the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from discover.acquisition.batch import Allowed, Pick, Prices, joint_values
from discover.acquisition.boxes import Boxes
from discover.acquisition.goal import Goal, Parts
from discover.acquisition.improvement import log_expected_gain

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.posterior import TargetPosterior

LEAST = -1e300
"""A logarithm in place of that of nothing, so that differences stay numbers."""
CHUNK = 16_384
"""Candidates that are scored on their own together."""
BLOCK = 16
"""Candidates whose gains are brought up to date together, the most promising first."""


def log_expected_hypervolume(goal: Goal, marginals: Mapping[str, Parts], front: Tensor) -> Tensor:
    """Logarithm of the expected gain in hypervolume of each candidate on its own: [m]; closed form.

    front: [b, k], utilities above the reference that count as known. Targets are independent and normal, or mixtures of
    normals: then the expectation of the dominated part of a box is the product over the targets of the expected length of
    its sides, and each is the difference of two expected improvements. Yang et al., J. Global Optim. 75, 3 (2019).
    """
    boxes = Boxes.whole(1, len(goal.objective.targets))
    always = torch.ones(1, dtype=torch.bool)
    for point in front:
        boxes = boxes.without(point[None], always)
    m, found = len(next(iter(marginals.values()))[0][1]), []
    for i in range(0, m, CHUNK):
        some = {
            name: [(weight, mean[i : i + CHUNK], deviation[i : i + CHUNK]) for weight, mean, deviation in parts]
            for name, parts in marginals.items()
        }
        found.append(_over_boxes(goal, some, boxes))
    return torch.cat(found)


def _over_boxes(goal: Goal, marginals: Mapping[str, Parts], boxes: Boxes) -> Tensor:
    """Logarithm of the expected part [m] of all boxes that candidates dominate."""
    total: Tensor = torch.zeros(())
    for k, target in enumerate(goal.objective.targets):
        levels, place = torch.unique(torch.cat([boxes.low[:, k], boxes.high[:, k]]), return_inverse=True)
        gains = _log_gains(goal, k, marginals[target.name], levels)
        low, high = gains[place[: len(boxes.low)]], gains[place[len(boxes.low) :]]
        side = low + torch.log1p(-torch.exp((high - low.clamp_min(LEAST)).clamp_max(-1e-15)))
        total = total + side
    return torch.logsumexp(total, dim=0)


def _log_gains(goal: Goal, k: int, parts: Parts, levels: Tensor) -> Tensor:
    """Logarithm of the expected excess [levels, m] of the k-th utility over levels above the reference, in spans of it."""
    target, reference, span = goal.objective.targets[k], goal.reference[k], goal.spans[k]
    rows = []
    for level in levels.tolist():
        if math.isinf(level):
            rows.append(torch.full_like(parts[0][1], -math.inf))
            continue
        gains = [
            math.log(weight) + log_expected_gain(target, mean, deviation, reference + span * level)
            for weight, mean, deviation in parts
        ]
        rows.append(torch.logsumexp(torch.stack(gains), dim=0) - math.log(span))
    return torch.stack(rows)


def greedy_front(
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
) -> list[Pick]:
    """At most n different rows of a short list [m, d], each adding most to the hypervolume that the earlier ones promise.

    The value of each step is incremental qLogNEHVI in joint posterior draws, in which baseline rows [b, d], observed and
    pending, are as uncertain as the model says: Daulton, Balandat and Bakshy, NeurIPS 2021; logarithms after Ament et al.,
    NeurIPS 2023. Gains shrink as a batch grows (hypervolume is submodular), so that a gain of an earlier step is a bound, and
    only candidates whose bound is in front are worked out again (Minoux 1978): the same batch as if all were.
    allowed, log_prices: see `greedy_batch`.
    """
    values = joint_values(goal, posteriors, torch.cat([shortlist, baseline]), draws, seed)
    points, kept, softly = goal.above_reference(values), goal.feasible(values), goal.log_softly_feasible(values)
    m = len(shortlist)
    boxes = Boxes.whole(draws, points.shape[2])
    order = torch.argsort(-points[:, m:].mean(dim=0).sum(dim=1), stable=True) + m
    for row in order.tolist():
        boxes = boxes.without(points[:, row], kept[:, row])
    gains, lowered = boxes.log_gains(points[:, :m], softly[:, :m]), torch.zeros(m, dtype=torch.float64)
    fresh, free = torch.ones(m, dtype=torch.bool), torch.ones(m, dtype=torch.bool)
    picks: list[Pick] = []
    while len(picks) < min(n, m):
        open_ = free if allowed is None else free & allowed([pick.position for pick in picks])
        if not bool(open_.any()):
            break
        if log_prices is not None:
            lowered = log_prices([pick.position for pick in picks])
        position = _leader(boxes, points, softly, lowered, gains, fresh, open_)
        picks.append(Pick(position, float(gains[position] - lowered[position])))
        free[position] = False
        boxes = boxes.without(points[:, position], kept[:, position])
        fresh = torch.zeros(m, dtype=torch.bool)
    return picks


def _leader(
    boxes: Boxes, points: Tensor, softly: Tensor, lowered: Tensor, gains: Tensor, fresh: Tensor, open_: Tensor
) -> int:
    """The first open candidate with the greatest gain, after bringing those up to date whose bound is in front."""
    while True:
        bound = torch.where(open_, gains - lowered, -math.inf)
        best = float(torch.where(fresh, bound, -math.inf).max())
        stale = torch.nonzero(open_ & ~fresh & (bound >= best)).flatten()
        if not len(stale):
            return int(bound.argmax())
        some = stale[torch.argsort(-bound[stale], stable=True)[:BLOCK]]
        gains[some] = boxes.log_gains(points[:, some], softly[:, some])
        fresh[some] = True
