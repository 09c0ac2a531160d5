"""The evidence decides between models of a target, by how well each predicts every candidate from all others.

Each model of a short list is fitted, its leave-one-out predictions are made with hyperparameters that have not seen what
they predict, and the models are mixed by the weights under which these predictions were most likely: stacking of predictive
distributions (Yao, Vehtari, Simpson and Gelman, Bayesian Analysis 13, 917 (2018)). The weights of the iteration before count
as so many further observations, so that a campaign does not flip from one model to another and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from discover.surrogate.covariance import fitting
from discover.surrogate.covariance.asked import Asked
from discover.surrogate.diagnostics import ENOUGH, LeaveOneOut, groups_of, judged, log_density
from discover.surrogate.evidence.before import JOINT, NEGLIGIBLE, Before, in_shares
from discover.surrogate.evidence.joint import JointProcess, Told, held_out_with
from discover.surrogate.evidence.short_list import candidates, encodings
from discover.surrogate.gaussian.keeping import Kept
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.gaussian.process import GaussianProcess
from discover.surrogate.gaussian.weighted import Weighted
from discover.surrogate.inputs.layout import Layout
from discover.values import BoolArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    Observed = tuple[Tensor, Tensor, Tensor | None]
    """Features [n, d], values [n] and noise variances [n]."""

MANY = 100
FOLDS, FEWER = 5, 3
"""Folds in which predictions are made, up to MANY candidates and beyond."""
COMPARED = 500
"""Observations that models are compared on, evenly taken of those that there are."""


@dataclass(frozen=True)
class Evidence:
    """A surrogate that is a mixture of a few models, weighted by evidence.

    between: models that suit the features, or one kernel over each of the encodings of columns that are told in several ways.
    layout: which features belong together; without it they are numbers of which nothing is known. evaluations, starts, rows,
    chunk, keep: of each fit, see `GaussianProcess`; weights are kept with the hyperparameters. again: evaluations
    of a fit that begins where another ended. exact: beyond so many observations `alone` is fitted in its place. asked: the
    conditions that rows carry after their features, and which of them are asked about; its own features do not count.
    """

    layout: Layout | None = None
    between: Literal["models", "encodings"] = "models"
    evaluations: int = 100
    again: int = 25
    starts: int = 2
    rows: int = 300
    chunk: int = 2048
    keep: float = 0.0
    exact: int = 4000
    asked: Asked | None = None

    def fit(
        self, X: Tensor, y: Tensor, noise: Tensor | None = None, *, memory: Mapping[str, Any] | None = None
    ) -> Weighted:
        """X [n, d] scaled features, y [n] in the target's unit, noise [n] variances (NaN where unknown), n >= 1."""
        return self.compare(X, y, noise, np.arange(len(y)), memory)[0]

    def compare(
        self,
        X: Tensor,
        y: Tensor,
        noise: Tensor | None,
        rows: IntArray,
        memory: Mapping[str, Any] | None = None,
        measured: BoolArray | None = None,
        others: Sequence[Told] = (),
    ) -> tuple[Weighted, LeaveOneOut | None]:
        """The mixture, and what it is worth; None where there are too few candidates to compare anything.

        rows: [n], the candidate of each observation. memory: what the mixture before left. measured: [n], those
        that are judged, see `leave_one_out`. others: observations of further targets, which enter one more model: the
        best of the others, joined with them.
        """
        plain = self.asked is None and self.between == "models"
        joint = bool(others) and plain and len(y) + sum(len(o.y) for o in others) <= COMPARED
        models = self.models(X.shape[1], len(y)) | ({JOINT: self.alone} if joint else {})
        before = Before.of(memory, models, len(y))
        if (same := self._kept(before, X, y, noise)) is not None:
            return same, None
        some = fitting.evenly(len(y), COMPARED)
        whole, at = len(some) == len(y), torch.from_numpy(some)
        part = (X, y, noise) if whole else (X[at], y[at], None if noise is None else noise[at])
        groups = groups_of(rows[some])
        few = len(groups) < ENOUGH
        trial = self._apart(before, part, rows[some], groups, few)
        if not trial.held:
            name = next(iter(trial.fits))
            alone = before.models[name].fit(X, y, noise)
            return Weighted((alone,), (1.0,), (name,), before.left({}, {}, False)), None
        if joint and trial.told and JOINT in before.compared:
            trial = self._together(trial, before, part, rows, groups, others)
        weights = before.renewed(trial.densities, tuple(trial.held))
        shares = in_shares({name: w for name, w in weights.items() if name in trial.held and w >= NEGLIGIBLE})
        again = {} if whole else {n: self._whole(trial.held[n], before.models[n], X, y, noise) for n in shares}
        final = again or trial.held
        left = before.left(weights, {n: final.get(n, fit).memory() for n, fit in trial.fits.items()}, few)
        parts = tuple(final[name] for name in shares)
        record = _record(weights, trial, len(some), before)
        mixture = Weighted(parts, tuple(shares.values()), tuple(shares), left, record)
        if few:
            return mixture, None
        told = [trial.told[name] for name in shares]
        mine = None if measured is None else measured[some]
        return mixture, judged(trial.one, groups, told, list(shares.values()), mine)

    def _apart(self, before: Before, part: Observed, rows: IntArray, groups: list[IntArray], few: bool) -> Trial:
        """Every model that is compared, fitted and, but for few candidates, judged."""
        X, y, noise = part
        names = before.names[:1] if few and not before.weights else before.compared_alone
        fits = {name: before.models[name].fit(X, y, noise, memory=before.memory(name)) for name in names}
        held = {name: fit for name, fit in fits.items() if _holds(fit, before.models[name])}
        if few:
            return Trial(fits, held, {})
        told = {name: self._held_out(fit, groups, before.models[name], rows) for name, fit in held.items()}
        return Trial(fits, held, told)

    def _together(
        self,
        trial: Trial,
        before: Before,
        part: Observed,
        rows: IntArray,
        groups: list[IntArray],
        others: Sequence[Told],
    ) -> Trial:
        """Besides, the best model once more, with the observations of other targets."""
        X, y, noise = part
        model = JointProcess.of(before.models[trial.leading], X.shape[1], others, rows)
        fit = model.fit(X, y, noise, memory=before.memory(JOINT))
        if not _holds(fit, model):
            return trial
        told = self._held_out(fit, groups, model, rows)
        return Trial({**trial.fits, JOINT: fit}, {**trial.held, JOINT: fit}, {**trial.told, JOINT: told})

    def keeps(self, memory: Mapping[str, Any] | None, n: int) -> bool:
        """Whether the mixture of an earlier fit stays with n observations."""
        known = memory or {}
        names = [name for name, weight in known.get("weights", {}).items() if weight >= NEGLIGIBLE]
        fits = known.get("models", {})
        return bool(names) and JOINT not in names and all(self.alone.keeps(fits.get(name), n) for name in names)

    def _kept(self, before: Before, X: Tensor, y: Tensor, noise: Tensor | None) -> Weighted | None:
        """The mixture before, its priors and weights unchanged, after further observations; None where it may not be kept."""
        shares = {name: w for name, w in before.weights.items() if w >= NEGLIGIBLE}
        if self.keep <= 0 or not shares or JOINT in shares:
            return None
        if any(Kept.of(before.memory(name), self.keep, len(y)) is None for name in shares):
            return None
        parts = {name: before.models[name].fit(X, y, noise, memory=before.memory(name)) for name in shares}
        if not all(_holds(part, before.models[name]) for name, part in parts.items()):
            return None
        left = {"weights": dict(before.weights), "models": dict(before.fits), "age": before.age}
        return Weighted(tuple(parts.values()), tuple(in_shares(shares).values()), tuple(parts), left, {"kept": True})

    @property
    def alone(self) -> GaussianProcess:
        """The one model of more observations than can be held exactly."""
        plain = GaussianProcess(evaluations=self.evaluations, starts=self.starts, rows=self.rows, chunk=self.chunk)
        return replace(plain, keep=self.keep, exact=self.exact)

    def models(self, width: int, observations: int = 0) -> dict[str, GaussianProcess]:
        """The models that are compared after so many observations, by name."""
        plain, found = self.alone, {}
        layout = self.layout or Layout.plain(self.asked.width if self.asked else width)
        few = 0 if self.asked else observations
        forms = encodings(layout) if self.between == "encodings" else candidates(layout, few)
        for name, form in forms.items():
            if self.asked is not None:
                asking = replace(self.asked, features=form)
                found[name] = replace(plain, form=asking, name=f"{name} at {asking.words}")
            elif name in ("one", "each"):  # which a posterior can tell BoTorch, too
                found[name] = replace(plain, lengths="each" if name == "each" else "one")
            else:
                found[name] = replace(plain, form=form, name=name)
        return found

    def _held_out(
        self, fit: GaussianPosterior, groups: list[IntArray], model: GaussianProcess, rows: IntArray
    ) -> tuple[Tensor, Tensor]:
        warm = replace(model, starts=0, evaluations=self.again)
        return held_out_with(fit, groups, warm, rows, FOLDS if len(groups) <= MANY else FEWER)

    def _whole(
        self, fit: GaussianPosterior, model: GaussianProcess, X: Tensor, y: Tensor, noise: Tensor | None
    ) -> GaussianPosterior:
        """The same model after all observations."""
        return replace(model, starts=0, evaluations=self.again).fit(X, y, noise, memory=fit.memory())


@dataclass(frozen=True)
class Trial:
    """Models beside each other. fits: all that were fitted. held: those of them that are of their own form. told: mean and
    variance [n] of every observation from the other candidates; empty where there are too few to compare anything."""

    fits: Mapping[str, GaussianPosterior]
    held: Mapping[str, GaussianPosterior]
    told: Mapping[str, tuple[Tensor, Tensor]]

    @property
    def one(self) -> GaussianPosterior:
        """Some fit: all have the same observations and scale."""
        return next(iter(self.held.values()))

    @property
    def densities(self) -> Tensor | None:
        """Log densities of the observations [n, k], model by model; None where nothing was compared."""
        if not self.told:
            return None
        y = self.one.standard.apply(self.one.y)
        return torch.stack([log_density(y, mean, variance) for mean, variance in self.told.values()], dim=1)

    @property
    def leading(self) -> str:
        """The model that predicts best."""
        densities = self.densities
        assert densities is not None
        return list(self.told)[int(densities.sum(dim=0).argmax())]


def _holds(fit: GaussianPosterior, model: GaussianProcess) -> bool:
    """Whether a fit is of its own model, not of a simpler one that took its place."""
    return fit.found is not None and fit.form == model.form


def _record(weights: Mapping[str, float], trial: Trial, n: int, before: Before) -> dict[str, Any]:
    """What was compared, for the settings; plain JSON."""
    densities, told = trial.densities, trial.told
    mean = {} if densities is None else dict(zip(told, densities.mean(dim=0).tolist(), strict=True))
    failed = [name for name in before.compared if name not in trial.held and told]
    body: dict[str, Any] = {"observations": n, "all_weights": dict(weights), "log_density_per_observation": mean}
    rested = [name for name in before.models if name not in told]
    return body | ({"not_compared": rested} if rested else {}) | ({"failed": failed} if failed else {})
