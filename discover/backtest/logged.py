"""What another policy would have gained, from what was logged: choices made at random, with their probabilities.

Replay: Li, Chu, Langford and Wang, WSDM 2011. Importance weights: Horvitz and Thompson, JASA 47, 663 (1952), self-normalised:
Swaminathan and Joachims, NeurIPS 2015. Doubly robust: Dudík, Langford and Li, ICML 2011.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from discover.errors import InvalidInput, Problem, Unsupported
from discover.values import BoolArray, FloatArray

Method = Literal["replay", "weighted", "self-normalised", "doubly-robust"]
METHODS: tuple[Method, ...] = ("replay", "weighted", "self-normalised", "doubly-robust")
LEAST = 10.0
"""Effective observations without which nothing is estimated."""
CERTAIN = 1.0 - 1e-9
FOLDS = 5
RIDGE = 1.0
INTERVAL = 1.959963984540054


@dataclass(frozen=True)
class Log:
    """n choices in their order. actions, contexts: [n] names. rewards: [n]. probabilities: [n], with which the action was
    chosen at its turn; NaN where nobody knows. open: [n], whether every action might have been chosen at that turn.
    """

    actions: NDArray[np.str_]
    contexts: NDArray[np.str_]
    rewards: FloatArray
    probabilities: FloatArray
    open: BoolArray

    def __post_init__(self) -> None:
        parts = {
            "contexts": self.contexts,
            "rewards": self.rewards,
            "probabilities": self.probabilities,
            "open": self.open,
        }
        n = len(self.actions)
        problems = [
            Problem(f"has {len(part)} rows, not {n}", column=key) for key, part in parts.items() if len(part) != n
        ]
        if not problems:
            bad = np.flatnonzero((self.probabilities <= 0) | (self.probabilities > 1 + 1e-9))
            problems += [
                Problem("is no probability", row=int(k), column="probabilities", value=float(self.probabilities[k]))
                for k in bad[:10]
            ]
            bad = np.flatnonzero(~np.isfinite(self.rewards))
            problems += [
                Problem("must be finite", row=int(k), column="rewards", value=float(self.rewards[k])) for k in bad[:10]
            ]
        if problems:
            raise InvalidInput("log of choices", problems)

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def usable(self) -> BoolArray:
        """[n]: the choice was made at random, any action might have been made, and its probability is known."""
        return np.isfinite(self.probabilities) & self.open & (self.probabilities < CERTAIN)

    def kept(self, where: BoolArray) -> Log:
        """Some of the choices."""
        return Log(
            self.actions[where], self.contexts[where], self.rewards[where], self.probabilities[where], self.open[where]
        )


@dataclass(frozen=True)
class Estimate:
    """The mean reward of a target policy. error: its standard error; low, high: of 95 %. effective: effective sample size.

    used: choices that the estimate is made from; left_out: those that were not made at random.
    """

    method: str
    value: float
    error: float
    effective: float
    used: int
    left_out: int

    @property
    def interval(self) -> tuple[float, float]:
        """In which the value lies with about 95 %."""
        return self.value - INTERVAL * self.error, self.value + INTERVAL * self.error

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        low, high = self.interval
        return {
            "method": self.method,
            "value": self.value,
            "error": self.error,
            "low": low,
            "high": high,
            "effective": self.effective,
            "used": self.used,
            "left_out": self.left_out,
        }


def evaluate(
    log: Log,
    target: Mapping[str, float],
    method: Method = "doubly-robust",
    *,
    least: float = LEAST,
    generator: np.random.Generator | None = None,
) -> Estimate:
    """The mean reward of a policy that chooses each action with the probability `target` gives, whatever the context.

    Choices without a known probability, and those at turns where not every action was possible, are left out and counted.
    generator: for the draws of replay. Unsupported, with every reason, where no choice was made at random, where the log
    never shows an action that the target takes, or where the effective sample size is below `least`. The rewards of an action
    count as alike over time, so that of a scope from which nothing is taken twice they are means over the scope.
    """
    if method not in METHODS:
        raise InvalidInput("evaluation", [Problem("unknown method", column="method", value=method)])
    _check_target(target)
    usable = log.usable
    kept = log.kept(usable)
    _check_support(log, kept, target)
    wanted = np.array([target.get(str(a), 0.0) for a in kept.actions])
    weights = wanted / kept.probabilities
    effective = float(weights.sum() ** 2 / np.square(weights).sum())
    if effective < least:
        raise Unsupported(
            f"the log says too little about this policy: {len(kept)} choices count like {np.floor(10 * effective) / 10:g}, and {least:g} are needed"
        )
    left_out = len(log) - len(kept)
    if method == "replay":
        return _replay(kept, weights, left_out, least, generator or np.random.default_rng(0))
    value, error = _weighted(kept, weights, target, method)
    return Estimate(method, value, error, effective, len(kept), left_out)


def _weighted(log: Log, weights: FloatArray, target: Mapping[str, float], method: Method) -> tuple[float, float]:
    n = len(log)
    if method == "self-normalised":
        value = float((weights * log.rewards).sum() / weights.sum())
        parts = weights / weights.mean() * (log.rewards - value)
        return value, float(np.sqrt(np.square(parts).mean() / n))
    if method == "weighted":
        parts = weights * log.rewards
    else:
        chosen, expected = _model(log, target)
        parts = expected + weights * (log.rewards - chosen)
    return float(parts.mean()), float(parts.std(ddof=1) / np.sqrt(n))


def _replay(log: Log, weights: FloatArray, left_out: int, least: float, generator: np.random.Generator) -> Estimate:
    """The mean of those choices that the target would have made, too: each is kept with its weight over the largest one."""
    kept = generator.random(len(log)) < weights / weights.max()
    count = int(kept.sum())
    if count < max(2.0, least):
        raise Unsupported(f"replay keeps {count} of {len(log)} choices, and {least:g} are needed; use weights instead")
    rewards = log.rewards[kept]
    error = float(rewards.std(ddof=1) / np.sqrt(count))
    return Estimate("replay", float(rewards.mean()), error, float(count), count, left_out)


def _model(log: Log, target: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """A ridge regression on actions and contexts, of other folds: at what was chosen [n], and at what the target does [n]."""
    from sklearn.linear_model import Ridge

    actions, a = np.unique(log.actions, return_inverse=True)
    contexts, c = np.unique(log.contexts, return_inverse=True)
    X = np.hstack([np.eye(len(actions))[a.reshape(-1)], np.eye(len(contexts))[c.reshape(-1)]])
    aim = np.array([target.get(str(name), 0.0) for name in actions])
    aimed = np.hstack([np.tile(aim, (len(log), 1)), X[:, len(actions) :]])
    fold = np.arange(len(log)) % FOLDS
    chosen, expected = np.empty(len(log)), np.empty(len(log))
    for k in range(FOLDS):
        mine = fold == k
        if not mine.any():
            continue
        model = Ridge(alpha=RIDGE).fit(X[~mine], log.rewards[~mine])
        chosen[mine], expected[mine] = model.predict(X[mine]), model.predict(aimed[mine])
    return chosen, expected


def _check_target(target: Mapping[str, float]) -> None:
    problems = [Problem("is no probability", column=str(k), value=p) for k, p in target.items() if not 0.0 <= p <= 1.0]
    if not problems and abs(sum(target.values()) - 1.0) > 1e-6:
        problems = [Problem("the probabilities must sum to one", value=sum(target.values()))]
    if problems:
        raise InvalidInput("target policy", problems)


def _check_support(log: Log, kept: Log, target: Mapping[str, float]) -> None:
    """Unsupported, with every reason, where the log cannot tell."""
    reasons: list[str] = []
    if not len(log):
        reasons.append("nothing was logged")
    elif not len(kept):
        unknown = int((~np.isfinite(log.probabilities)).sum())
        sure = int((log.probabilities >= CERTAIN).sum())
        part = len(log) - unknown - sure
        reasons.append(
            f"none of {len(log)} choices was made at random over all actions: {unknown} have no probability, {sure} were "
            f"certain, and in {part} some actions were out of the question"
        )
    else:
        seen = set(kept.actions.tolist())
        absent = [name for name, p in target.items() if p > 0 and name not in seen]
        if absent:
            named = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
            reasons.append(f"the supports do not overlap: the random choices never show {named}")
    if reasons:
        raise Unsupported("this log cannot be evaluated: " + "; ".join(reasons))
