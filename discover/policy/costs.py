"""What experiments will cost, learned from what was told of those that were made: `cost: learned`.

A Gaussian process over the candidates' features predicts the logarithm of the cost; a candidate counts as costing the
exponential of its mean, the cost that it exceeds as often as not. Scores are divided by these as by costs that are known
(Snoek, Larochelle and Adams, NeurIPS 2012, section 3.2: expected improvement per second), and a batch is held within what
they leave of a budget in cost. All fidelities and contexts count alike, and what cost nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.protocols import View
from discover.values import FloatArray, Training

if TYPE_CHECKING:
    from discover.surrogate.gaussian.posterior import GaussianPosterior
    from discover.surrogate.inputs.scaling import Scaling

FEWEST = 5
"""Candidates whose cost was told from which on costs are learned."""
PART = 65_536
"""Rows that are predicted together."""


@dataclass(frozen=True)
class LearnedCosts:
    """values: [N] > 0, of every candidate of a view. record: how they were learned, plain JSON."""

    values: FloatArray
    record: Mapping[str, Any]


def with_learned_costs(view: View) -> tuple[View, dict[str, Any]]:
    """The view with what its candidates are likely to cost, where that is to be learned and enough was told; and the record.

    Of a budget in cost, what candidates under trial are likely to take is set aside.
    """
    if view.costs is None:
        return view, {}
    known = len(np.unique(view.costs.rows[view.costs.values > 0]))
    if known < FEWEST:
        return view, {"costs": {"verdict": f"no costs yet: {known} of {FEWEST} candidates"}}
    learned = learn(view, view.costs)
    funds = view.limits.funds - float(learned.values[view.pending].sum())
    limits = replace(view.limits, costs=learned.values, funds=funds)
    return replace(view, limits=limits), {"costs": dict(learned.record)}


def learn(view: View, told: Training) -> LearnedCosts:
    """From at least one cost above 0."""
    from discover.surrogate.gaussian.process import GaussianProcess, fit_arrays
    from discover.surrogate.inputs.scaling import Scaling

    fine = told.values > 0
    rows, logs = told.rows[fine], np.log(told.values[fine])
    scaling = Scaling.of(view.features)
    X = scaling.apply(view.features.values[rows])
    posterior = fit_arrays(GaussianProcess(), X, logs, np.full(len(logs), np.nan), None)
    values = np.exp(_means(posterior, scaling, view.features.values))
    record = {"told": len(logs), "median": float(np.exp(np.median(logs))), **posterior.settings(), "scale": "logarithm"}
    return LearnedCosts(values, record | ({"left_out": int((~fine).sum())} if not fine.all() else {}))


def _means(posterior: GaussianPosterior, scaling: Scaling, values: FloatArray) -> FloatArray:
    """Posterior means [N] at raw features [N, d]."""
    import torch

    found = np.empty(len(values))
    for start in range(0, len(values), PART):
        X = torch.from_numpy(np.ascontiguousarray(scaling.apply(values[start : start + PART])))
        found[start : start + PART] = posterior.mean_variance(X)[0].numpy()
    return found
