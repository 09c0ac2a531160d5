"""The ledger as DataFrames: what a scientist looks at."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from discover.campaign.claiming import shown_state, shown_worker
from discover.candidates.space.points import Pool
from discover.objective import Objective
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Trial


def predicted_columns(objective: Objective) -> list[tuple[str, str, str]]:
    """(what is measured, its mean column, its deviation column); those of a single target carry no name."""
    alone = objective.names[0] if len(objective.targets) == 1 else None
    suffixes = {name: "" if name == alone else f"_{name}" for name in objective.names}
    return [(name, f"predicted_mean{suffix}", f"predicted_std{suffix}") for name, suffix in suffixes.items()]


def batch_frame(trials: Sequence[Trial], objective: Objective, pool: Pool, *, structure: bool = True) -> pd.DataFrame:
    """What `ask` returns: one row a proposal, ready to be filled in and told."""
    hidden = () if structure else (pool.structure,)
    own = [c for c in (*pool.columns, *((pool.structure,) if pool.structure else ())) if c not in hidden]
    records = []
    for trial in trials:
        proposal = trial.proposal
        values = proposal.candidate.values if proposal.candidate else {}
        record: dict[str, Any] = {"proposal_id": proposal.proposal_id, pool.id: trial.candidate_id}
        record |= {column: values.get(column) for column in own}
        for target, mean, std in predicted_columns(objective):
            prediction = proposal.predicted.get(target)
            record[mean] = prediction.mean if prediction else math.nan
            record[std] = prediction.std if prediction else math.nan
        record["acquisition"] = math.nan if proposal.acquisition is None else proposal.acquisition
        record["reason"] = proposal.reason
        records.append(record)
    predicted = [name for _, mean, std in predicted_columns(objective) for name in (mean, std)]
    return pd.DataFrame(records, columns=["proposal_id", pool.id, *own, *predicted, "acquisition", "reason"])


def proposals_frame(
    ledger: Ledger, objective: Objective, id_name: str, workers: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Every proposal that was ever made, with its reason, its state and what was found. workers: who has which in hand."""
    workers = workers or {}
    records = []
    for trial in ledger.trials.values():
        proposal = trial.proposal
        record: dict[str, Any] = {
            "proposal_id": proposal.proposal_id,
            id_name: trial.candidate_id,
            "iteration": trial.iteration,
            "rank": proposal.rank,
            "policy": proposal.policy,
            "reason": proposal.reason,
            "probability": proposal.probability,
        }
        for target, mean, std in predicted_columns(objective):
            prediction = proposal.predicted.get(target)
            record[mean] = prediction.mean if prediction else math.nan
            record[std] = prediction.std if prediction else math.nan
        record |= {"acquisition": proposal.acquisition, "state": shown_state(trial, workers).value}
        for target in objective.names:
            found = trial.values.get(target, {})
            record[target] = next(iter(found.values())).value if found else math.nan
        record |= {
            "attempts": trial.attempts,
            "worker": shown_worker(trial, workers),
            "details": dict(proposal.details),
            "seq": trial.seq,
            "proposed_at": trial.time,
        }
        records.append(record)
    predicted = [name for _, mean, std in predicted_columns(objective) for name in (mean, std)]
    columns = ["proposal_id", id_name, "iteration", "rank", "policy", "reason", "probability", *predicted, "acquisition",
               "state", *objective.names, "attempts", "worker", "details", "seq", "proposed_at"]  # fmt: skip
    return pd.DataFrame(records, columns=columns)


def observations_frame(ledger: Ledger, objective: Objective, id_name: str) -> pd.DataFrame:
    """Everything that was found out, one row a trial, in the order in which it was told; failures included."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for o in ledger.observations.values():
        place = (
            o.proposal_id or ("", o.candidate_id, o.source),
            o.replicate,
            o.fidelity,
            str(sorted(o.context.items())),
        )
        row = rows.setdefault(place, _blank(o, ledger, id_name) | {"status": "measured", "reason": "", "cached": False})
        row[o.target], row[f"{o.target}_std"] = o.value, math.nan if o.std is None else o.std
        row[f"{o.target}_bound"] = o.bound
        row["cached"] = bool(o.extra.get("cached", False))
        row["extra"] = {**row["extra"], **o.extra}
        row["cost"] = o.cost if row["cost"] is None else row["cost"]
        row["seq"] = min(row["seq"], o.seq)
        if o.bound:
            row["status"] = "censored"
    failures = [
        _blank(f, ledger, id_name)
        | {"status": f.status, "reason": f.reason, "cached": bool(f.extra.get("cached", False))}
        for f in ledger.failures()
    ]
    targets = [c for name in objective.names for c in (name, f"{name}_std", f"{name}_bound")]
    columns = [id_name, "proposal_id", "status", *targets, "replicate", "fidelity", "cost", "measured_at", "source",
               "note", "reason", "cached", "extra", "iteration", "seq"]  # fmt: skip
    frame = pd.DataFrame([*rows.values(), *failures], columns=columns).sort_values("seq", ignore_index=True)
    for name in objective.names:
        frame[[name, f"{name}_std"]] = frame[[name, f"{name}_std"]].astype(float)
    return frame


def _blank(found: Any, ledger: Ledger, id_name: str) -> dict[str, Any]:
    trial = ledger.trials.get(found.proposal_id or "")
    return {
        id_name: found.candidate_id,
        "proposal_id": found.proposal_id,
        "replicate": found.replicate,
        "fidelity": found.fidelity,
        "cost": found.cost,
        "measured_at": found.measured_at,
        "source": found.source,
        "note": found.note,
        "extra": dict(found.extra),
        "iteration": trial.iteration if trial else None,
        "seq": found.seq,
    }


def order_by_utility(frame: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Measured rows, the best first: by the target's utility, or the Pareto front first where there are several targets."""
    whole = frame[frame["status"].isin(("measured", "censored"))].dropna(subset=list(objective.names))
    whole = whole[np.array([counts(row, objective) for row in whole.to_dict("records")], dtype=bool)]
    if whole.empty:
        return whole
    utilities = pd.DataFrame(
        {t.name: t.utility(whole[t.name].to_numpy(float)) for t in objective.targets}, index=whole.index
    )
    if len(objective.targets) == 1:
        order = utilities.iloc[:, 0].sort_values(ascending=False, kind="stable").index
        return whole.loc[order]
    values = utilities.to_numpy()
    beaten = [int(((values >= row).all(axis=1) & (values > row).any(axis=1)).sum()) for row in values]
    return whole.assign(beaten_by=beaten).sort_values("beaten_by", kind="stable")


def counts(row: Mapping[Hashable, Any], objective: Objective) -> bool:
    """Whether an observation may be the best: its targets are measured, and it keeps the constraints, whatever limits hide."""
    if row["status"] != "measured" and (
        row["status"] != "censored" or any(_limit(row, target.name) for target in objective.targets)
    ):
        return False
    ends = {"below": -math.inf, "above": math.inf}
    hidden = [(c, ends[limit]) for c in objective.constraints if (limit := _limit(row, c.target))]
    return objective.feasible({t: row[t] for t in objective.names}) and all(end in (c.low, c.high) for c, end in hidden)


def _limit(row: Mapping[Hashable, Any], name: str) -> str:
    bound = row[f"{name}_bound"]
    return bound if isinstance(bound, str) else ""


def best_frame(observations: pd.DataFrame, objective: Objective, pool: Pool, n: int) -> pd.DataFrame:
    """The best measured candidates with their own columns; one measured repeatedly stands once, with its best."""
    found = order_by_utility(observations, objective).drop_duplicates(pool.id).head(n).reset_index(drop=True)
    own = pool.frame(pool.rows(list(found[pool.id]))).drop(columns=pool.id).reset_index(drop=True)
    lead = [pool.id, *objective.names]
    ours = [c for c in found.columns if c not in (*lead, *own.columns, "extra", "reason", "status")]
    return pd.concat([found[lead], own, found[ours]], axis=1)


def iterations_frame(ledger: Ledger, objective: Objective, observations: pd.DataFrame) -> pd.DataFrame:
    """One row a batch: what was learned before it, and the best value once it was in."""
    records = []
    for iteration in ledger.iterations:
        upto = observations[observations["iteration"].fillna(0) <= iteration.number]
        best = order_by_utility(upto, objective)
        records.append(
            {
                "iteration": iteration.number,
                "key": iteration.key,
                "n": len(iteration.proposal_ids),
                "time": iteration.time,
                "policy": iteration.policy,
                "verdict": iteration.verdict,
                "best_so_far": best[objective.names[0]].iloc[0] if len(best) else math.nan,
                "shortage": iteration.shortage,
                "learned": dict(iteration.learned),
            }
        )
    columns = ["iteration", "key", "n", "time", "policy", "verdict", "best_so_far", "shortage", "learned"]
    return pd.DataFrame(records, columns=columns)
