"""From which value improvements are counted: the best that was measured, or the best that is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.goal import Goal
from discover.protocols import View

if TYPE_CHECKING:
    from torch import Tensor

    from discover.surrogate.targets.reading import Reading


def measured_best(view: View, goal: Goal, readings: Mapping[str, Reading] | None = None) -> float | None:
    """The best utility of any candidate by the mean of its own measurements.

    readings: by target, which of its observations count; those that were left out as gross errors do not.

    None where such a mean is not to be trusted by itself or is no outcome of the whole objective: several targets,
    constraints, observations with stated deviations or under several conditions, limits in place of values.

    What a model calls noise in a table of single measurements is for the greater part what its features do not tell, and
    stays with the candidate; believing means, as noisy expected improvement does, then counts from below what is already
    in hand.
    """
    target = goal.single
    if target is None or goal.objective.constraints:
        return None
    told = view.training[target.name]
    if not len(told) or np.isfinite(told.stds).any() or told.bounds.any():
        return None
    conditions = told.conditions
    if any(condition != conditions[0] for condition in conditions):
        return None
    some = readings[target.name].places if readings and target.name in readings else np.arange(len(told))
    _, place = np.unique(told.rows[some], return_inverse=True)
    means = np.bincount(place, told.values[some]) / np.bincount(place)
    values: Tensor = goal.utility({target.name: torch.from_numpy(means)})
    return float(values.max())
