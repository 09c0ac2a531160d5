"""An agent that was trained on simulated responses, on a table that it has not seen, beside the Bayesian policy and random.

    python benchmarks/learning_by_reward.py --seconds 120 --contexts 60

The table is the C-N coupling of the bandit scope tables: 3 bases by 4 ligands are the conditions, and each substrate with an
additive is a context in which the best of the twelve is sought within five experiments. The agent is Stable-Baselines3's PPO,
trained on smooth random functions of the conditions for the CPU seconds that are given, in the manner of Zhou et al.,
ACS Cent. Sci. 3, 1337 (2017). All play the same contexts; told is by how much the best that was found falls short of the best
of the twelve, in per cent of yield, and how often it is the best.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from bandits import TABLES, Game

from discover.backtest.answers import Answers
from discover.backtest.environment import CampaignEnvironment
from discover.backtest.loop import Retrospective, play
from discover.backtest.responses import SimulatedResponses, TableResponses
from discover.objective import Objective
from discover.policy.bayesian import Bayesian
from discover.policy.random import Random
from discover.values import FeatureTable, FloatArray

OUT = Path(__file__).resolve().parent / "results" / "learning-by-reward.json"
HORIZON = 5


def conditions_of(names: tuple[str, ...]) -> FloatArray:
    """One-hot columns of the parts of the conditions' names: [A, d]."""
    parts = [name.split(" · ") for name in names]
    levels = [sorted({part[k] for part in parts}) for k in range(len(parts[0]))]
    return np.array([[float(p[k] == level) for k, known in enumerate(levels) for level in known] for p in parts])


def trained(features: FloatArray, width: int, seconds: float, seed: int) -> tuple[Any, int]:
    """PPO on simulated responses for so many CPU seconds, and the steps that it made."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    class Until(BaseCallback):
        """Stops when the CPU seconds are used."""

        def _on_step(self) -> bool:
            return time.process_time() < end

    environment = CampaignEnvironment(SimulatedResponses(features, width), HORIZON)
    agent = PPO(
        "MlpPolicy", environment, n_steps=1000, batch_size=250, gamma=1.0, ent_coef=0.01, seed=seed, device="cpu"
    )
    end = time.process_time() + seconds
    agent.learn(10**8, callback=Until())
    return agent, int(agent.num_timesteps)


def by_agent(agent: Any, values: FloatArray, context: FloatArray) -> float:
    """The best that the agent finds in one context."""
    environment = CampaignEnvironment(TableResponses(values[None], context[None], ()), HORIZON)
    seen, info = environment.reset(seed=0)
    done = False
    while not done:
        action, _ = agent.predict(seen, deterministic=True)
        seen, _, done, _, info = environment.step(action)
    return float(info["best"])


def by_policy(policy: Any, features: FloatArray, values: FloatArray, seed: int) -> float:
    """The best that a policy finds in one context, over the same conditions and features."""
    count = len(values)
    objective = Objective("outcome", "maximize")
    ids = np.array([f"c{k:02d}" for k in range(count)])
    answers = Answers(
        objective.targets[0], values, np.full(count, np.nan), np.zeros(count, dtype=np.int64),
        np.full(count, "measured"), np.full(count, ""),
    )  # fmt: skip
    table = FeatureTable(tuple(f"f{k}" for k in range(features.shape[1])), features, "conditions")
    rows = play(Retrospective(objective, ids, table, answers), policy, seed=seed, budget=HORIZON, batch=1).rows
    return float(values[rows].max())


def main() -> None:
    """Train, play, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--contexts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    game = Game.of(TABLES["cn-processed"], TABLES["cn-processed"].frame())
    table = TableResponses.of(game.known, game.table.arms, game.table.scope)
    features = conditions_of(table.names)
    agent, steps = trained(features, 0, given.seconds, given.seed)
    generator = np.random.default_rng(given.seed)
    members = generator.choice(len(table.values), min(given.contexts, len(table.values)), replace=False)
    found: dict[str, list[float]] = {"agent": [], "untrained": [], "bayesian": [], "random": []}
    blank, _ = trained(features, 0, 0.0, given.seed)
    whole = [member for member in members if np.isfinite(table.values[member]).all()]
    for member in whole:
        values, nothing = table.values[member], np.zeros(0)
        found["agent"].append(by_agent(agent, values, nothing))
        found["untrained"].append(by_agent(blank, values, nothing))
        found["bayesian"].append(by_policy(Bayesian(start=2), features, values, int(member)))
        found["random"].append(by_policy(Random(), features, values, int(member)))
    best = table.values[whole].max(axis=1)
    span = float(np.nanmax(game.known.answers.values) - np.nanmin(game.known.answers.values))
    told = {}
    for name, values in found.items():
        short = span * (best - np.array(values))
        error = float(short.std(ddof=1) / np.sqrt(len(short)))
        told[name] = {
            "short": round(float(short.mean()), 2),
            "error": round(error, 2),
            "best": round(float((short < 1e-9).mean()), 3),
        }
    body = {
        "conditions": len(features), "horizon": HORIZON, "contexts": len(whole), "steps": steps,
        "training_cpu_seconds": given.seconds, "results": told,
    }  # fmt: skip
    given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(body, indent=1))


if __name__ == "__main__":
    main()
