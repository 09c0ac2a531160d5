"""Which conditions are general? Bandits, the contextual bandit and random on the tables of Wang et al., Nature 626, 1025 (2024).

    python benchmarks/bandits.py --seeds 50 --minutes 10
    python benchmarks/bandits.py --tables nib-meoh --policies random thompson --seeds 5

Every policy starts from nothing and takes plates of eight up to 96 experiments. After 24, 48, 72 and 96 of them it names the arm
that it holds for the best (random by the beliefs of a gaussian bandit about the same data). Told are how often that arm
is the one with the best mean over the whole table, how often it is among the best three, by how much its true mean falls
short, as a share of the range of arms, and what share of the arms has its true mean within 1.645 deviations of what the policy
believes (90 % of a normal distribution). Policies go round over seeds until the time is over; counts are stated.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from discover.backtest.answers import answers_from_frame
from discover.backtest.loop import Retrospective, play, view_of
from discover.candidates.pool.pool import CandidatePool
from discover.features.build import feature_table
from discover.objective import Objective
from discover.policy.bandit import Bandit
from discover.policy.bandit.belief import Prior
from discover.policy.bandit.contextual import Contextual
from discover.policy.bandit.rules import Rule
from discover.policy.named import named_columns
from discover.policy.random import Random

DATA = Path(os.environ.get("DISCOVER_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
OUT = Path(__file__).resolve().parent / "results" / "bandits.json"
BUDGET, PLATE, LOOKS = 96, 8, (24, 48, 72, 96)
WITHIN = 1.645
"""Deviations to either side that hold 90 % of a normal distribution."""
SLOW = 10
"""The contextual bandit, whose model is fitted anew for each plate, plays one seed of so many."""


@dataclass(frozen=True)
class Table:
    """A table of conditions by substrates: file, target with its unit, columns of the arms and of the scope."""

    file: str
    target: str
    unit: str
    arms: tuple[str, ...]
    scope: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Rows with an id, the columns that are used, and the target as `outcome`."""
        told = pd.read_csv(DATA / self.file, index_col=0)
        found = told[[*self.arms, *self.scope]].astype(str).assign(outcome=told[self.target].astype(float))
        return found.assign(id=[f"r{k:05d}" for k in range(len(found))])


MALDI = "Normalized MALDI Pdt/IS"
TABLES = {
    "nib-meoh": Table("bandit_nib_meoh/nib-meoh.csv", "yield", "%", ("ligand_name",), ("electrophile_id",)),
    "merck-cn": Table(
        "bandit_merck_cn/merck-cn.csv", "relative_count", "", ("catalyst", "base"), ("electrophile", "nucleophile")
    ),
    "cn-processed": Table(
        "bandit_cn_processed/cn-processed.csv",
        "yield",
        "%",
        ("base_name", "ligand_name"),
        ("substrate_id", "additive_id"),
    ),
    "maldi-amine": Table("bandit_maldi_amine/maldi-amine.csv", MALDI, "", ("condition",), ("substrate_id",)),
    "maldi-bromide": Table("bandit_maldi_bromide/maldi-bromide.csv", MALDI, "", ("condition",), ("substrate_id",)),
}
RULES: tuple[Rule, ...] = (
    "ucb1", "ucb1-tuned", "bayes-ucb", "thompson", "successive-elimination", "epsilon-greedy", "exp3",
)  # fmt: skip
BANDITS: dict[str, tuple[Rule, Prior]] = {
    **{rule: (rule, "gaussian") for rule in RULES},
    "thompson-beta": ("thompson", "beta"),
}
POLICIES = ("random", *BANDITS, "contextual")


@dataclass(frozen=True)
class Game:
    """A table with all of its answers. means: [A], of the arms, in the order of their names."""

    table: Table
    known: Retrospective
    means: np.ndarray

    @classmethod
    def of(cls, table: Table, frame: pd.DataFrame) -> Game:
        """Over a frame with id, outcome and the columns of the table."""
        pool = CandidatePool.from_frame(frame.drop(columns="outcome"), id="id", categorical=[*table.arms, *table.scope])
        objective = Objective("outcome", "maximize", unit=table.unit)
        columns = named_columns(Bandit(table.arms, table.scope), pool)
        answers = answers_from_frame(pool, objective, frame)
        known = Retrospective(objective, pool.ids, feature_table(pool, None), answers, columns)
        empty = view_of(known, np.empty(0, dtype=np.int64), 0, {})
        arms = Bandit(table.arms, table.scope).standing(empty).arms
        means = np.bincount(arms.arm, weights=answers.values) / arms.sizes
        return cls(table, known, means)

    def policy(self, name: str) -> Any:
        """A policy by its name."""
        arms, scope = self.table.arms, self.table.scope
        if name == "random":
            return Random()
        if name == "contextual":
            return Contextual(arms, scope, start=16, cells=800, draws=512)
        rule, prior = BANDITS[name]
        return Bandit(arms, scope, rule=rule, prior=prior)

    def run(self, name: str, seed: int) -> dict[str, Any]:
        """One campaign, and what was thought of arms on the way."""
        policy = self.policy(name)
        begun = time.process_time()
        trace = play(self.known, policy, seed=seed, budget=BUDGET, batch=PLATE)
        seconds = time.process_time() - begun
        judge = self.policy("thompson") if name == "random" else policy
        order = np.argsort(-self.means, kind="stable")
        span = float(np.ptp(self.means)) or 1.0
        looks = []
        for count in LOOKS:
            view = view_of(self.known, trace.rows[:count], 0, {})
            standing = judge.standing(view, np.random.default_rng(seed))
            leading, believed = standing.leading, np.array([standing.in_unit(worth) for worth in standing.worth])
            held = np.abs(believed - self.means) <= WITHIN * standing.deviation * standing.scale + 1e-9
            short = float(self.means[order[0]] - self.means[leading]) / span
            looks.append([bool(leading == order[0]), bool(leading in order[:3]), short, float(held.mean())])
        return {"looks": looks, "seconds": round(seconds, 2), "tried": len(trace.rows)}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of one policy on one table."""
    looks = np.array([run["looks"] for run in runs], dtype=np.float64)
    names = ("best_named", "among_three", "short", "held")
    told = {name: looks[:, :, k].mean(axis=0).round(3).tolist() for k, name in enumerate(names)}
    return {"seeds": len(runs), **told, "seconds": round(float(np.mean([run["seconds"] for run in runs])), 2)}


def main() -> None:
    """Play until the time is over or every seed was played, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=POLICIES)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    end = time.monotonic() + 60.0 * given.minutes
    games = {name: Game.of(TABLES[name], TABLES[name].frame()) for name in given.tables}
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in range(given.seeds):
        for table, game in games.items():
            for policy in given.policies:
                if time.monotonic() < end and (policy != "contextual" or seed % SLOW == 0):
                    runs.setdefault((table, policy), []).append(game.run(policy, seed))
    tables = {t: {p: summary(r) for (table, p), r in runs.items() if table == t} for t in given.tables}
    body = {
        "looks": LOOKS,
        "plate": PLATE,
        "arms": {name: len(game.means) for name, game in games.items()},
        "tables": tables,
    }
    given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    for table, told in tables.items():
        print(f"{table}: {len(games[table].means)} arms; best arm named after {LOOKS} experiments")
        for policy, one in told.items():
            print(
                f"  {policy:24s} {one['best_named']}  among three {one['among_three']}  short {one['short']}  held {one['held']}  ({one['seeds']} seeds)"
            )


if __name__ == "__main__":
    main()
