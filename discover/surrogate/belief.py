"""What a campaign believes: one posterior for each target that has observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from discover.protocols import View
from discover.surrogate.covariance import fitting
from discover.surrogate.diagnostics import LeaveOneOut, leave_one_out
from discover.surrogate.evidence.conditions import Conditions
from discover.surrogate.evidence.evidence import Evidence
from discover.surrogate.evidence.joint import Told
from discover.surrogate.evidence.short_list import one_encoding
from discover.surrogate.failing.feasibility import Feasibility
from discover.surrogate.gaussian.local import LocalPosterior
from discover.surrogate.gaussian.local_fit import TOLD
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.weighted import Weighted
from discover.surrogate.inputs.layout import Layout
from discover.surrogate.inputs.scaling import Scaling
from discover.surrogate.local_diagnostics import leave_some_out
from discover.surrogate.posterior import TargetPosterior
from discover.surrogate.targets.censored import settled
from discover.surrogate.targets.reading import Reader, Reading, merits, read, read_as_before
from discover.surrogate.targets.transformed import Transformed, in_unit
from discover.surrogate.targets.transforms import Affine
from discover.values import BoolArray, FloatArray, IntArray, Training

if TYPE_CHECKING:
    from torch import Tensor


MANY = 1000
"""Observations up to which each candidate is predicted from all others; beyond, some candidates from their neighbours."""
PART = 65_536
"""Rows that are predicted together."""
TELLING = 5
"""Features with the shortest length-scales, along which the target changes fastest, that a record names."""


@dataclass(frozen=True)
class Belief:
    """Posteriors by target, and how raw features become theirs. observed: [k] rows with any observation, ascending.

    feasibility: how likely experiments are to succeed, where that was learned.
    """

    scaling: Scaling
    posteriors: Mapping[str, TargetPosterior]
    observed: IntArray
    diagnostics: Mapping[str, LeaveOneOut]
    learned: Mapping[str, Any]
    readings: Mapping[str, Reading] = field(default_factory=dict)
    feasibility: Feasibility | None = None

    def scaled(self, X: FloatArray) -> Tensor:
        """Raw features [m, d] to a tensor of scaled ones [m, k]."""
        return torch.from_numpy(np.ascontiguousarray(self.scaling.apply(X)))

    def predict(self, X: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Raw features [m, d] to (mean [m], standard deviation [m]) of the noiseless target, in its unit."""
        found = {name: (np.empty(len(X)), np.empty(len(X))) for name in self.posteriors}
        for start in range(0, len(X), PART):
            part = slice(start, start + PART)
            scaled = self.scaled(X[part])
            for name, posterior in self.posteriors.items():
                for told, values in zip(found[name], posterior.mean_deviation(scaled), strict=True):
                    told[part] = values.numpy()
        return found

    @property
    def memory(self) -> dict[str, Any]:
        """From what the next belief may start; plain JSON, exact."""
        left = {name: posterior.memory() for name, posterior in self.posteriors.items()}
        for name, reading in self.readings.items():
            if reading.memory:
                left[name]["reading"] = reading.memory
        return left


def belief(
    view: View, model: GaussianProcess | Evidence | None = None, *, reader: Reader | None = None, judge: bool = True
) -> Belief:
    """Fit each target of the view that has observations, on features scaled over the whole pool.

    reader: how observations are read, see `Reader`. judge: whether to find out what each fit is worth, too, which takes
    some times longer than the fit. Where observations differ in fidelity or context these are inputs of the model, and the
    belief is about `view.at`, see `conditions`. Censored observations enter as limits; what was made of them is in `learned`.
    """
    model, reader = model or GaussianProcess(), reader or Reader()
    scaling = Scaling.of(view.features)
    layout = Layout.of(scaling, view.features.blocks, view.features.values)
    model = _knowing(model, layout)
    memory = view.memory.get("surrogate", {})
    posteriors: dict[str, TargetPosterior] = {}
    diagnostics: dict[str, LeaveOneOut] = {}
    learned: dict[str, Any] = {}
    readings: dict[str, Reading] = {}
    under: dict[str, Conditions] = {}
    told = {name: view.training[name] for name in view.objective.names if len(view.training.get(name, ()))}
    for name, training in told.items():
        conditions = under[name] = Conditions.of(training, view.at) if len(training) <= model.exact else Conditions()
        X = scaling.apply(view.features.values[training.rows])
        X = np.hstack([X, conditions.scaled(training.conditions)]) if conditions else X
        merit = merits(view.objective, name, training.values)
        ids = {int(row): str(view.ids[row]) for row in training.rows}
        reading = readings[name] = _read(model, reader, X, training, merit, ids, memory.get(name, {}))
    beside = {name: _beside(readings[name], told[name]) for name in told if not under[name]}
    for name, training in told.items():
        reading, conditions, before = readings[name], under[name], memory.get(name, {})
        others = [other for key, other in beside.items() if key != name and other is not None]
        rows = training.rows[reading.places]
        latent, worth = _fitted(conditions.told(model, layout), reading, rows, before, judge, others)
        posteriors[name] = _in_unit(latent, reading)
        learned[name] = _learned(latent, reading, np.array(view.features.names)[scaling.kept]) | conditions.record
        if training.conditions and len(training) > model.exact:
            learned[name]["conditions_left_out"] = "all: there are too many observations for them"
        if worth is not None:
            diagnostics[name] = in_unit(worth, reading.transform)
            learned[name]["leave_one_out"] = worth.to_dict()
    seen = [view.training[name].rows for name in posteriors]
    observed = np.unique(np.concatenate(seen)) if seen else np.array([], dtype=np.int64)
    return Belief(scaling, posteriors, observed, diagnostics, learned, readings)


def _read(
    model: GaussianProcess | Evidence,
    reader: Reader,
    X: FloatArray,
    training: Training,
    merit: FloatArray,
    ids: Mapping[int, str],
    memory: Mapping[str, Any],
) -> Reading:
    """The observations of one target; as before while the hyperparameters stay."""
    before = memory.get("reading", {})
    if model.keep > 0:
        same = read_as_before(reader, X, training, ids, before)
        if same is not None and model.keeps(memory, len(same.values)):
            return same
    return read(reader, X, training, merit, ids, before)


def _knowing(model: GaussianProcess | Evidence, layout: Layout) -> GaussianProcess | Evidence:
    """The model, told what the features are. A single one takes one encoding of each column, descriptors if there are any."""
    if isinstance(model, Evidence):
        return replace(model, layout=layout)
    if not layout.doubled or model.form is not None:
        return model
    form = one_encoding(layout, "descriptors", model.kernel, each=model.lengths == "each")
    return replace(model, form=form, name=f"{model.kernel} of one encoding")


def _fitted(
    model: GaussianProcess | Evidence,
    reading: Reading,
    rows: IntArray,
    memory: Mapping[str, Any],
    judge: bool,
    others: Sequence[Told] = (),
) -> tuple[GaussianPosterior | Weighted, LeaveOneOut | None]:
    """The posterior of one target on the scale of its reading, and what it is worth, if that is asked for.

    rows [k]: the candidates of the observations that were read. others: what was read of further targets.
    """
    data = reading.values
    x, y, noise = (torch.from_numpy(np.ascontiguousarray(a)) for a in (data.X, data.values, data.noise))
    measured = reading.told.measured
    worth: LeaveOneOut | None = None
    posterior: GaussianPosterior | Weighted
    if isinstance(model, Evidence) and len(data) > model.exact:
        model = _knowing(model.alone, model.layout) if model.layout else model.alone
    if isinstance(model, Evidence):
        posterior, worth = model.compare(x, y, noise, rows, memory, measured, others if measured.all() else ())
        if judge and worth is None:
            worth = leave_one_out(posterior, rows, measured=measured)
    else:
        posterior = model.fit(x, y, noise, memory=memory)
        if judge:
            worth = _worth(posterior, rows, model, measured)
    return settled(posterior, reading.told), worth if judge else None


def _beside(reading: Reading, training: Training) -> Told | None:
    """What was read of one target, for the model of another; None where limits are among it."""
    if not reading.told.measured.all():
        return None
    data = reading.values
    x, y, noise = (torch.from_numpy(np.ascontiguousarray(a)) for a in (data.X, data.values, data.noise))
    return Told(x, y, noise, training.rows[reading.places])


def _worth(posterior: GaussianPosterior, rows: IntArray, model: GaussianProcess, measured: BoolArray) -> LeaveOneOut:
    """Leave-one-out diagnostics; of some candidates alone where all of them would take longer than the fit."""
    large = isinstance(posterior, LocalPosterior)
    if 0 < posterior.fitted < len(posterior.y) and not large:  # none are fitted for this either
        return leave_one_out(posterior, rows, None, measured)
    if not large and (posterior.found is None or posterior.covariance.stationary is None or len(rows) <= MANY):
        return leave_one_out(posterior, rows, model, measured)
    seen = TOLD if large else model.rows
    return leave_some_out(posterior, rows, fitting.evenly(len(rows), seen), measured)


def _in_unit(latent: GaussianPosterior | Weighted, reading: Reading) -> TargetPosterior:
    """A belief on the scale of a reading as one of the target."""
    if isinstance(reading.transform, Affine):
        return latent
    y = reading.transform.invert(latent.y)
    return Transformed(latent, reading.transform, y, Standard.of(y))


def _learned(latent: GaussianPosterior | Weighted, reading: Reading, names: NDArray[np.str_]) -> dict[str, Any]:
    """The record of one fit, on the scale of its reading; plain JSON. names: [k], of the scaled features."""
    body: dict[str, Any] = latent.settings()
    for part in latent.components:
        lengths = part.found.lengths if part.found and part.form is None else ()
        if len(lengths) == len(names) > 1:
            nearest = np.argsort(lengths, kind="stable")[:TELLING]
            body["telling_features"] = {str(names[k]): lengths[k] for k in nearest}
    return body | reading.record
