"""Where changing over costs more than an experiment: what is found for the money, with the prices known and not.

    OMP_NUM_THREADS=1 python benchmarks/change_over.py                  # 20 seeds: ten minutes of one core
    OMP_NUM_THREADS=1 python benchmarks/change_over.py --tables suzuki --seeds 2

Campaigns on two shipped screens of real yields, in batches of eight: eight that begin alike, then until the budget is spent. An
experiment costs 1 by itself. Prices of changes are invented: `each` has 5 for another ligand, base, solvent or additive than in the
experiment before, `ligand` has 20 for another ligand and nothing for the rest.
`priced` divides what candidates promise by what they cost; `blind` chooses as if all cost the same; `random` draws. All are booked
alike, and for all a batch is run in the same cheap order. Told is the best yield found so far, as a share of the table's best, at
every unit of cost (area: its mean over the budget), how many experiments the budget allowed, and paired differences to `priced` with
bootstrap bands over seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from discover import Campaign, CandidatePool, Objective
from discover.campaign.asking.choosing import FewerProposals
from discover.values import FloatArray
from discover.version import VERSION

DATA = Path(__file__).resolve().parents[1] / "campaigns" / "data" / "reactions"
OUT = Path(__file__).resolve().parent / "results" / "change-over.json"
BUDGET, BATCH, START = 300, 8, 8
PRICES = ("each", "ligand")
TABLES: Mapping[str, tuple[str, Mapping[str, str], tuple[str, ...]]] = {
    "suzuki": (
        "suzuki.parquet",
        {"quinoline": "6-chloroquinoline", "indazole": "indazole-4-boronic acid"},
        ("ligand", "base", "solvent"),
    ),
    "buchwald": ("buchwald-hartwig.parquet", {"aryl_halide": "4-iodoanisole"}, ("ligand", "base", "additive")),
}
POLICIES: Mapping[str, Mapping[str, Any]] = {
    "priced": {"kind": "bayesian", "start": START},
    "blind": {"kind": "bayesian", "start": START, "per_cost": False},
    "random": {"kind": "random"},
}


def prices_of(name: str, which: str) -> dict[str, float]:
    """What a change of each column costs."""
    columns = TABLES[name][2]
    return dict.fromkeys(columns, 5.0) if which == "each" else {"ligand": 20.0}


def table_of(name: str) -> pd.DataFrame:
    """The conditions of one coupling and their yields."""
    file, query, columns = TABLES[name]
    frame = pd.read_parquet(DATA / file)
    for column, value in query.items():
        frame = frame[frame[column] == value]
    return frame[["id", *columns, "yield"]].reset_index(drop=True)


def played(name: str, which: str, policy: str, seed: int, budget: float = BUDGET) -> dict[str, Any]:
    """One campaign: the best so far at every unit of cost, and how many experiments it made."""
    frame, columns, prices = table_of(name), TABLES[name][2], prices_of(name, which)
    pool = CandidatePool.from_frame(frame[["id", *columns]], id="id", categorical=list(columns))
    yields = frame.set_index("id")["yield"]
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign.create(
            "c", objective=Objective("yield", unit="%"), candidates=pool, budget={"cost": float(budget)}, seed=seed,
            policy={**POLICIES[policy], "change_over": prices}, store=f"sqlite:///{folder}/c.db",
        )  # fmt: skip
        begin = np.random.default_rng(seed).choice(pool.ids, START, replace=False).tolist()
        batch = campaign.propose(sorted(begin), reason="the same for all")
        while len(batch):
            campaign.tell(batch[["proposal_id"]].assign(**{"yield": yields[batch["id"]].to_numpy()}))
            batch = campaign.ask(BATCH)
        return {"experiments": len(campaign.trials()), **_curve(campaign, frame, prices, budget)}


def _curve(campaign: Campaign, frame: pd.DataFrame, prices: Mapping[str, float], budget: float) -> dict[str, Any]:
    """The best share of the table's best yield at every unit of cost, which is counted here and not by the campaign."""
    conditions, yields = frame.set_index("id")[list(prices)], frame.set_index("id")["yield"]
    ids = [trial.candidate_id for trial in campaign.trials()]
    tried = conditions.loc[ids].to_numpy()
    steps = np.concatenate([[0.0], (tried[1:] != tried[:-1]) @ np.array(list(prices.values()))])
    costs = np.cumsum(1.0 + steps)
    assert abs(costs[-1] - campaign.spending.cost) < 1e-6, "the campaign's books differ"
    best = np.maximum.accumulate(yields[ids].to_numpy()) / yields.max()
    made = np.searchsorted(costs, np.arange(1, budget + 1), side="right")
    curve = np.where(made > 0, best[np.maximum(made - 1, 0)], 0.0)
    return {"cost": float(costs[-1]), "area": float(curve.mean()), "end": float(curve[-1])}


def band(differences: FloatArray) -> list[float]:
    """The mean of some differences [n] with 95 % of the bootstrap over them."""
    draws = np.random.default_rng(0).choice(differences, (4000, len(differences))).mean(axis=1)
    return [round(float(x), 4) for x in (differences.mean(), *np.quantile(draws, [0.025, 0.975]))]


def summary(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Means by policy, and paired differences of areas: priced minus the other."""
    areas = {name: np.array([run["area"] for run in told]) for name, told in runs.items()}
    return {
        name: {key: round(float(np.mean([run[key] for run in told])), 4) for key in ("area", "end", "experiments")}
        | ({"priced minus this": band(areas["priced"] - areas[name])} if name != "priced" else {})
        for name, told in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore", FewerProposals)
    found: dict[str, Any] = {}
    for name in given.tables:
        for which in PRICES:
            runs: dict[str, list[dict[str, Any]]] = {policy: [] for policy in POLICIES}
            for seed in range(given.seeds):
                for policy, told in runs.items():
                    told.append(played(name, which, policy, seed))
            found[f"{name}, {which}"] = summary(runs)
            print(name, which, json.dumps(found[f"{name}, {which}"], indent=1))
    if given.json is not None:
        machine = {"machine": platform.machine(), "processors": os.cpu_count(), "python": platform.python_version()}
        about = {"discover": VERSION, "seeds": given.seeds, "budget": BUDGET, **machine}
        given.json.write_text(json.dumps({"about": about, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
