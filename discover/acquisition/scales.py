"""Scores worked out on the scales on which targets are believed in, where the belief is normal and closed forms are right.

For one target that is to be large or small. Its incumbent and the limits of constraints are carried over; probabilities of
intervals are then exact. Improvement is measured along the tangent at the incumbent: beyond the values seen, where the maps
of `discover.surrogate.targets.transforms` are straight, that is the improvement in the target's unit. It is what makes components of
a mixture comparable, and expected improvement still grows with the variance at a fixed mean, so that bounds of it hold.
Elsewhere (several targets, a value or a band to match) the moments in the target's unit stand for the belief.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from discover.acquisition.goal import Goal
from discover.objective import Constraint, Objective
from discover.surrogate.targets.transforms import Affine, Transform


@dataclass(frozen=True)
class OnScales:
    """goal, best: the goal and its incumbent utility on the scales, spans 1. offset: what turns a log improvement there into
    one in the target's unit."""

    goal: Goal
    best: float | None
    offset: float


def on_scales(goal: Goal, best: float | None, scales: Mapping[str, Transform]) -> OnScales | None:
    """The goal of one target on the scales of what is measured, by name; None where all are told as they are, and where
    there is no such goal."""
    target = goal.single
    if target is None or target.direction == "match" or all(isinstance(s, Affine) for s in scales.values()):
        return None
    texts = [_text(c, scales.get(c.target, Affine())) for c in goal.objective.constraints]
    objective = Objective([target], constraints=texts, outcomes=goal.objective.outcomes)
    carried = replace(goal, objective=objective, spans=(1.0,))
    if best is None:
        return OnScales(carried, None, 0.0)
    sign, scale = (1.0 if target.direction == "maximize" else -1.0), scales[target.name]
    at = torch.tensor(sign * best * goal.spans[0], dtype=torch.float64)
    return OnScales(carried, sign * float(scale.apply(at)), -float(scale.log_slope(at)))


def _text(constraint: Constraint, scale: Transform) -> str:
    """The same constraint on another scale."""

    def carried(limit: float) -> str:
        return repr(float(scale.apply(torch.tensor(limit, dtype=torch.float64))))

    if math.isinf(constraint.low):
        return f"{constraint.target} {'<' if constraint.strict else '<='} {carried(constraint.high)}"
    if math.isinf(constraint.high):
        return f"{constraint.target} {'>' if constraint.strict else '>='} {carried(constraint.low)}"
    return f"{constraint.target} in [{carried(constraint.low)}, {carried(constraint.high)}]"
