"""An exact Gaussian process that always answers.

Where a step of the fit fails the next simpler one is taken, down to the mean of the observations with an honest wide
band, and every step is written into what was learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.errors import InvalidInput, Problem
from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.asked import simplest
from discover.surrogate.covariance.fitting import Hyperparameters
from discover.surrogate.covariance.forms import Radial
from discover.surrogate.gaussian import local_fit
from discover.surrogate.gaussian.keeping import Kept, state_about
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.settings import Settings
from discover.surrogate.gaussian.standard import Standard
from discover.surrogate.gaussian.state import State
from discover.surrogate.gaussian.threads import one_thread
from discover.values import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

_Fit = tuple[Hyperparameters | None, State | None]


@dataclass(frozen=True)
class GaussianProcess(Settings):
    """A Gaussian process that is fitted as the settings say, and its belief."""

    def fit(
        self, X: Tensor, y: Tensor, noise: Tensor | None = None, *, memory: Mapping[str, Any] | None = None
    ) -> GaussianPosterior:
        """X [n, d] scaled features, y [n] in the target's unit, noise [n] variances (NaN where unknown), n >= 1.

        memory: what an earlier fit left; it is tried as one more start, so it never makes the fit worse.
        InvalidInput for shapes that do not belong together, values that are not finite, and a form without a name.
        """
        if self.form is not None and not self.name:
            raise InvalidInput("model", [Problem("a form needs a name, by which its memory is known", column="name")])
        X, y, noise = _checked(X, y, noise)
        standard = Standard.of(y)
        target, known = standard.apply(y), noise / standard.scale / standard.scale
        if len(y) > self.exact:
            return local_fit.fit(self, X, y, standard, known, memory)
        if (kept := self._kept(X, y, noise, memory)) is not None:
            return kept
        plain = replace(self, form=simplest(self.form), name="", lengths="one")
        ladder = [self, plain, replace(plain, kernel="matern")]
        attempts: list[tuple[str, Callable[[], _Fit]]] = [
            (step.title, partial(step._found, X, target, known, memory)) for step in dict.fromkeys(ladder)
        ]
        attempts.append(("the mean of the observations", lambda: (None, None)))
        with one_thread():
            (found, state), notes = fitting.climb(attempts)
        if state is not None and state.jitter:
            notes.append(f"jitter of {state.jitter:g} on the diagonal")
        if len(y) > self.rows:
            notes.append(f"hyperparameters from {self.rows} of {len(y)} observations")
        if not standard.known:
            notes.append("the values do not tell their spread; their size was taken for it")
        form = self.form if found is not None and found.kernel == self.name else simplest(self.form)
        fitted = len(y) if self.keep > 0 else 0
        return GaussianPosterior(X, y, standard, known, found, state, self.chunk, tuple(notes), form, fitted)

    def keeps(self, memory: Mapping[str, Any] | None, n: int) -> bool:
        """Whether the hyperparameters of an earlier fit stay with n observations."""
        return self.keep > 0 and Kept.of(memory, self.keep, n) is not None

    def _kept(self, X: Tensor, y: Tensor, noise: Tensor, memory: Mapping[str, Any] | None) -> GaussianPosterior | None:
        """The belief under the prior of an earlier fit, where that may be kept."""
        form = self.form or Radial.whole(self.kernel, X.shape[1], each=self.lengths == "each")
        found = fitting.remembered(memory, self.name or self.kernel, len(form.dimensions), form.shares)
        kept = Kept.of(memory, self.keep, len(y)) if self.keep > 0 and found is not None else None
        if kept is None or found is None:
            return None
        standard = Standard(kept.shift, kept.scale)
        known = noise / standard.scale / standard.scale
        with one_thread():
            state = state_about(kept.mean, X, standard.apply(y), known, found, self.form)
        if state is None:
            return None
        notes = (f"hyperparameters kept from {kept.observations} of {len(y)} observations",)
        return GaussianPosterior(X, y, standard, known, found, state, self.chunk, notes, self.form, kept.observations)

    def _found(self, X: Tensor, y: Tensor, known: Tensor, memory: Mapping[str, Any] | None) -> _Fit:
        """The best fit over all starts, and its factors."""
        form = self.form or Radial.whole(self.kernel, X.shape[1], each=self.lengths == "each")
        name = self.name or self.kernel
        starts = fitting.prior_starts(name, form)[: self.starts]
        if (left := fitting.remembered(memory, name, len(form.dimensions), form.shares)) is not None:
            starts.append(left)
        some = torch.from_numpy(fitting.evenly(len(y), self.rows))
        search = partial(fitting.optimise, form, X[some], y[some], known[some], evaluations=self.evaluations)
        best = max((search(start=start) for start in starts), key=lambda found: found.objective)
        return best, State.of(X, y, known, best, self.form)


def fit_arrays(
    model: GaussianProcess, X: FloatArray, y: FloatArray, stds: FloatArray, memory: Mapping[str, Any] | None
) -> GaussianPosterior:
    """Fit on numpy arrays: X [n, d], y [n], stds [n] (NaN where unknown)."""
    tensors = [torch.from_numpy(np.ascontiguousarray(a, dtype=np.float64)) for a in (X, y, np.square(stds))]
    return model.fit(tensors[0], tensors[1], tensors[2], memory=memory)


def _checked(X: Tensor, y: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Float64 copies whose shapes belong together."""
    X, y = X.detach().to(torch.float64), y.detach().to(torch.float64)
    noise = torch.full_like(y, math.nan) if noise is None else noise.detach().to(torch.float64)
    problems: list[Problem] = list(_shape_problems(X, y, noise))
    if not problems and not bool(torch.isfinite(y).all()):
        problems.append(Problem("values must be finite", row=int((~torch.isfinite(y)).nonzero()[0, 0])))
    if not problems and not bool(torch.isfinite(X).all()):
        problems.append(Problem("features must be finite", row=int((~torch.isfinite(X)).nonzero()[0, 0])))
    if problems:
        raise InvalidInput("observations for a fit", problems)
    return X, y, noise


def _shape_problems(X: Tensor, y: Tensor, noise: Tensor) -> Sequence[Problem]:
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y) or noise.shape != y.shape:
        return [Problem(f"shapes {tuple(X.shape)}, {tuple(y.shape)} and {tuple(noise.shape)} do not belong together")]
    if not len(y) or not X.shape[1]:
        return [Problem("there is nothing to fit")]
    return []
