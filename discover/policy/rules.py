"""Stopping rules that look at what was found and at what is still believed; each gives its evidence.

`standing` carries what a view does not: the order in which values came, and what is believed of the candidates that are left.
Where outcomes are constrained, what breaks a constraint is no best value, and what a candidate promises counts by the
probability that it keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import InvalidInput, Problem, Unsupported
from discover.kinds import typed
from discover.objective import Objective, Target
from discover.policy.words import amount
from discover.protocols import View
from discover.values import Advice, FloatArray, IntArray

if TYPE_CHECKING:
    from discover.acquisition.weights import Weights
    from discover.policy.outlook import Outlook

SLIP = 1e-3
"""The share of a number of hits within which it is worked out; all of it, where that might decide."""


@dataclass(frozen=True)
class Standing:
    """How a campaign stands.

    values: of the first target, one an experiment, in the order in which they came; NaN where there was none, or where a
    constraint was not kept. outlook: what is believed of the candidates; None where there is no model.
    """

    values: tuple[float, ...] = ()
    outlook: Callable[[], Outlook | None] = lambda: None


def _only(objective: Objective, what: str) -> Target:
    if len(objective.targets) != 1 or objective.targets[0].direction == "match":
        raise Unsupported(f"the stopping rule {what!r} needs one target that is maximized or minimized")
    return objective.targets[0]


def _alone(objective: Objective, what: str) -> Target:
    if len(objective.targets) != 1:
        raise Unsupported(f"the stopping rule {what!r} needs one target")
    return objective.targets[0]


def _positive(kind: str, **given: float) -> None:
    problems = [
        Problem("must be a number above 0", column=name, value=value)
        for name, value in given.items()
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0)
    ]
    if problems:
        raise InvalidInput(f"stop: {kind}", problems)


@dataclass(frozen=True)
@typed
class TargetReached:
    """Stop once a measured value is as good as `value`, in the target's unit.

    Where a value or a band is to be matched, `value` is how far from it is near enough: 0 for inside the band.
    """

    value: float

    def check(self, objective: Objective) -> None:
        """Unsupported for several targets; InvalidInput for a distance below 0."""
        if _alone(objective, "target-reached").direction == "match" and self.value < 0:
            problem = Problem("a distance must be at least 0", column="value", value=self.value)
            raise InvalidInput("stop: target-reached", [problem])

    def advise(self, view: View, standing: Standing) -> Advice:
        """The best value against the wanted one."""
        target = _alone(view.objective, "target-reached")
        known = np.array([v for v in standing.values if not math.isnan(v)])
        near = target.direction == "match"
        wanted = f"{'at most ' if near else ''}{amount(self.value, target.unit)}{' from the aim' if near else ''}"
        if not len(known):
            return Advice(False, f"nothing was measured yet; wanted is {wanted}", {"wanted": self.value})
        best = float(known[np.argmax(target.utility(known))])
        least = -self.value if near else float(target.utility(self.value))
        stop = bool(float(target.utility(best)) >= least)
        text = f"the best value is {amount(best, target.unit)}; wanted is {wanted}"
        return Advice(stop, text, {"best": best, "wanted": self.value})


@dataclass(frozen=True)
@typed
class NoImprovement:
    """Stop once the best value has not risen by more than `by` within the last `experiments` experiments."""

    experiments: int
    by: float = 0.0

    def __post_init__(self) -> None:
        _positive("no-improvement", experiments=self.experiments)
        if not self.by >= 0:
            raise InvalidInput("stop: no-improvement", [Problem("must be at least 0", column="by", value=self.by)])

    def check(self, objective: Objective) -> None:
        """Unsupported for several targets."""
        _only(objective, "no-improvement")

    def advise(self, view: View, standing: Standing) -> Advice:
        """How long ago, and by how much, the best value was beaten last."""
        target = _only(view.objective, "no-improvement")
        values = _sign(target) * np.array(standing.values, dtype=float)
        curve = np.fmax.accumulate(values) if len(values) else values
        if len(curve) <= self.experiments or math.isnan(curve[-self.experiments - 1]):
            text = f"{len(curve)} experiments; the rule looks back over {self.experiments}"
            return Advice(False, text, {"experiments": float(len(curve))})
        gain = float(curve[-1] - curve[-self.experiments - 1])
        risen = amount(gain, target.unit)
        text = f"the best value got better by {risen} in the last {self.experiments} experiments"
        return Advice(gain <= self.by, text, {"gain": gain, "experiments": float(self.experiments)})


@dataclass(frozen=True)
@typed
class ImprovementBelow:
    """Stop once no candidate promises an expected improvement of `value` or more, in the target's unit.

    With the price of an experiment expressed in that unit this is the rule of Nguyen et al. (ACML 2017): go on as long as an
    experiment promises more than it costs. per_cost: whether the limit holds for the improvement per unit of what each
    candidate is known to cost.
    """

    value: float
    per_cost: bool = False

    def __post_init__(self) -> None:
        _positive("improvement-below", value=self.value)

    def check(self, objective: Objective) -> None:
        """Unsupported for several targets."""
        _only(objective, "improvement-below")

    def advise(self, view: View, standing: Standing) -> Advice:
        """The largest expected improvement among the candidates that are left."""
        from discover.acquisition.bounded import Improvement

        target = _only(view.objective, "improvement-below")
        if (ahead := _ahead(view, standing, target, "to expect anything by")).outlook is None:
            return Advice(False, ahead.words)
        outlook, seen, free = ahead.outlook, ahead.seen, ahead.free
        per, costs = (" per unit of cost", view.limits.prices()) if self.per_cost else ("", None)
        if self.per_cost and costs is None:
            return Advice(False, "what candidates cost is not known: the policy's term `cost` says it")
        sign = _sign(target)
        incumbent = float((sign * outlook.at(target.name, seen)[0]).max())
        score, weights = Improvement(incumbent, sign, pooled=True), _weights(outlook, view.objective, costs)
        largest = math.exp(outlook.greatest(target.name, score, free, weights))
        weighed = ", weighed by the probability that it keeps the constraints," if view.objective.constraints else ""
        text = (
            f"the most that a candidate promises{weighed} is an improvement of {amount(largest, target.unit)}{per}; "
            f"the limit is {amount(self.value, target.unit)}{per}"
        )
        return Advice(largest < self.value, text, {"largest": largest, "limit": self.value})


@dataclass(frozen=True)
@typed
class RegretBelow:
    """Stop once, with `confidence`, no candidate that is left beats the best one by more than `value`.

    The bound is the largest upper limit among the candidates that are left minus the lower limit of the best one, under the
    model, with the deviations wide enough for all candidates at once (a union bound). After Makarova et al. (AutoML 2022).
    """

    value: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _positive("regret-below", value=self.value)
        if not 0 < self.confidence < 1:
            wrong = Problem("must lie between 0 and 1", column="confidence", value=self.confidence)
            raise InvalidInput("stop: regret-below", [wrong])

    def check(self, objective: Objective) -> None:
        """Unsupported for several targets."""
        _only(objective, "regret-below")

    def advise(self, view: View, standing: Standing) -> Advice:
        """The bound on what may still be gained."""
        from discover.acquisition.bounded import Confidence
        from discover.policy.outlook import may_keep

        target, constrained = _only(view.objective, "regret-below"), view.objective.limits
        if (ahead := _ahead(view, standing, target, "to bound the regret by")).outlook is None:
            return Advice(False, ahead.words)
        outlook, seen, free = ahead.outlook, ahead.seen, ahead.free
        limits = (len(free) + 1) * (1 + len(constrained))
        wide, sign = NormalDist().inv_cdf(1 - (1 - self.confidence) / limits), _sign(target)
        mean, deviation = outlook.at(target.name, seen)
        limit = Confidence(wide * wide, sign, float(np.ptp(mean)) or 1.0)
        best, free = float((sign * mean - wide * deviation).max()), may_keep(outlook, view.objective, free, wide)
        if not len(free):
            text = f"with {self.confidence:.0%} confidence no candidate that is left keeps the constraints"
            return Advice(True, text, {"bound": 0.0, "limit": self.value, "deviations": wide})
        bound = outlook.greatest(target.name, limit, free) - best
        keeping = "keeps the constraints and " if constrained else ""
        text = (
            f"with {self.confidence:.0%} confidence no candidate that is left {keeping}is better than the best by more than "
            f"{amount(max(bound, 0.0), target.unit)}; the limit is {amount(self.value, target.unit)}"
        )
        return Advice(bound < self.value, text, {"bound": bound, "limit": self.value, "deviations": wide})


@dataclass(frozen=True)
@typed
class HitsBelow:
    """Stop once the expected number of hits that are left is below `count`.

    Hits are candidates at least as good as `threshold`, or where a band is to be matched those that lie in it, which keep
    the constraints. Where the
    campaign has a budget of experiments, only the likeliest count that it can still try.
    """

    threshold: float | None = None
    count: float = 1.0

    def __post_init__(self) -> None:
        _positive("hits-below", count=self.count)

    def check(self, objective: Objective) -> None:
        """Unsupported for several targets, without a threshold, and for a threshold beside a band."""
        target = _alone(objective, "hits-below")
        if (target.band is None) == (self.threshold is None) or (target.direction == "match" and target.band is None):
            raise Unsupported("the stopping rule 'hits-below' needs a threshold, or an objective that is a band")

    def advise(self, view: View, standing: Standing) -> Advice:
        """The sum of the probabilities of the candidates that are left."""
        self.check(view.objective)
        target = view.objective.targets[0]
        if (ahead := _ahead(view, standing, target, "to expect hits by", kept=False)).outlook is None:
            return Advice(False, ahead.words)
        free = ahead.free
        tries = len(free) if view.remaining is None else min(view.remaining, len(free))
        left = self._expected(ahead.outlook, view.objective, free, tries)
        among = f"the {len(free):,} candidates that are left"
        if tries < len(free):
            among = f"the likeliest {tries:,} of {among}, as many as the budget allows"
        keeping = " that keep the constraints" if view.objective.constraints else ""
        text = f"{left:.2g} hits{keeping} are expected among {among}; the limit is {self.count:g}"
        return Advice(left < self.count, text, {"expected": left, "limit": self.count, "tries": float(tries)})

    def _expected(self, outlook: Outlook, objective: Objective, free: IntArray, tries: int) -> float:
        """The hits among the `tries` likeliest of free rows. Candidates of no hope are not looked at, unless they might decide."""
        from discover.acquisition.bounded import Chance

        target, weights = objective.targets[0], _weights(outlook, objective)
        if target.band is not None:
            chance = Chance(*target.band)
        else:
            assert self.threshold is not None
            chance = Chance(low=self.threshold) if target.direction == "maximize" else Chance(high=self.threshold)
        slip = SLIP * self.count
        level = math.log(slip / len(free))
        left = _sum_of_largest(np.exp(outlook.above(target.name, chance, free, level, weights)), tries)
        if left < self.count <= left + slip:
            left = _sum_of_largest(np.exp(outlook.above(target.name, chance, free, -math.inf, weights)), tries)
        return left


@dataclass(frozen=True)
class _Ahead:
    """What a rule looks at: the outlook, rows that were seen and count, rows that are free; or words why it cannot."""

    outlook: Outlook | None
    seen: IntArray
    free: IntArray
    words: str = ""


def _ahead(view: View, standing: Standing, target: Target, purpose: str, *, kept: bool = True) -> _Ahead:
    """kept: whether something that was seen must keep the constraints, by what is believed of it."""
    from discover.policy.outlook import may_keep

    seen, free = _seen(view, target), np.flatnonzero(~view.blocked)
    if view.ground is not None and view.ground.region.listing is None:
        words = "the space has more points than can be listed, and this rule looks at every one that is left"
        return _Ahead(None, seen, free, words)
    outlook = standing.outlook()
    if outlook is None or not len(seen) or not len(free):
        words = f"there is no model yet {purpose}" if len(free) else "no candidate is left"
        return _Ahead(None, seen, free, words)
    if kept and not len(seen := may_keep(outlook, view.objective, seen)):
        return _Ahead(None, seen, free, "nothing that was measured keeps the constraints yet")
    return _Ahead(outlook, seen, free)


def _weights(outlook: Outlook, objective: Objective, costs: FloatArray | None = None) -> Weights:
    """What scores are weighed by: the probability that constraints are kept, and costs [N]."""
    from discover.acquisition.weights import Weights
    from discover.policy.outlook import log_kept

    return Weights(partial(log_kept, outlook, objective) if objective.constraints else None, costs)


def _sum_of_largest(values: FloatArray, count: int) -> float:
    return float(np.sort(values)[max(0, len(values) - count) :].sum())


def _sign(target: Target) -> float:
    """What values are multiplied by so that large is good."""
    return 1.0 if target.direction == "maximize" else -1.0


def _seen(view: View, target: Target) -> IntArray:
    """Rows with an observation of a target, ascending."""
    return np.unique(view.training[target.name].rows) if target.name in view.training else np.empty(0, dtype=np.int64)
