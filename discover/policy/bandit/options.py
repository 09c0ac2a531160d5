"""The options of the contextual bandit. What each means stands with the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from discover.policy.bandit.arms import Goal


@dataclass(frozen=True)
class Options:
    """What can be chosen about a contextual bandit: see `discover.policy.bandit.contextual`."""

    arms: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    objective: Goal = "mean"
    threshold: float | None = None
    start: int = 10
    model: Literal["single", "evidence"] = "evidence"
    draws: int = 1024
    cells: int = 1500
