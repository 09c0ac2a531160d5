"""The tables of a report, as DataFrames: the best, why each was tried, failures, near-duplicates, cautions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from discover.protocols import FloatArray

NEIGHBOURS = 400
"""Candidates whose distance to their nearest neighbour sets the scale of 'near'; more would say the same."""


def best_table(campaign: Any, n: int = 10) -> pd.DataFrame:
    """The best n: rank, id, formula, found, its deviation, what was predicted before, iteration, cautions."""
    objective, key = campaign.objective, campaign.pool.id
    found = campaign.best(n).reset_index(drop=True)
    table = pd.DataFrame({"rank": np.arange(1, len(found) + 1), key: found[key].astype(str)})
    formulas = formulas_of(campaign)
    if formulas is not None:
        table["formula"] = [formulas[i] for i in table[key]]
    proposals = campaign.proposals.set_index("proposal_id")
    ids = found["proposal_id"] if "proposal_id" in found else pd.Series([None] * len(found))
    for name in objective.names:
        suffix = "" if len(objective.targets) == 1 and name == objective.names[0] else f"_{name}"
        table[name] = found[name].astype(float)
        if f"{name}_std" in found and found[f"{name}_std"].notna().any():
            table[f"{name}_std"] = found[f"{name}_std"].astype(float)
        for part in ("mean", "std"):
            column = f"predicted_{part}{suffix}"
            table[column] = [proposals[column].get(i, np.nan) if isinstance(i, str) else np.nan for i in ids]
    table["iteration"] = [proposals["iteration"].get(i) if isinstance(i, str) else None for i in ids]
    if formulas is not None:
        table["cautions"] = ["; ".join(flags(formulas[i])) for i in table[key]]
    return table


def why_table(campaign: Any) -> pd.DataFrame:
    """Every proposal in order: iteration, rank in its batch, id, formula, reason, prediction, state, found, failure's reason."""
    proposals, key = campaign.proposals, campaign.pool.id
    observed = campaign.observations
    told = observed[observed["proposal_id"].notna()]
    reasons = told[told["status"].isin(("failed", "infeasible"))].groupby("proposal_id")["reason"].last()
    table = proposals.assign(why_not=proposals["proposal_id"].map(reasons.to_dict()).astype(object).fillna(""))
    for name in campaign.objective.names:
        table[name] = table["proposal_id"].map(told[told["status"] != "failed"].groupby("proposal_id")[name].mean())
    formulas = formulas_of(campaign)
    if formulas is not None:
        table["formula"] = [formulas[str(i)] for i in table[key]]
    return table


def failures_table(campaign: Any) -> pd.DataFrame:
    """Every trial without a value: id, formula, status, reason, iteration."""
    observed, key = campaign.observations, campaign.pool.id
    failed = observed[observed["status"].isin(("failed", "infeasible"))].reset_index(drop=True)
    columns = [key, "status", "reason", "iteration"]
    table = failed[columns].copy()
    formulas = formulas_of(campaign)
    if formulas is not None:
        table.insert(1, "formula", [formulas[str(i)] for i in table[key]])
    return table


def failure_kinds(failures: pd.DataFrame) -> pd.Series:
    """How many failures there are of each kind: what stands before the colon of the reason, without its own numbers."""
    kinds = failures["reason"].fillna("").astype(str).str.split(":").str[0].str.strip()
    kinds = kinds.str.replace(r"=\s*[-+]?[\d.]+(?:e[-+]?\d+)?", "= …", regex=True, flags=re.IGNORECASE)
    return kinds.replace(["", "failed", "infeasible"], "no reason given").value_counts()


def near_duplicates(campaign: Any) -> pd.DataFrame:
    """Pairs of one batch that are nearly the same trial: same reduced formula, or close in the space of features.

    Close: nearer to each other than half of all candidates are to their own nearest neighbour, in features that are
    standardised over the pool. distance is in units of that median. Columns: iteration, first, second, formulas, distance, why.
    """
    proposals, key = campaign.proposals, campaign.pool.id
    formulas = formulas_of(campaign)
    reduced = {} if formulas is None else {str(i): reduced_formula(formulas[str(i)]) for i in proposals[key].unique()}
    scaled = standardised(campaign.features.values)
    usual = median_neighbour(scaled)
    records = []
    for iteration, batch in proposals.groupby("iteration"):
        ids = batch[key].astype(str).tolist()
        points = scaled[campaign.pool.rows(ids)]
        for i, first in enumerate(ids):
            for j in range(i + 1, len(ids)):
                distance = float(np.linalg.norm(points[i] - points[j])) / usual
                same = bool(reduced) and reduced[first] is not None and reduced[first] == reduced[ids[j]]
                if not same and distance >= 1.0:
                    continue
                why = "same composition" if same else "close in feature space"
                pair = {"iteration": iteration, "first": first, "second": ids[j]}
                if formulas is not None:
                    pair["formulas"] = f"{formulas[first]}, {formulas[ids[j]]}"
                records.append(pair | {"distance": distance, "why": why})
    columns = ["iteration", "first", "second", *(["formulas"] if formulas is not None else []), "distance", "why"]
    return pd.DataFrame(records, columns=columns)


def cautions_table(campaign: Any) -> pd.DataFrame:
    """Measured candidates with magnetic or f-electron elements, the best first: id, formula, value, cautions."""
    formulas, key = formulas_of(campaign), campaign.pool.id
    columns = [key, "formula", *campaign.objective.names, "cautions"]
    if formulas is None:
        return pd.DataFrame(columns=columns)
    found = campaign.best(len(campaign.pool))
    table = found.assign(formula=[formulas[str(i)] for i in found[key]])
    table["cautions"] = ["; ".join(flags(formula)) for formula in table["formula"]]
    return table.loc[table["cautions"] != "", columns].reset_index(drop=True)


def formulas_of(campaign: Any) -> dict[str, str] | None:
    """{id: formula} where the pool has a column of formulas, or None."""
    pool = campaign.pool
    column = pool.spec.made_from.get("composition") or ("formula" if "formula" in pool.columns else None)
    if column is None:
        return None
    frame = pool.frame(columns=[column])
    return dict(zip(frame[pool.id].astype(str), frame[column].astype(str), strict=True))


def flags(formula: str) -> list[str]:
    """Cautions for one formula; none for text that is no formula."""
    from discover.errors import DiscoverError
    from discover.experiment.caution import flags as cautions

    try:
        return list(cautions(formula))
    except (DiscoverError, ValueError):
        return []


def reduced_formula(formula: str) -> str | None:
    """The formula in lowest terms, or None for text that is no formula."""
    from pymatgen.core import Composition

    try:
        return str(Composition(formula).reduced_formula)
    except ValueError:
        return None


def standardised(features: FloatArray) -> FloatArray:
    """Features [N, d] with mean 0 and deviation 1 over the pool; constant ones become 0."""
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def median_neighbour(scaled: FloatArray) -> float:
    """Median distance of a candidate to the nearest one that differs from it, from at most `NEIGHBOURS` evenly taken rows."""
    rows = np.unique(np.linspace(0, len(scaled) - 1, min(NEIGHBOURS, len(scaled))).astype(int))
    square = (scaled**2).sum(axis=1)
    nearest = []
    for row in rows:
        distance = np.sqrt(np.maximum(square + square[row] - 2 * scaled @ scaled[row], 0.0))
        others = distance[distance > 1e-6]
        if len(others):
            nearest.append(others.min())
    return float(np.median(nearest)) if nearest else 1.0
