"""Limits among the observations of a fit: pseudo-observations found under its covariance, the covariance fitted to them.

At sites that have settled the slope of the approximate evidence in the hyperparameters is that of the pseudo-observations
held fixed (Rasmussen and Williams (2006), section 5.5.2), so fitting to them and finding them anew, in turn, climbs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import fit_arrays
from discover.surrogate.gaussian.state import State
from discover.surrogate.gaussian.weighted import Weighted
from discover.surrogate.targets.shape import REFERENCE
from discover.surrogate.targets.sites import Sites, censored_sites
from discover.values import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 2_000
"""Observations up to which limits are more than values: their joint belief is one dense matrix."""
ROUNDS = 2
ENOUGH = 3
"""Measured values that a first fit needs; with fewer, limits stand for values in it."""


@dataclass(frozen=True)
class Observed:
    """Observations of one target on the scale of a fit: X [n, d] scaled features, values [n], noise [n] variances (NaN
    where unknown), bounds [n] (0 measured, -1 at most, +1 at least)."""

    X: FloatArray
    values: FloatArray
    noise: FloatArray
    bounds: IntArray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def measured(self) -> BoolArray:
        """[n], those that are no limits."""
        found: BoolArray = self.bounds == 0
        return found

    def only(self, positions: IntArray | BoolArray) -> Observed:
        """Some of them."""
        return Observed(self.X[positions], self.values[positions], self.noise[positions], self.bounds[positions])


def tightest(rows: IntArray, values: FloatArray, bounds: IntArray) -> BoolArray:
    """Which of n observations of candidates [n] say something: of several limits on one side the tightest alone does."""
    keep = np.ones(len(rows), dtype=bool)
    for side in (-1, 1):
        some = np.flatnonzero(bounds == side)
        order = some[np.lexsort((-side * values[some], rows[some]))]
        keep[order] = np.concatenate([[True], np.diff(rows[order]) != 0])[: len(order)]
    return keep


def as_values(told: Observed) -> tuple[Observed, str]:
    """Limits turned into pseudo-observations (values with noise variances), and in words what was done."""
    if told.measured.all():
        return told, ""
    if len(told) > LARGEST:
        return _for_values(told), f"the bound was taken for the value: more than {LARGEST:,}"
    enough = told.measured.sum() >= ENOUGH
    first = told.only(told.measured) if enough else told
    now, sites, why = first, None, "there is no model"
    for _ in range(ROUNDS):
        posterior = fit_arrays(REFERENCE, now.X, now.values, np.sqrt(now.noise), None)
        if posterior.state is None:
            break
        settled, sites = settle(posterior, told)
        unit = settled.standard.scale * settled.standard.scale
        if not 0.0 < unit < math.inf:
            sites, why = None, "its variance is no number that a computer holds"
            break
        now = Observed(told.X, settled.y.numpy(), settled.noise.numpy() * unit, told.bounds)
    if sites is None:
        return _for_values(told), f"the bound was taken for the value: {why}"
    end = "" if sites.settled else ", which did not settle"
    return now, f"as a limit, by expectation propagation ({sites.sweeps} sweeps{end})"


def _for_values(told: Observed) -> Observed:
    """Limits as if they had been measured."""
    return replace(told, bounds=np.zeros_like(told.bounds))


def settle(posterior: GaussianPosterior, told: Observed) -> tuple[GaussianPosterior, Sites | None]:
    """The posterior under the same hyperparameters after `told`, with its limits as limits. It must have factors."""
    assert posterior.found is not None
    standard, found = posterior.standard, posterior.found
    X, limits, stated = (_tensor(a) for a in (told.X, told.values, told.noise))
    stated = stated / standard.scale / standard.scale
    known = fitting.noise_diagonal(stated, found.noise)
    prior = posterior.covariance.across(X, X).numpy()
    values, variances, sites = censored_sites(prior, standard.apply(limits).numpy(), known.numpy(), told.bounds)
    y, free = _tensor(values), torch.from_numpy(~told.measured)
    noise = torch.where(free, _tensor(variances), stated)
    state = State.of(X, y, noise, found, posterior.form)
    return replace(posterior, X=X, y=standard.shift + standard.scale * y, noise=noise, state=state), sites


def settled(posterior: GaussianPosterior | Weighted, told: Observed) -> GaussianPosterior | Weighted:
    """A belief fitted to pseudo-observations, with those that its own covariance makes of the limits."""
    if told.measured.all():
        return posterior
    if isinstance(posterior, Weighted):
        return replace(posterior, components=tuple(_own(part, told) for part in posterior.components))
    return _own(posterior, told)


def _own(posterior: GaussianPosterior, told: Observed) -> GaussianPosterior:
    if posterior.state is None:
        return posterior
    try:
        return settle(posterior, told)[0]
    except (fitting.NotDefinite, np.linalg.LinAlgError):
        return posterior  # that of the pseudo-observations as they were found before


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
