"""Targets that tell of one another: one Gaussian process over the observations of all, each candidate measured in any of them.

Intrinsic coregionalisation (Bonilla, Chai and Williams, NeurIPS 2007) as seen from one target: the others enter as
observations under another condition, standardised and turned so that they rise with it. What the kernel of conditions leaves
of their correlation is fitted. Exact, with whatever is missing missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from discover.surrogate.covariance.asked import Asked
from discover.surrogate.covariance.fitted import Covariance
from discover.surrogate.covariance.forms import Form, Radial
from discover.surrogate.diagnostics import held_out
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.standard import Standard
from discover.values import IntArray

if TYPE_CHECKING:
    from torch import Tensor

COMMON = 5
"""Candidates measured in both targets from which on it is known whether they rise together."""
UNIT = math.sqrt(1.0 / 6.0)
"""How far apart two targets are before a length-scale is fitted: as two random values of a scaled feature."""


@dataclass(frozen=True)
class Told:
    """Observations of one target: X [n, k] scaled features, y [n], noise [n] variances (NaN unknown), rows [n] candidates."""

    X: Tensor
    y: Tensor
    noise: Tensor
    rows: IntArray


@dataclass(frozen=True)
class JointPosterior(GaussianPosterior):
    """The belief about one target after its own observations and those of others; all else as its parent.

    `state` is None, though there is a model: the factors of `inner` are over the observations of all targets.
    """

    inner: GaussianPosterior | None = None

    @property
    def whole(self) -> GaussianPosterior:
        """The Gaussian process over all observations, in the unit of this target."""
        assert self.inner is not None
        return self.inner

    @property
    def noise_variance(self) -> float:
        """Variance of a further observation about the noiseless target, in its unit squared."""
        return self.whole.noise_variance

    @cached_property
    def covariance(self) -> Covariance:
        """The prior covariance of the standardised target of `whole`."""
        return self.whole.covariance

    def settings(self) -> dict[str, Any]:
        """Kernel and hyperparameters, for the record; plain JSON."""
        return self.whole.settings()

    def _marginal(self, X: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = self.whole._marginal(X)
        return self._own(mean, variance)

    def _joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        mean, covariance = self.whole._joint(X)
        return self._own(mean, covariance)

    def _own(self, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """From the scale of all observations to that of this target's."""
        theirs, ratio = self.whole.standard, self.whole.standard.scale / self.standard.scale
        return (theirs.shift - self.standard.shift) / self.standard.scale + ratio * mean, covariance * ratio * ratio

    def held_out(
        self, groups: list[IntArray], model: JointProcess, rows: IntArray, folds: int
    ) -> tuple[Tensor, Tensor]:
        """As `diagnostics.held_out`, each candidate without what is known of it in any target."""
        theirs = np.concatenate([other.rows for other in model.others])
        n = len(self.y)
        stacked = [np.concatenate([g, n + np.flatnonzero(theirs == rows[g[0]])]) for g in groups]
        mean, variance = held_out(self.whole, stacked, model.plain, folds)
        return self._own(mean[:n], variance[:n])


@dataclass(frozen=True)
class JointProcess(GaussianProcess):
    """How to fit one target together with `others`. rows_told: [n], the candidates of its own observations."""

    others: tuple[Told, ...] = ()
    rows_told: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: GaussianProcess, width: int, others: Sequence[Told], rows: IntArray) -> JointProcess:
        """The model, of `width` features, with other targets beside it. rows: [n], the candidates of its own observations."""
        features: Form = model.form or Radial.whole(model.kernel, width, each=model.lengths == "each")
        columns = tuple(range(width, width + len(others)))
        apart = Radial.over("matern", columns, each=True, width=width + len(others), name="targets")
        form = Asked(features, apart, width, (0.0,) * len(others), "this target")
        return cls(
            evaluations=model.evaluations, starts=model.starts, rows=model.rows, chunk=model.chunk, form=form,
            name=f"joint over {model.name or model.lengths}", others=tuple(others), rows_told=tuple(rows.tolist()),
        )  # fmt: skip

    @property
    def plain(self) -> GaussianProcess:
        """The Gaussian process over all observations."""
        return GaussianProcess(
            evaluations=self.evaluations, starts=self.starts, rows=self.rows, chunk=self.chunk, form=self.form,
            name=self.name,
        )  # fmt: skip

    def fit(
        self, X: Tensor, y: Tensor, noise: Tensor | None = None, *, memory: Mapping[str, Any] | None = None
    ) -> GaussianPosterior:
        """X [n, d], y [n], noise [n] of this target; see `GaussianProcess.fit`."""
        noise = torch.full_like(y, math.nan) if noise is None else noise
        standard = Standard.of(y)
        Xs, ys, noises = [_beside(X, len(self.others), None)], [y], [noise]
        for k, other in enumerate(self.others):
            scale = Standard.of(other.y)
            turned = scale.apply(other.y) * _sense(np.array(self.rows_told), y, other)
            Xs.append(_beside(other.X, len(self.others), k))
            ys.append(standard.shift + standard.scale * turned)
            noises.append(other.noise * (standard.scale / scale.scale) ** 2)
        inner = self.plain.fit(torch.cat(Xs), torch.cat(ys), torch.cat(noises), memory=memory)
        known = noise / standard.scale / standard.scale
        return JointPosterior(
            X, y, standard, known, inner.found, None, self.chunk, inner.notes, inner.form, inner=inner
        )


def held_out_with(
    fit: GaussianPosterior, groups: list[IntArray], model: GaussianProcess, rows: IntArray, folds: int
) -> tuple[Tensor, Tensor]:
    """`held_out` of one model or of a joint one. rows: [n], the candidate of each observation."""
    if isinstance(fit, JointPosterior) and isinstance(model, JointProcess):
        return fit.held_out(groups, replace(model, starts=0), rows, folds)
    return held_out(fit, groups, model, folds)


def _beside(X: Tensor, others: int, place: int | None) -> Tensor:
    """Features [n, k] and the columns of targets: nothing for the one that is asked about."""
    columns = torch.zeros(len(X), others, dtype=X.dtype)
    if place is not None:
        columns[:, place] = UNIT
    return torch.cat([X, columns], dim=1)


def _sense(rows: IntArray, y: Tensor, other: Told) -> float:
    """Whether two targets rise together, 1 or -1, by the rank correlation of candidates that were measured in both."""
    from scipy.stats import spearmanr

    both = np.intersect1d(rows, other.rows)
    if len(both) < COMMON:
        return 1.0
    means = [
        [values[at == row].mean() for row in both] for at, values in ((rows, y.numpy()), (other.rows, other.y.numpy()))
    ]
    if any(np.ptp(values) == 0.0 for values in means):
        return 1.0
    found = spearmanr(*means).statistic
    return -1.0 if found < 0 else 1.0
