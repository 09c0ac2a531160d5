"""Where the arms stand: what each is believed to be worth, in the target's unit, and how likely each is the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from discover.objective import Target
from discover.policy.bandit.arms import Arms, Goal, Reward
from discover.values import BoolArray, FloatArray

SHOWN = 50
"""Arms that a record names, the best first."""


@dataclass(frozen=True)
class Standing:
    """names, substrates: of the arms and the scope. tried: [A]. sizes: [A]. worth, deviation: [A], of rewards between 0 and 1.

    best: [A], the chance of each to be the best arm. out: [A], ruled out.
    """

    arms: Arms
    reward: Reward
    goal: Goal
    target: Target
    tried: FloatArray
    worth: FloatArray
    deviation: FloatArray
    best: FloatArray
    out: BoolArray

    @property
    def order(self) -> list[int]:
        """Arms, the best first: those that were tried before those that were not."""
        untried = self.tried == 0 if (self.tried > 0).any() else np.zeros(len(self.tried), dtype=bool)
        return np.lexsort((-self.worth, untried, self.out)).tolist()

    @cached_property
    def leading(self) -> int:
        """The best arm."""
        return int(self.order[0])

    def in_unit(self, worth: float) -> float:
        """A reward as an outcome; as it is, where the reward is a share or a distance."""
        if self.goal == "fraction-above":
            return worth
        turned = self.reward.low + worth * (self.reward.high - self.reward.low)
        return -turned if self.target.direction == "minimize" else turned

    @property
    def scale(self) -> float:
        """What a difference of rewards is worth in the target's unit."""
        return 1.0 if self.goal == "fraction-above" else self.reward.high - self.reward.low

    def rows(self) -> list[dict[str, Any]]:
        """The leading arms, as JSON."""
        found = []
        for arm in self.order[:SHOWN]:
            row = {
                "arm": self.arms.names[arm],
                "tried": int(self.tried[arm]),
                "of": int(self.arms.sizes[arm]),
                "worth": self.in_unit(float(self.worth[arm])),
                "deviation": float(self.deviation[arm]) * self.scale,
                "best": float(self.best[arm]),
            }
            found.append(row | ({"out": True} if self.out[arm] else {}))
        return found

    @property
    def words(self) -> str:
        """The leading arm, in a sentence."""
        arm = self.leading
        if not self.tried.any():
            return "nothing was tried yet"
        unit = f" {self.target.unit}" if self.target.unit and self.goal != "fraction-above" else ""
        what = {"mean": "mean", "fraction-above": "share that reaches the threshold", "minimum": "minimum"}[self.goal]
        return (
            f"{self.arms.names[arm]} leads: {what} {self.in_unit(float(self.worth[arm])):.3g}{unit} "
            f"(± {float(self.deviation[arm]) * self.scale:.2g}) after {int(self.tried[arm])} of {int(self.arms.sizes[arm])}; "
            f"it is the best of {len(self.arms.names)} with a chance of {float(self.best[arm]):.2f}"
        )

    def learned(self) -> Mapping[str, Any]:
        """For the record."""
        return {
            "objective": self.goal,
            "reward": {"from": self.reward.low, "to": self.reward.high, "range": self.reward.words},
            "leading": self.arms.names[self.leading],
            "arms": self.rows(),
            "verdict": self.words,
        }
