"""What one batch may hold and cost: the terms of a campaign, read from the columns of its candidates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from discover.campaign.asking.changing import changes_of, changing, check_changes, coded, columns_of, standing
from discover.campaign.terms import Terms
from discover.candidates.space.points import Pool
from discover.errors import InvalidInput, Problem, Unsupported, nearest
from discover.limits import Limits
from discover.protocols import Policy
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Failure, Trial
from discover.values import FloatArray, Observation, Spending, Training

_costs: WeakKeyDictionary[Pool, dict[str, FloatArray]] = WeakKeyDictionary()


def limits_of(ledger: Ledger, pool: Pool) -> Limits:
    """What holds in the next batch. InvalidInput where the candidates lack a column, or cost what cannot be.

    Where costs are learned, the funds are what was not spent yet: what is pending is for whoever knows the costs to set aside.
    """
    terms = Terms.of(ledger.definition["policy"])
    if not terms.columns and not terms.learns_costs:
        return Limits()
    check_limits(terms, pool)
    costs = known_costs(terms, pool)
    budget = ledger.definition["budget"].get("cost")
    funds = math.inf
    if budget is not None and terms.learns_costs:
        funds = float(budget) - ledger.cost
    elif budget is not None and costs is not None:
        funds = float(budget) - spent(ledger, pool, costs) - _reserved(ledger, pool, costs)
    codes = {column: coded(pool, column) for column in (*terms.most, *terms.same)}
    return Limits(terms.most, terms.same, codes, costs, funds, changes=changes_of(ledger, terms, pool))


def check_limits(terms: Terms, pool: Pool) -> None:
    """InvalidInput with everything in the terms that the candidates do not bear out."""
    problems = [
        Problem("no such column in the candidates", column=f"{option}.{column}", way_out=nearest(column, pool.columns))
        for option, column in terms.columns
        if not (columns_of(pool, column) if option == "change_over" else column in pool.columns)
    ]
    if problems:
        raise InvalidInput("policy", problems)
    known_costs(terms, pool)
    check_changes(terms, pool)


def check_costs(terms: Terms, policy: Policy, *, space: bool) -> None:
    """Unsupported where a policy cannot do with costs what the terms ask of it. space: whether candidates are points of one."""
    able = getattr(policy, "check_costs", None)
    if terms.learns_costs and space:
        raise Unsupported("over a search space costs are not learned; take a pool, or leave out cost: learned")
    if terms.learns_costs and able is None:
        raise Unsupported(
            f"{type(policy).__name__} learns no costs; take policy 'bayesian', or leave out cost: learned"
        )
    if (terms.cost is not None or terms.changes) and able is not None:
        able()


def known_costs(terms: Terms, pool: Pool) -> FloatArray | None:
    """What each candidate costs [N], change-overs aside, or None where the terms do not say. 1 where they tell only what
    changing over costs. InvalidInput names those that cost nothing."""
    if terms.cost is None and terms.changes:
        return np.ones(len(pool))
    if terms.cost is None or terms.learns_costs:
        return None
    held = _costs.setdefault(pool, {})
    key = repr(terms.cost)
    if key not in held:
        held[key] = _worked_out(terms.cost, pool)
    return held[key]


def told_costs(ledger: Ledger, pool: Pool) -> Training | None:
    """What was told of costs, in canonical order; None where nobody asks that costs be learned."""
    if not Terms.of(ledger.definition["policy"]).learns_costs:
        return None
    found: list[Observation | Failure] = [*ledger.observations.values(), *ledger.failures()]
    known = [(one.candidate_id, one.cost) for one in found if one.cost is not None and one.candidate_id in pool]
    rows = pool.rows([candidate for candidate, _ in known])
    values = np.array([cost for _, cost in known], dtype=np.float64)
    order = np.lexsort((values, rows))
    unknown = np.full(len(order), np.nan)
    return Training(rows[order].astype(np.int64), values[order], unknown, np.zeros(len(order), dtype=np.int64))


def spending_of(ledger: Ledger, pool: Pool) -> Spending:
    """Experiments started, and their cost: as it was told, else as the candidates' columns say."""
    costs = known_costs(Terms.of(ledger.definition["policy"]), pool)
    return ledger.spending if costs is None else Spending(ledger.started, spent(ledger, pool, costs))


def spent(ledger: Ledger, pool: Pool, costs: FloatArray) -> float:
    """What was told, and what the candidates cost of whose experiments no cost was told, with changing over to them."""
    changed = changing(ledger, Terms.of(ledger.definition["policy"]), pool, lambda trial: _begun(trial) > 0)
    return ledger.cost + _sum(ledger, pool, costs, _begun) + changed


def booked(ledger: Ledger) -> object:
    """What the price of the next batch, and what is left for it, hang on besides results: another one chosen at the same time
    changes them. The same at all times where nothing is priced."""
    terms = Terms.of(ledger.definition["policy"])
    limited = terms.cost is not None and ledger.definition["budget"].get("cost") is not None
    return (standing(ledger), len(ledger.trials)) if terms.changes or limited else None


def remaining(ledger: Ledger) -> int | None:
    """Experiments that the budget leaves beyond those that wait; None without one."""
    limit = ledger.definition["budget"].get("experiments")
    if limit is None:
        return None
    return max(0, int(limit) - ledger.started - sum(1 for trial in ledger.pending() if not trial.attempts))


def _reserved(ledger: Ledger, pool: Pool, costs: FloatArray) -> float:
    """What proposals will cost that nobody has begun, with changing over to them."""
    changed = changing(ledger, Terms.of(ledger.definition["policy"]), pool, lambda trial: _waits(trial) > 0)
    return _sum(ledger, pool, costs, _waits) + changed


def _sum(ledger: Ledger, pool: Pool, costs: FloatArray, times: Callable[[Trial], int]) -> float:
    counted = [(trial.candidate_id, times(trial)) for trial in ledger.trials.values() if trial.candidate_id in pool]
    counted = [(candidate, count) for candidate, count in counted if count]
    rows = pool.rows([candidate for candidate, _ in counted])
    return math.fsum(costs[rows] * np.array([count for _, count in counted], dtype=np.float64))


def _begun(trial: Trial) -> int:
    """How often an experiment was begun, unless its cost was told."""
    return 0 if _told(trial) else trial.attempts


def _waits(trial: Trial) -> int:
    return int(trial.state.pending and not trial.attempts)


def _told(trial: Trial) -> bool:
    values = (o.cost for group in trial.values.values() for o in group.values())
    return any(cost is not None for cost in (*values, *(failure.cost for failure in trial.failures)))


def _worked_out(cost: str | Mapping[str, Any], pool: Pool) -> FloatArray:
    prices = {cost: 1.0} if isinstance(cost, str) else cost
    frame = pool.frame(columns=list(prices))
    problems: list[Problem] = []
    total = np.zeros(len(pool))
    for column, price in prices.items():
        values = frame[column]
        if isinstance(price, Mapping):
            known = {str(name): float(one) for name, one in price.items()}
            part = values.astype(str).map(known)
            missing = sorted(set(values[part.isna()].astype(str)))
            problems += [Problem("has no price", column=column, value=name) for name in missing[:10]]
            total += part.fillna(1.0).to_numpy(dtype=np.float64)
        elif pd.api.types.is_numeric_dtype(values):
            total += float(price) * values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            hint = f"give each of its values a price: {{{column}: {{{values.iloc[0]}: 1.5, …}}}}"
            problems.append(Problem("is no column of numbers", column=column, way_out=hint))
    if not problems:
        wrong = np.flatnonzero(~(np.isfinite(total) & (total > 0)))
        problems = [
            Problem("must cost a number above 0", row=str(pool.ids[row]), column="cost", value=float(total[row]))
            for row in wrong[:10]
        ]
    if problems:
        raise InvalidInput("costs of the candidates", problems)
    total.flags.writeable = False
    return total
