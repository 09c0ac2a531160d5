"""Rules of bandits: from what is known of arms to the chance with which each is the next.

UCB1 and UCB1-tuned: Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 235 (2002). Bayes-UCB: Kaufmann, Cappé and Garivier,
AISTATS 2012. Thompson sampling: Thompson, Biometrika 25, 285 (1933). Successive elimination: Even-Dar, Mannor and Mansour, JMLR
7, 1079 (2006), with the bound for draws without replacement of Bardenet and Maillard, Bernoulli 21, 1361 (2015). EXP3: Auer et
al., SIAM J. Comput. 32, 48 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from discover.policy.bandit.arms import Goal, Tally
from discover.policy.bandit.worth import ArmBelief
from discover.values import BoolArray, FloatArray

Rule = Literal["ucb1", "ucb1-tuned", "bayes-ucb", "thompson", "successive-elimination", "epsilon-greedy", "exp3"]
CHANCES = 4096
"""Draws by which chances of Thompson sampling are estimated."""
TIE = 1e-12


@dataclass(frozen=True)
class Turn:
    """What a rule looks at for one choice.

    tally: what was seen. extra: [A], trials that are under way or in the batch already, which count as if they gave their
    arm's mean. open: [A], arms of which a free candidate is left. past: [A], sums of reward over probability of earlier
    choices, which EXP3 lives on. drawn: [CHANCES, A], draws of what the arms are worth, one set for all turns of a batch.
    """

    tally: Tally
    belief: ArmBelief
    goal: Goal
    extra: FloatArray
    open: BoolArray
    past: FloatArray
    epsilon: float
    delta: float
    drawn: FloatArray

    @property
    def counts(self) -> FloatArray:
        """Trials [A], with those under way."""
        return self.tally.counts + self.extra

    @property
    def worth(self) -> FloatArray:
        """What each arm was worth so far: [A], NaN where nothing was seen."""
        return np.where(self.tally.counts > 0, self.tally.least, np.nan) if self.goal == "minimum" else self.tally.means


def chances(rule: Rule, turn: Turn, generator: np.random.Generator) -> FloatArray:
    """The probability of each arm to be the next: [A], summing to one; 0 where none of it is free or it was eliminated.

    All zeros where the rule is done. For Thompson sampling the share of CHANCES draws in which an arm is the best.
    """
    if not turn.open.any():
        return np.zeros(len(turn.open))
    if rule == "thompson":
        return shares_best(turn.drawn, turn.open)
    if rule == "exp3":
        return _exp3(turn)
    if rule == "successive-elimination":
        return _even(_fewest(turn, remaining(turn) & turn.open))
    if rule == "epsilon-greedy":
        greedy = _even(_largest(np.where(np.isnan(turn.worth), np.inf, turn.worth), turn.open))
        return turn.epsilon * _even(turn.open) + (1.0 - turn.epsilon) * greedy
    unseen = turn.open & (turn.counts == 0)
    if unseen.any():
        return _even(unseen)
    return _even(_largest(_bound(rule, turn, generator), turn.open))


def remaining(turn: Turn) -> BoolArray:
    """Arms [A] that successive elimination has not ruled out with the confidence that was asked for."""
    low, high = bounds(turn)
    return high >= low.max() - TIE


def bounds(turn: Turn) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds [A] that hold for all arms and at all times together with probability 1 - delta.

    Of a mean: Hoeffding's for so many draws without replacement, so that an arm whose whole scope was tried is known. Of a
    minimum: it is at most the smallest that was seen, and at least 0 until all of the scope was seen.
    """
    n, sizes = turn.tally.counts, turn.tally.sizes.astype(np.float64)
    if turn.goal == "minimum":
        known = n >= sizes
        return np.where(known, turn.tally.least, 0.0), np.where(n > 0, turn.tally.least, 1.0)
    some = np.maximum(n, 1.0)
    left = np.where(n <= sizes / 2, 1.0 - (some - 1.0) / sizes, (1.0 - some / sizes) * (1.0 + 1.0 / some))
    log = np.log(np.pi**2 * len(n) * np.square(some) / (3.0 * turn.delta))
    radius = np.where(n > 0, np.sqrt(np.maximum(left, 0.0) * log / (2.0 * some)), 1.0)
    mean = np.where(n > 0, np.nan_to_num(turn.tally.means), 0.5)
    return np.maximum(mean - radius, 0.0), np.minimum(mean + radius, 1.0)


def _bound(rule: Rule, turn: Turn, generator: np.random.Generator) -> FloatArray:
    """Upper confidence limits [A]; trials under way make them narrower, and do not move them."""
    n = np.maximum(turn.counts, 1.0)
    total = max(float(turn.counts.sum()), 2.0)
    worth = np.where(np.isnan(turn.worth), turn.belief.mean, turn.worth)
    if rule == "ucb1":
        return worth + np.sqrt(2.0 * np.log(total) / n)
    if rule == "ucb1-tuned":
        variance = np.nan_to_num(turn.tally.variances, nan=0.25) + np.sqrt(2.0 * np.log(total) / n)
        return worth + np.sqrt(np.log(total) / n * np.minimum(0.25, variance))
    return turn.belief.expecting(turn.extra).quantile(1.0 - 1.0 / total, generator)


def shares_best(drawn: FloatArray, among: BoolArray) -> FloatArray:
    """The share of draws [n, A] in which each arm is the best; at least half a draw, for a chance of 0 would be a lie."""
    held = np.where(among, drawn, -np.inf)
    best = held == held.max(axis=1, keepdims=True)
    share = (best / best.sum(axis=1, keepdims=True)).sum(axis=0)
    share = np.where(among, np.maximum(share, 0.5), 0.0)
    return share / share.sum()


def _exp3(turn: Turn) -> FloatArray:
    """Exponential weights of sums of reward over probability, with a share `epsilon` for all arms alike."""
    k = float(turn.open.sum())
    power = np.where(turn.open, turn.epsilon * turn.past / k, -np.inf)
    weights = np.exp(power - power.max())
    return (1.0 - turn.epsilon) * weights / weights.sum() + turn.epsilon * _even(turn.open)


def _fewest(turn: Turn, among: BoolArray) -> BoolArray:
    """Those with the fewest trials."""
    if not among.any():
        return among
    return among & (turn.counts <= turn.counts[among].min())


def _largest(values: FloatArray, among: BoolArray) -> BoolArray:
    held = np.where(among, values, -np.inf)
    best = held.max()
    return among & (np.isposinf(held) if np.isposinf(best) else held >= best - TIE)


def _even(among: BoolArray) -> FloatArray:
    total = int(among.sum())
    return among / total if total else np.zeros(len(among))
