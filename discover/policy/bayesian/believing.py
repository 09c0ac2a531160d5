"""What a Bayesian policy believes of a view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from discover.policy.bayesian.failing import with_feasibility
from discover.protocols import View
from discover.surrogate.belief import Belief, belief

if TYPE_CHECKING:
    from discover.policy.bayesian.options import Options


def belief_of(policy: Options, view: View, *, judge: bool = False) -> Belief:
    """By the policy's model, its reading of observations, and the conditions that it asks about; with what is learned of failures.

    judge: whether it is found out what the fit is worth, too.
    """
    view = replace(view, at=policy.at) if policy.at else view
    held = belief(view, policy.surrogate(view), reader=policy.reader(), judge=judge)
    return with_feasibility(held, view, policy)
