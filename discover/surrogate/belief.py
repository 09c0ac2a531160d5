"""What a campaign believes: one independent posterior for each target that has observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.protocols import FloatArray, IntArray, Training, View
from discover.surrogate.diagnostics import LeaveOneOut, leave_one_out
from discover.surrogate.gaussian_process import GaussianPosterior, GaussianProcess, fit_arrays
from discover.surrogate.scaling import Scaling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Belief:
    """Posteriors by target, and how raw features become theirs. observed: [k] rows with any observation, ascending."""

    scaling: Scaling
    posteriors: Mapping[str, GaussianPosterior]
    observed: IntArray
    diagnostics: Mapping[str, LeaveOneOut]
    learned: Mapping[str, Any]

    def scaled(self, X: FloatArray) -> Tensor:
        """Raw features [m, d] to a tensor of scaled ones [m, k]."""
        return torch.from_numpy(np.ascontiguousarray(self.scaling.apply(X)))

    def predict(self, X: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Raw features [m, d] to (mean [m], standard deviation [m]) of the noiseless target, in its unit."""
        scaled = self.scaled(X)
        found = {}
        for name, posterior in self.posteriors.items():
            mean, deviation = posterior.mean_deviation(scaled)
            found[name] = (mean.numpy(), deviation.numpy())
        return found

    @property
    def memory(self) -> dict[str, Any]:
        """From what the next belief may start; plain JSON, exact."""
        return {name: posterior.memory() for name, posterior in self.posteriors.items()}


MODELS = (GaussianProcess(),)
"""What competes where nobody says otherwise."""


def belief(view: View, models: Sequence[GaussianProcess] = MODELS) -> Belief:
    """Fit each target of the view that has observations, on features scaled over the whole pool.

    Of several models the one whose leave-one-out density is highest is believed, target by target. A censored
    observation enters as if its bound were its value; how many there are is in `learned`.
    """
    scaling = Scaling.over(view.features.values)
    memory = view.memory.get("surrogate", {})
    posteriors, diagnostics, learned = {}, {}, {}
    for name in view.objective.names:
        training = view.training.get(name)
        if training is None or not len(training):
            continue
        X = scaling.apply(view.features.values[training.rows])
        left = memory.get(name)
        fits = [fit_arrays(model, X, training.values, training.stds, left) for model in models]
        judged = [leave_one_out(posterior, training.rows) for posterior in fits]
        best = max(range(len(fits)), key=lambda k: judged[k].density_gain)
        posteriors[name], diagnostics[name] = fits[best], judged[best]
        learned[name] = _learned(fits[best], judged[best], training)
        if len(fits) > 1:
            learned[name]["compared"] = {model.title: told.density_gain for model, told in zip(models, judged)}
    rows = [view.training[name].rows for name in posteriors]
    observed = np.unique(np.concatenate(rows)) if rows else np.array([], dtype=np.int64)
    return Belief(scaling, posteriors, observed, diagnostics, learned)


def _learned(posterior: GaussianPosterior, diagnosis: LeaveOneOut, training: Training) -> dict[str, Any]:
    """The record of one fit; plain JSON."""
    body: dict[str, Any] = {**posterior.settings(), "leave_one_out": diagnosis.to_dict()}
    if censored := int((training.bounds != 0).sum()):
        body["censored"] = censored
        body["censored_treatment"] = "the bound was taken for the value"
    return body
