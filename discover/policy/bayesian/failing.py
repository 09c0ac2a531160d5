"""What a policy does with the probability that an experiment gives a number at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.policy.bayesian.acquisitions import WITHOUT_CONSTRAINTS
from discover.policy.bayesian.pool_search import PART
from discover.policy.choice import rows_of
from discover.protocols import View
from discover.surrogate.belief import Belief
from discover.surrogate.failing.feasibility import feasibility
from discover.values import FloatArray, IntArray, Proposal

if TYPE_CHECKING:
    from torch import Tensor

    from discover.policy.bayesian.options import Options


def with_feasibility(held: Belief, view: View, policy: Options) -> Belief:
    """The belief, with what is learned of failures, where the policy wants that and there are enough of them."""
    if policy.feasibility == "none" or policy.acquisition in WITHOUT_CONSTRAINTS:
        return held
    return replace(held, feasibility=feasibility(view))


def log_success(held: Belief, view: View, rows: IntArray) -> Tensor | None:
    """Logarithm of the probability [k] that experiments on some rows of the pool succeed; None where nothing is to be weighed."""
    told = log_success_of(held, view)
    return None if told is None else torch.from_numpy(told(rows))


def log_success_of(held: Belief, view: View) -> Callable[[IntArray], FloatArray] | None:
    """The same as a function of the rows, for who need not ask of all."""
    learned, values = held.feasibility, view.features.values
    if learned is None or not learned.useful:
        return None

    def at(rows: IntArray) -> FloatArray:
        parts = [learned.chance(values[rows[start : start + PART]]) for start in range(0, len(rows), PART)]
        return np.log(np.concatenate(parts) if parts else np.empty(0))

    return at


def weighed(held: Belief, features: FloatArray, scores: Tensor, scale: float = 1.0) -> Tensor:
    """Scores [m] of a search at features [m, d], lowered by the logarithm of the probability of success, times a scale."""
    if held.feasibility is None or not held.feasibility.useful:
        return scores
    return scores + scale * torch.from_numpy(np.log(held.feasibility.chance(features)))


def success(proposals: tuple[Proposal, ...], held: Belief, view: View) -> tuple[Proposal, ...]:
    """Proposals that say how likely each is to succeed, where that is learned."""
    if held.feasibility is None or not held.feasibility.useful or not proposals:
        return proposals
    chances = held.feasibility.chance(view.features.values[rows_of(view, proposals)])
    return tuple(
        replace(p, details={**p.details, "chance_of_success": float(chance)})
        for p, chance in zip(proposals, chances, strict=True)
    )
