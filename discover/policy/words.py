"""Why a candidate was chosen, in a sentence that a chemist understands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from discover.objective import Target
from discover.protocols import View
from discover.values import Prediction

if TYPE_CHECKING:
    from discover.acquisition.goal import Goal


def versions() -> dict[str, str]:
    """Versions of what computes a batch."""
    return {name: version(name) for name in ("torch", "botorch", "gpytorch", "numpy", "scipy")}


def amount(value: float, unit: str = "") -> str:
    """A number with its unit: three significant digits, and no power of ten where four to six figures say it."""
    text = f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def spread(prediction: Prediction, unit: str) -> str:
    """`298 ± 41 GPa`: the deviation in two digits, the mean to the same place."""
    if not prediction.std > 0 or not math.isfinite(prediction.std):
        return amount(prediction.mean, unit)
    places = 1 - math.floor(math.log10(prediction.std))
    if -4 <= places <= 8:
        places = max(0, places)
        return f"{prediction.mean:.{places}f} ± {prediction.std:.{places}f} {unit}".rstrip()
    return f"{prediction.mean:.3g} ± {prediction.std:.2g} {unit}".rstrip()


def best_value(view: View, target: Target) -> float | None:
    """The best value measured so far of a candidate that keeps the constraints; None without one."""
    training = view.training.get(target.name)
    if training is None:
        return None
    kept = np.ones(len(training), dtype=bool)
    for c in view.objective.constraints:
        told = training if c.target == target.name else view.training.get(c.target)
        if c.target == target.name:
            kept &= [c.holds(value) for value in training.values]
        else:
            broken = {int(row) for row, value in zip(told.rows, told.values) if not c.holds(value)} if told else set()
            known = set(told.rows.tolist()) - broken if told else set()
            kept &= [int(row) in known for row in training.rows]
    values = training.values[kept]
    return float(values[np.argmax(target.utility(values))]) if len(values) else None


def reason(view: View, predicted: Mapping[str, Prediction], rank: int, of: int, score: str, goal: Goal) -> str:
    """One sentence: what is hoped for with which probability, what is predicted, and where it ranks."""
    place = f"rank {rank:,} of {of:,} by {score}"
    pending = f"; {len(view.pending)} pending taken into account" if len(view.pending) else ""
    if goal.single is not None:
        target = goal.single
        prediction = predicted[target.name]
        hope = _hope(target, prediction, best_value(view, target))
        return f"{hope}: predicted {spread(prediction, target.unit)}; {place}{pending}"
    beliefs = ", ".join(f"{name} {spread(predicted[name], unit)}" for name, unit in view.objective.units.items())
    if goal.reference:
        return f"expected to push the front of {_listed(view)} outwards: predicted {beliefs}; {place}{pending}"
    weights = ", ".join(f"{t.name} {weight:.2f}" for t, weight in zip(view.objective.targets, goal.weights))
    return f"expected to improve the targets weighted {weights}: predicted {beliefs}; {place}{pending}"


def _listed(view: View) -> str:
    names = [target.name for target in view.objective.targets]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _hope(target: Target, prediction: Prediction, best: float | None) -> str:
    """What is expected of one target, with its probability."""
    if best is None:
        return "nothing measured keeps the constraints yet; expected to keep them"
    if target.direction == "maximize":
        chance = _above(best, prediction)
        return f"expected to exceed the best so far ({amount(best, target.unit)}) with probability {_chance(chance)}"
    if target.direction == "minimize":
        chance = 1.0 - _above(best, prediction)
        return (
            f"expected to fall below the best so far ({amount(best, target.unit)}) with probability {_chance(chance)}"
        )
    low, high = target.band if target.band is not None else (target.value, target.value)
    assert low is not None
    assert high is not None
    distance = -float(target.utility(np.float64(best)))
    chance = _above(low - distance, prediction) - _above(high + distance, prediction)
    if distance == 0 and high > low:
        return (
            f"expected to lie between {amount(low)} and {amount(high, target.unit)} with probability {_chance(chance)}"
        )
    goal = amount(low, target.unit) if low == high else f"the band {amount(low)} to {amount(high, target.unit)}"
    return f"expected to lie nearer to {goal} than the best so far ({amount(best, target.unit)}) with probability {_chance(chance)}"


def _above(limit: float, prediction: Prediction) -> float:
    """Probability that the outcome lies above a limit."""
    if prediction.std == 0.0:  # values so small that their deviation is none in double precision
        return 0.5 * float((prediction.mean > limit) + (prediction.mean >= limit))
    return 0.5 * math.erfc((limit - prediction.mean) / (prediction.std * math.sqrt(2.0)))


def _chance(p: float) -> str:
    return "below 0.01" if p < 0.01 else f"{p:.2f}"
