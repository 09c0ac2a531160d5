"""Arms and their scope: which rows of a pool are trials of which condition, and what was gained with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from discover.errors import InvalidInput, Problem, Unsupported, nearest
from discover.objective import Objective
from discover.protocols import View
from discover.values import FloatArray, IntArray

Goal = Literal["mean", "fraction-above", "minimum"]
BETWEEN = " · "


@dataclass(frozen=True)
class Reward:
    """How an outcome becomes a reward between 0 and 1.

    low, high: the outcomes of reward 0 and 1, turned so that high is good. threshold: turned; where it is given, the reward
    is 1 if the outcome reaches it and 0 otherwise. words: where the range is from.
    """

    low: float
    high: float
    threshold: float | None
    words: str

    @classmethod
    def of(cls, view: View, goal: Goal, threshold: float | None, span: tuple[float, float] | None) -> Reward:
        """span: outcomes of which the worse one is worth 0 and the better one 1; None for 0 to 100 %, or what was observed."""
        target = view.objective.targets[0]
        turned = None if threshold is None else float(target.utility(threshold))
        if goal == "fraction-above":
            return cls(0.0, 1.0, turned, "1 where the threshold is reached, 0 elsewhere")
        words = "as set"
        if span is None and target.unit == "%" and target.direction != "match":
            span, words = (0.0, 100.0), "0 to 100 %"
        if span is not None:
            low, high = sorted(float(target.utility(end)) for end in span)
            return cls(low, high, None, words)
        seen = np.asarray(target.utility(view.training[target.name].values), dtype=np.float64)
        if not len(seen):
            return cls(0.0, 1.0, None, "nothing was observed yet")
        low, high = float(seen.min()), float(seen.max())
        return cls(low, high if high > low else low + 1.0, None, "what was observed so far")

    def apply(self, turned: FloatArray) -> FloatArray:
        """Turned outcomes [n] to rewards [n]."""
        if self.threshold is not None:
            return (turned >= self.threshold).astype(np.float64)
        return np.clip((turned - self.low) / (self.high - self.low), 0.0, 1.0)


@dataclass(frozen=True)
class Arms:
    """names: [A] of the arms, ascending. arm: [N], which arm each row is a trial of. scope: [N], which member of the scope.

    substrates: their names, [S]; one without a name where no scope is given.
    """

    names: tuple[str, ...]
    substrates: tuple[str, ...]
    arm: IntArray
    scope: IntArray

    @classmethod
    def of(cls, view: View, arms: Sequence[str], scope: Sequence[str]) -> Arms:
        """Arms are the combinations of values that occur in the columns `arms`, the scope those in `scope`."""
        missing = [name for name in (*arms, *scope) if name not in view.columns]
        if missing:
            raise InvalidInput("columns of a view", [Problem("is not in the view", column=name) for name in missing])
        names, arm = _coded([view.columns[name] for name in arms], len(view.ids))
        substrates, member = _coded([view.columns[name] for name in scope], len(view.ids))
        return cls(names, substrates, arm, member)

    @cached_property
    def sizes(self) -> IntArray:
        """How many rows each arm has: [A]."""
        return np.bincount(self.arm, minlength=len(self.names)).astype(np.int64)


def _coded(columns: Sequence[NDArray[np.str_]], n: int) -> tuple[tuple[str, ...], IntArray]:
    """Names of the combinations that occur, ascending, and which one each row has: [n]."""
    if not columns:
        return ("",), np.zeros(n, dtype=np.int64)
    joined = [BETWEEN.join(values) for values in zip(*(column.tolist() for column in columns), strict=True)]
    names, codes = np.unique(np.array(joined, dtype=str), return_inverse=True)
    return tuple(names.tolist()), codes.reshape(-1).astype(np.int64)


@dataclass(frozen=True)
class Tally:
    """What is known of each arm. rows: [k], the candidates that were tried; arm: [k]; rewards: [k], each their mean.

    sizes: [A], candidates that there are. limits: how many of the rewards are limits of censored observations; infeasible:
    how many are 0 because nothing could be made.
    """

    rows: IntArray
    arm: IntArray
    rewards: FloatArray
    sizes: IntArray
    limits: int = 0
    infeasible: int = 0

    @classmethod
    def of(cls, view: View, arms: Arms, reward: Reward) -> Tally:
        """From the view's observations and from nothing else; replicates count once, by their mean."""
        target = view.objective.targets[0]
        told = view.training[target.name]
        turned = np.asarray(target.utility(told.values), dtype=np.float64)
        rows, where = np.unique(told.rows, return_inverse=True)
        count = np.bincount(where.reshape(-1), minlength=len(rows))
        means = np.bincount(where.reshape(-1), weights=turned, minlength=len(rows)) / np.maximum(count, 1)
        rewards = reward.apply(means)
        nothing = np.setdiff1d(view.infeasible, rows)
        rows = np.concatenate([rows, nothing]).astype(np.int64)
        rewards = np.concatenate([rewards, np.zeros(len(nothing))])
        limits = len(np.unique(told.rows[told.bounds != 0]))
        return cls(rows, arms.arm[rows], rewards, arms.sizes, limits, len(nothing))

    @cached_property
    def counts(self) -> FloatArray:
        """[A]."""
        return np.bincount(self.arm, minlength=len(self.sizes)).astype(np.float64)

    @cached_property
    def means(self) -> FloatArray:
        """[A], NaN where nothing was tried."""
        return self._per_arm(self.rewards)

    @cached_property
    def variances(self) -> FloatArray:
        """[A], about each arm's own mean, over n."""
        return np.maximum(self._per_arm(np.square(self.rewards)) - np.square(self.means), 0.0)

    @cached_property
    def least(self) -> FloatArray:
        """The smallest reward of each arm: [A], infinite where nothing was tried."""
        found = np.full(len(self.sizes), np.inf)
        np.minimum.at(found, self.arm, self.rewards)
        return found

    def _per_arm(self, values: FloatArray) -> FloatArray:
        total = np.bincount(self.arm, weights=values, minlength=len(self.sizes))
        return np.divide(total, self.counts, out=np.full(len(total), np.nan), where=self.counts > 0)


def option_problems(
    arms: Sequence[str], scope: Sequence[str], goal: str, threshold: float | None, span: tuple[float, float] | None
) -> list[Problem]:
    """What is wrong with the options that both policies over arms have."""
    found = [] if arms else [Problem("needs at least one column", column="arms", way_out="such as [ligand, base]")]
    both = sorted(set(arms) & set(scope))
    found += [Problem("is a column of the arms, too", column="scope", value=name) for name in both]
    goals = ("mean", "fraction-above", "minimum")
    if goal not in goals:
        found.append(
            Problem("unknown objective of an arm", column="objective", value=goal, way_out=nearest(goal, goals))
        )
    if (goal == "fraction-above") != (threshold is not None):
        hint = "objective fraction-above needs a threshold, and no other takes one"
        found.append(Problem(hint, column="threshold", value=threshold))
    if span is not None and not (span[0] < span[1] and np.isfinite(span[1] - span[0])):
        hint = "rewards are shares of the way between them, which must be a finite one"
        found.append(Problem("is two numbers, the smaller first", column="range", value=list(span), way_out=hint))
    return found


def check_objective(objective: Objective, policy: str) -> None:
    """Unsupported for several targets, or with constraints: a reward is one number."""
    if len(objective.targets) != 1 or objective.constraints:
        raise Unsupported(
            f"policy {policy!r} takes one target without constraints for its reward; {', '.join(objective.names)} were given"
        )
