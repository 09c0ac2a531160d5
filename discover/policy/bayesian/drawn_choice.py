"""Thompson sampling over a pool: each candidate of a batch is the best in a function drawn from the belief."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from discover.acquisition.paths import Paths
from discover.policy.bayesian.one_target import OneTarget
from discover.policy.ranking import Chosen, Ranking
from discover.surrogate.gaussian.posterior import GaussianPosterior
from discover.surrogate.posterior import TargetPosterior
from discover.values import FloatArray, IntArray

LEADING = 500
"""Candidates that compete when the chance of a draw's choice is estimated."""
CHANCES = 1024
"""Draws from which it is."""
JOINTLY = 1000
"""Leading candidates over which a belief is drawn that has no spectral density."""
Drawn = tuple[IntArray, FloatArray]
"""Of several draws, each one's leading places [draws, k] among the free rows, best first, and their values."""


def drawn(case: OneTarget, n: int, generator: np.random.Generator) -> tuple[Ranking, Chosen]:
    """The best candidate in each of n functions drawn from the belief, of those that no earlier draw has taken.

    Under constraints what they are about is drawn with it, and the best is that of those that keep them in the draw; so is
    whether each succeeds, where that is learned.
    """
    if case.chance is not None:
        leading = _leading(case, JOINTLY)
        values = _kept_values(case, leading, n, generator)
        order = np.argsort(-values, axis=1, kind="stable")[:, :n]
        parts = [(leading[order], case.sign * np.take_along_axis(values, order, axis=1))]
    else:
        shares = np.asarray(case.posterior.weights)
        counts = generator.multinomial(n, shares / shares.sum())
        parts = [_draws(case, part, int(c), n, generator) for part, c in zip(case.posterior.components, counts) if c]
    places, values = _distinct(case, parts)
    if not len(places):
        return case.ranking(np.zeros(len(case.free)), places, "value in a drawn function", "nothing may be chosen"), []
    chance = _chance(case, places, generator)
    scores = np.full(len(case.free), np.nan)
    scores[places] = values
    words, how = "value in a function drawn from the belief", "one function drawn for each"
    ranking = case.ranking(scores, places, words, how, draws=n, chance_from_draws=CHANCES)
    ranking = replace(ranking, probability=None if case.view.limits.binding else chance)
    return ranking, [(place, float(value)) for place, value in enumerate(values)]


def _draws(case: OneTarget, part: TargetPosterior, count: int, keep: int, generator: np.random.Generator) -> Drawn:
    """Functions drawn from one component: over the whole pool where it has a spectral density, else over leading rows."""
    if isinstance(part, GaussianPosterior) and _has_density(part):
        paths = Paths.drawn(part, count, generator)
        return paths.leaders(
            lambda at: case.scaled(case.free[at]), len(case.free), case.sign, keep, chunk=case.policy.chunk
        )
    leading = _leading(case, JOINTLY)
    values = case.sign * part.sample(case.scaled(case.free[leading]), count, generator).numpy()
    order = np.argsort(-values, axis=1, kind="stable")[:, :keep]
    return leading[order], case.sign * np.take_along_axis(values, order, axis=1)


def _has_density(part: GaussianPosterior) -> bool:
    return part.state is not None and part.covariance.straight.stationary is not None


def _kept_values(case: OneTarget, places: IntArray, count: int, generator: np.random.Generator) -> FloatArray:
    """The target in joint draws [count, k] at some places [k], turned; what breaks a constraint in a draw comes after all
    that keeps them, the likelier to keep them first."""
    X = case.scaled(case.free[places])
    names = case.view.objective.names
    told = {name: torch.as_tensor(case.held.posteriors[name].sample(X, count, generator)) for name in names}
    values = case.sign * told[case.name].numpy()
    chance = case.chance_at(case.free[places]).numpy()
    span = max(float(np.ptp(values)), 1e-12)
    kept = case.goal.feasible(told).numpy()
    success = case.success_at(case.free[places])
    if success is not None:
        kept &= generator.random(kept.shape) < success.numpy()
    return np.where(kept, values, values.min() - span * (2.0 - chance))


def _leading(case: OneTarget, count: int) -> IntArray:
    """Places of the free rows with the largest mean + two deviations, ascending; under constraints of the likelier half."""
    hope = (case.mean + 2.0 * case.deviation).numpy()
    if case.chance is not None:
        chance = case.chance.numpy()
        hope = np.where(chance >= np.quantile(chance, 0.5), hope, -np.inf)
    return np.sort(np.argsort(-hope, kind="stable")[:count])


def _distinct(case: OneTarget, parts: list[Drawn]) -> tuple[IntArray, FloatArray]:
    """For each draw in turn the best place that no earlier one took and that may join them, and its value."""
    found: dict[int, float] = {}
    for places, values in parts:
        for row, value in zip(places, values, strict=True):
            fine = case.view.limits.allowed(case.free[row], case.free[list(found)].tolist())
            for place, one, may in zip(row.tolist(), value.tolist(), fine.tolist(), strict=True):
                if may and place not in found:
                    found[place] = one
                    break
    return np.array(list(found), dtype=np.int64), np.array(list(found.values()))


def _chance(case: OneTarget, places: IntArray, generator: np.random.Generator) -> FloatArray:
    """The chance [k] of each place to be in such a batch: how often it is the best of the leading ones in further draws."""
    rivals = np.union1d(_leading(case, LEADING), places)
    if case.chance is not None:
        best = _kept_values(case, rivals, CHANCES, generator).argmax(axis=1)
    else:
        values = case.posterior.sample(case.scaled(case.free[rivals]), CHANCES, generator)
        best = torch.as_tensor(case.sign * values).argmax(dim=1).numpy()
    winners = np.bincount(best, minlength=len(rivals)) / CHANCES
    alone = winners[np.searchsorted(rivals, places)]
    return 1.0 - (1.0 - np.maximum(alone, 0.5 / CHANCES)) ** len(places)
