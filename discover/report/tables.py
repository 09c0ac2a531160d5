"""The tables of a report, as DataFrames: the best, why each was tried, failures, cautions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from discover.report.conditions import conditions_of
from discover.report.formulas import flags, formulas_of


def best_table(campaign: Any, n: int = 10) -> pd.DataFrame:
    """The best n: rank, id, formula or conditions, found, its deviation, what was predicted before, iteration, cautions."""
    objective, key = campaign.objective, campaign.pool.id
    found = campaign.best(n).reset_index(drop=True)
    table = pd.DataFrame({"rank": np.arange(1, len(found) + 1), key: found[key].astype(str)})
    formulas = formulas_of(campaign, table[key])
    if formulas is not None:
        table["formula"] = [formulas[i] for i in table[key]]
    table["conditions"] = _conditions(campaign, table[key])
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


def best_of_each(campaign: Any) -> list[dict[str, Any]]:
    """For each target the candidate that is best in it: target, unit, value, id, formula ('' where there is none)."""
    found, key = campaign.best(max(1, len(campaign.observations))), campaign.pool.id
    each = []
    for target in campaign.objective.targets if len(found) else ():
        row = found.iloc[int(np.nanargmax(target.utility(found[target.name].to_numpy(dtype=np.float64))))]
        formulas = formulas_of(campaign, [row[key]])
        each.append(
            {
                "target": target.name,
                "unit": target.unit,
                "value": float(row[target.name]),
                "id": str(row[key]),
                "formula": formulas[str(row[key])] if formulas is not None else "",
            }
        )
    return each


def why_table(campaign: Any) -> pd.DataFrame:
    """Every proposal in order: iteration, rank in its batch, id, formula or conditions, reason, prediction, state, found, failure's reason."""
    proposals, key = campaign.proposals, campaign.pool.id
    observed = campaign.observations
    told = observed[observed["proposal_id"].notna()]
    reasons = told[told["status"].isin(("failed", "infeasible"))].groupby("proposal_id")["reason"].last()
    table = proposals.assign(why_not=proposals["proposal_id"].map(reasons.to_dict()).astype(object).fillna(""))
    for name in campaign.objective.names:
        table[name] = table["proposal_id"].map(told[told["status"] != "failed"].groupby("proposal_id")[name].mean())
    formulas = formulas_of(campaign, table[key])
    if formulas is not None:
        table["formula"] = [formulas[str(i)] for i in table[key]]
    table["conditions"] = _conditions(campaign, table[key])
    return table


def failures_table(campaign: Any) -> pd.DataFrame:
    """Every trial without a value: id, formula or conditions, status, reason, iteration."""
    observed, key = campaign.observations, campaign.pool.id
    failed = observed[observed["status"].isin(("failed", "infeasible"))].reset_index(drop=True)
    columns = [key, "status", "reason", "iteration"]
    table = failed[columns].copy()
    formulas = formulas_of(campaign, table[key])
    if formulas is not None:
        table.insert(1, "formula", [formulas[str(i)] for i in table[key]])
    table["conditions"] = _conditions(campaign, table[key])
    return table


def failure_kinds(failures: pd.DataFrame) -> pd.Series:
    """How many failures there are of each kind: what stands before the colon of the reason, without its own numbers."""
    kinds = failures["reason"].fillna("").astype(str).str.split(":").str[0].str.strip()
    kinds = kinds.str.replace(r"=\s*[-+]?[\d.]+(?:e[-+]?\d+)?", "= …", regex=True, flags=re.IGNORECASE)
    return kinds.replace(["", "failed", "infeasible"], "no reason given").value_counts()


def cautions_table(campaign: Any) -> pd.DataFrame:
    """Measured candidates with magnetic or f-electron elements, the best first: id, formula, value, cautions."""
    key = campaign.pool.id
    columns = [key, "formula", *campaign.objective.names, "cautions"]
    found = campaign.best(max(1, len(campaign.pool)))
    formulas = formulas_of(campaign, found[key])
    if formulas is None:
        return pd.DataFrame(columns=columns)
    table = found.assign(formula=[formulas[str(i)] for i in found[key]])
    table["cautions"] = ["; ".join(flags(formula)) for formula in table["formula"]]
    return table.loc[table["cautions"] != "", columns].reset_index(drop=True)


def _conditions(campaign: Any, ids: pd.Series) -> list[str]:
    told = conditions_of(campaign, ids)
    return [told.get(str(i), "") for i in ids]
