"""A campaign as a Gymnasium environment, for agents that learn by reward. Needs the extra `learning`."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from discover.backtest.responses import Responses
from discover.errors import InvalidInput, Problem
from discover.values import FloatArray

Observed = NDArray[np.float32]


class CampaignEnvironment(gymnasium.Env[Observed, np.int64]):
    """An episode is a campaign of `horizon` experiments under one context; an action is the condition that is tried next.

    Observation, float32 in [0, 1]: of each of A conditions how often it was tried (as a share of the horizon) and what it
    gave (0 where untried), the best so far, the share of the horizon that is used, and the context: [2 A + 2 + c]. Reward:
    the gain over the best so far, or the outcome, in either case over the condition's cost. A condition that gives nothing is
    worth 0. Trying one again costs an experiment and gives the same.

    Seeds: `reset(seed=…)`, as Gymnasium has it. `info` holds `best`, and at the end `short`, by how much it falls short of the
    best condition of the episode.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        responses: Responses,
        horizon: int = 10,
        reward: Literal["gain", "outcome"] = "gain",
        costs: FloatArray | None = None,
    ):
        count = responses.conditions
        if not count:
            raise InvalidInput("environment", [Problem("there are no conditions", column="responses")])
        problems = [] if horizon >= 1 else [Problem("must be at least 1", column="horizon", value=horizon)]
        if reward not in ("gain", "outcome"):
            problems.append(Problem("is gain or outcome", column="reward", value=reward))
        if costs is not None and (len(costs) != count or not (np.isfinite(costs) & (costs > 0)).all()):
            problems.append(Problem(f"must be {count} numbers above 0", column="costs"))
        if problems:
            raise InvalidInput("environment", problems)
        self.responses, self.horizon, self.kind = responses, horizon, reward
        self.costs = np.ones(count) if costs is None else np.asarray(costs, dtype=np.float64)
        self.action_space = gymnasium.spaces.Discrete(count)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (2 * count + 2 + responses.width,), np.float32)
        self._begin(np.zeros(count), np.zeros(responses.width))

    def _begin(self, values: FloatArray, context: FloatArray) -> None:
        self.values, self.context = np.nan_to_num(values), context
        self.tried = np.zeros(len(values))
        self.best, self.step_number = 0.0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """A new context, and nothing tried under it."""
        super().reset(seed=seed)
        self._begin(*self.responses.draw(self.np_random))
        return self._observation(), {"best": 0.0}

    def step(self, action: np.int64 | int) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Try a condition. InvalidInput for what is none: counted from the end it would be another one."""
        if not self.action_space.contains(action):
            hint = f"0 to {len(self.values) - 1}"
            raise InvalidInput(
                "environment", [Problem("no such condition", column="action", value=action, way_out=hint)]
            )
        condition = int(action)
        value = float(self.values[condition])
        gain = max(0.0, value - self.best)
        self.best = max(self.best, value)
        self.tried[condition] += 1
        self.step_number += 1
        done = self.step_number >= self.horizon
        reward = (gain if self.kind == "gain" else value) / float(self.costs[condition])
        told = {"best": self.best} | ({"short": float(self.values.max()) - self.best} if done else {})
        return self._observation(), reward, done, False, told

    def _observation(self) -> Observed:
        known = np.where(self.tried > 0, self.values, 0.0)
        end = [self.best, min(1.0, self.step_number / self.horizon)]
        parts: list[Any] = [np.minimum(self.tried / self.horizon, 1.0), known, end, self.context]
        return np.clip(np.concatenate(parts), 0.0, 1.0).astype(np.float32)
