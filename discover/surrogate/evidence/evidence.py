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

from discover.surrogate.covariance.asked import Asked
from discover.surrogate.diagnostics import ENOUGH, LeaveOneOut, groups_of, judged, log_density
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

JOINT = "joint"
"""The model that other targets enter, too."""
INERTIA = 8.0
"""Observations that the weights before count as; at first all models weigh the same."""
RETURN = 0.1
"""The share of those weights that goes to all models alike, so that one that had lost may come back."""
NEGLIGIBLE = 0.02
"""A model of less weight is left out of the mixture."""
REST = 5
"""Models that were left out are compared again in one of so many iterations,"""
ALWAYS = 40
"""and always up to so many observations."""
MANY = 100
"""Candidates up to which predictions are made in FIVE folds; beyond, in fewer."""
FOLDS = 5
FEWER = 3
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
        some = np.linspace(0, len(y) - 1, min(len(y), COMPARED)).round().astype(np.int64)
        groups = groups_of(rows[some])
        few = len(groups) < ENOUGH
        names = before.names[:1] if few and not before.weights else [name for name in before.compared if name != JOINT]
        whole = len(some) == len(y)
        at = torch.from_numpy(some)
        part = (X, y, noise) if whole else (X[at], y[at], None if noise is None else noise[at])
        fits = {name: before.models[name].fit(*part, memory=before.memory(name)) for name in names}
        held = {name: fit for name, fit in fits.items() if _holds(fit, before.models[name])}
        if not held:
            name = names[0]
            alone = Weighted((before.models[name].fit(X, y, noise),), (1.0,), (name,), before.left({}, {}, False))
            return alone, None
        told = (
            {}
            if few
            else {name: self._held_out(fit, groups, before.models[name], rows[some]) for name, fit in held.items()}
        )
        if told and joint and JOINT in before.compared:
            model = JointProcess.of(before.models[_leading(held, told)], X.shape[1], others, rows)
            fit = model.fit(X, y, noise, memory=before.memory(JOINT))
            if _holds(fit, model):
                held[JOINT] = fits[JOINT] = fit
                told[JOINT] = self._held_out(fit, groups, model, rows)
        weights = before.renewed(_densities(next(iter(held.values())), told), tuple(held))
        kept = {name: w for name, w in weights.items() if name in held and w >= NEGLIGIBLE}
        total = sum(kept.values())
        shares = {name: w / total for name, w in kept.items()}
        final = held if whole else {name: self._whole(held[name], before.models[name], X, y, noise) for name in shares}
        mixture = Weighted(
            tuple(final[name] for name in shares),
            tuple(shares.values()),
            tuple(shares),
            before.left(weights, {name: final.get(name, fit).memory() for name, fit in fits.items()}, few),
            _record(weights, told, held, len(some), before),
        )
        if few:
            return mixture, None
        mine = None if measured is None else measured[some]
        return mixture, judged(
            next(iter(held.values())), groups, [told[name] for name in shares], list(shares.values()), mine
        )

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
        total = sum(shares.values())
        weights = tuple(w / total for w in shares.values())
        left = {"weights": dict(before.weights), "models": dict(before.fits), "age": before.age}
        return Weighted(tuple(parts.values()), weights, tuple(parts), left, {"kept": True})

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
class Before:
    """What the iteration before knew. weights: of models that exist still. age: iterations since all were compared."""

    models: Mapping[str, GaussianProcess]
    weights: Mapping[str, float]
    fits: Mapping[str, Any]
    age: int
    n: int

    @classmethod
    def of(cls, memory: Mapping[str, Any] | None, models: Mapping[str, GaussianProcess], n: int) -> Before:
        memory = memory or {}
        weights = {name: float(memory.get("weights", {}).get(name, 0.0)) for name in models}
        total = sum(weights.values())
        known = {name: w / total for name, w in weights.items()} if total > 0 else {}
        return cls(models, known, memory.get("models", {}), int(memory.get("age", 0)), n)

    @property
    def names(self) -> list[str]:
        """All models."""
        return list(self.models)

    @property
    def whole(self) -> bool:
        """Whether all are compared this time."""
        return not self.weights or self.n <= ALWAYS or self.age + 1 >= REST

    @property
    def compared(self) -> list[str]:
        """Those that are compared this time."""
        return [name for name in self.models if self.whole or self.weights[name] >= NEGLIGIBLE]

    def memory(self, name: str) -> Mapping[str, Any] | None:
        """Where the fit of a model may start."""
        return self.fits.get(name)

    def renewed(self, densities: Tensor | None, names: tuple[str, ...]) -> dict[str, float]:
        """Weights of all models after log densities [n, k] of those that were compared."""
        flat = 1.0 / len(self.models)
        prior = {
            name: (1.0 - RETURN) * self.weights[name] + RETURN * flat if self.weights else flat for name in self.models
        }
        if densities is None:
            return {name: (self.weights.get(name, 0.0) if self.weights else float(name == names[0])) for name in prior}
        share = sum(prior[name] for name in names)
        start = torch.tensor([prior[name] / share for name in names], dtype=torch.float64)
        found = dict(zip(names, stacked(densities, start).tolist(), strict=True))
        return {name: found.get(name, 0.0) for name in prior}

    def left(self, weights: Mapping[str, float], fits: Mapping[str, Any], few: bool) -> dict[str, Any]:
        """What the next iteration takes from this one; plain JSON."""
        known = {} if few and not self.weights else (weights or self.weights)
        age = 0 if self.whole else self.age + 1
        return {"weights": dict(known), "models": {**self.fits, **fits}, "age": age}


def stacked(densities: Tensor, prior: Tensor, inertia: float = INERTIA, steps: int = 500) -> Tensor:
    """Weights [k] that make Σ log Σ weight·density + inertia Σ prior·log weight greatest: log densities [n, k], prior [k].

    By expectation maximisation, which never descends; the objective is concave.
    """
    weights = prior.clone()
    for _ in range(steps):
        owned = (densities + weights.log()).softmax(dim=1).sum(dim=0)
        fresh = (owned + inertia * prior) / (len(densities) + inertia)
        if float((fresh - weights).abs().max()) < 1e-10:
            break
        weights = fresh
    return weights


def _holds(fit: GaussianPosterior, model: GaussianProcess) -> bool:
    """Whether a fit is of its own model, not of a simpler one that took its place."""
    return fit.found is not None and fit.form == model.form


def _leading(held: Mapping[str, GaussianPosterior], told: Mapping[str, tuple[Tensor, Tensor]]) -> str:
    """The model that predicts best."""
    densities = _densities(next(iter(held.values())), told)
    assert densities is not None
    return list(told)[int(densities.sum(dim=0).argmax())]


def _densities(fit: GaussianPosterior, told: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor | None:
    if not told:
        return None
    y = fit.standard.apply(fit.y)
    return torch.stack([log_density(y, mean, variance) for mean, variance in told.values()], dim=1)


def _record(
    weights: Mapping[str, float],
    told: Mapping[str, tuple[Tensor, Tensor]],
    held: Mapping[str, GaussianPosterior],
    n: int,
    before: Before,
) -> dict[str, Any]:
    """What was compared, for the settings; plain JSON."""
    densities = _densities(next(iter(held.values())), told)
    mean = {} if densities is None else dict(zip(told, densities.mean(dim=0).tolist(), strict=True))
    failed = [name for name in before.compared if name not in held and len(told)]
    body: dict[str, Any] = {"observations": n, "all_weights": dict(weights), "log_density_per_observation": mean}
    rested = [name for name in before.models if name not in told]
    return body | ({"not_compared": rested} if rested else {}) | ({"failed": failed} if failed else {})
