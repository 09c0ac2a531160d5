"""What a campaign believes: one independent posterior for each target that has observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from discover.protocols import FloatArray, IntArray, Training, View
from discover.surrogate import fitting
from discover.surrogate.diagnostics import LeaveOneOut, leave_one_out
from discover.surrogate.evidence import Evidence
from discover.surrogate.gaussian_process import GaussianPosterior, GaussianProcess, fit_arrays
from discover.surrogate.layout import Layout
from discover.surrogate.local import LocalPosterior
from discover.surrogate.local_diagnostics import leave_some_out
from discover.surrogate.local_fit import TOLD
from discover.surrogate.posterior import TargetPosterior
from discover.surrogate.scaling import Scaling
from discover.surrogate.weighted import Weighted

if TYPE_CHECKING:
    from torch import Tensor


MANY = 1000
"""Observations up to which each candidate is predicted from all others; beyond, some candidates from their neighbours."""
TELLING = 5
"""Features with the shortest length-scales, along which the target changes fastest, that a record names."""


@dataclass(frozen=True)
class Belief:
    """Posteriors by target, and how raw features become theirs. observed: [k] rows with any observation, ascending."""

    scaling: Scaling
    posteriors: Mapping[str, TargetPosterior]
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


def belief(view: View, model: GaussianProcess | Evidence | None = None, *, judge: bool = True) -> Belief:
    """Fit each target of the view that has observations, on features scaled over the whole pool.

    judge: whether to find out what each fit is worth, too, which takes some times longer than the fit. A censored observation enters as if its bound were its value; how many there are is in `learned`.
    """
    model = model or GaussianProcess()
    scaling = Scaling.over(view.features.values)
    if isinstance(model, Evidence):
        model = replace(model, layout=Layout.of(scaling, view.features.blocks, view.features.values[0]))
    memory = view.memory.get("surrogate", {})
    posteriors: dict[str, TargetPosterior] = {}
    diagnostics: dict[str, LeaveOneOut] = {}
    learned: dict[str, Any] = {}
    told = {name: view.training[name] for name in view.objective.names if len(view.training.get(name, ()))}
    for name, training in told.items():
        X = scaling.apply(view.features.values[training.rows])
        posterior, worth = _fitted(model, X, training, memory.get(name), judge)
        posteriors[name] = posterior
        learned[name] = _learned(posterior, training, np.array(view.features.names)[scaling.kept])
        if worth is not None:
            diagnostics[name] = worth
            learned[name]["leave_one_out"] = worth.to_dict()
    rows = [view.training[name].rows for name in posteriors]
    observed = np.unique(np.concatenate(rows)) if rows else np.array([], dtype=np.int64)
    return Belief(scaling, posteriors, observed, diagnostics, learned)


def _fitted(
    model: GaussianProcess | Evidence, X: FloatArray, training: Training, memory: Mapping[str, Any] | None, judge: bool
) -> tuple[GaussianPosterior | Weighted, LeaveOneOut | None]:
    """The posterior of one target, X [n, k] scaled, and what it is worth, if that is asked for."""
    if isinstance(model, Evidence) and len(training) > GaussianProcess.exact:
        model = GaussianProcess(evaluations=model.evaluations, starts=model.starts, rows=model.rows, chunk=model.chunk)
    if isinstance(model, Evidence):
        x, y, noise = (
            torch.from_numpy(np.ascontiguousarray(a, dtype=np.float64))
            for a in (X, training.values, np.square(training.stds))
        )
        mixture, worth = model.compare(x, y, noise, training.rows, memory)
        return mixture, (worth or leave_one_out(mixture, training.rows)) if judge else None
    posterior = fit_arrays(model, X, training.values, training.stds, memory)
    return posterior, _worth(posterior, training.rows, model) if judge else None


def _worth(posterior: GaussianPosterior, rows: IntArray, model: GaussianProcess) -> LeaveOneOut:
    """Leave-one-out diagnostics; of some candidates alone where all of them would take longer than the fit."""
    if posterior.found is None or posterior.form is not None or len(rows) <= MANY:
        return leave_one_out(posterior, rows, model)
    seen = TOLD if isinstance(posterior, LocalPosterior) else model.rows
    return leave_some_out(posterior, rows, fitting.evenly(len(rows), seen))


def _learned(posterior: GaussianPosterior | Weighted, training: Training, names: NDArray[np.str_]) -> dict[str, Any]:
    """The record of one fit; plain JSON. names: [k], of the scaled features."""
    body: dict[str, Any] = posterior.settings()
    for part in posterior.components:
        lengths = part.found.lengths if part.found and part.form is None else ()
        if len(lengths) == len(names) > 1:
            nearest = np.argsort(lengths, kind="stable")[:TELLING]
            body["telling_features"] = {str(names[k]): lengths[k] for k in nearest}
    if censored := int((training.bounds != 0).sum()):
        body["censored"] = censored
        body["censored_treatment"] = "the bound was taken for the value"
    return body
