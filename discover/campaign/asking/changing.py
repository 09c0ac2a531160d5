"""What changing over costs in a campaign: from one of its experiments to the next, in the order in which they were proposed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from discover.campaign.terms import Terms
from discover.candidates.space.points import Points, Pool
from discover.changes import Changes
from discover.errors import InvalidInput, Problem
from discover.protocols import View
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.trials import Trial
from discover.values import Batch, Candidate, FloatArray, IntArray, Proposal

_coded: WeakKeyDictionary[Pool, dict[str, IntArray]] = WeakKeyDictionary()
_changes: WeakKeyDictionary[Pool, dict[str, Changes]] = WeakKeyDictionary()


def coded(pool: Pool, name: str) -> IntArray:
    """[N] numbers, equal where a column's values are, or all values of a parameter of several; what is missing is a value of
    its own."""
    held = _coded.setdefault(pool, {})
    if name not in held:
        columns = columns_of(pool, name)
        frame = pool.frame(columns=columns)
        codes = [pd.factorize(frame[column], use_na_sentinel=False)[0] for column in columns]
        alone = codes[0] if len(codes) == 1 else np.unique(np.stack(codes), axis=1, return_inverse=True)[1]
        held[name] = alone.reshape(-1).astype(np.int64)
    return held[name]


def columns_of(pool: Pool, name: str) -> list[str]:
    """A column by itself, or the columns of a parameter that has several, such as a mixture; [] for what is neither."""
    if name in pool.columns or not isinstance(pool, Points):
        return [name] if name in pool.columns else []
    return [column for one in pool.space.parameters if one.name == name for column in one.columns]


def changes_of(ledger: Ledger, terms: Terms, pool: Pool) -> Changes | None:
    """The prices of changing over, from the experiment that was proposed last; None where the terms name none."""
    if not terms.changes:
        return None
    changes = _from_nothing(terms, pool)
    trials = _made(ledger)
    return replace(changes, standing=_standing(terms, pool, changes, trials[-1]) if trials else None)


def standing(ledger: Ledger) -> str | None:
    """The candidate that is set up, where the terms price changes: it decides on the next batch."""
    made = _made(ledger) if Terms.of(ledger.definition["policy"]).changes else []
    return made[-1].candidate_id if made else None


def changing(ledger: Ledger, terms: Terms, pool: Pool, counts: Callable[[Trial], bool]) -> float:
    """What the change-overs to those experiments cost that count, each from the one before it."""
    if not terms.changes:
        return 0.0
    trials = [trial for trial in _made(ledger) if trial.candidate_id in pool]
    rows = pool.rows([trial.candidate_id for trial in trials]).tolist()
    steps = _from_nothing(terms, pool).along(rows)
    return float(sum(cost for cost, trial in zip(steps, trials, strict=True) if counts(trial)))


def in_running_order(batch: Batch, view: View) -> Batch:
    """A batch in an order in which little is changed from one experiment to the next, with what each change costs.

    The batch as it is where changing over costs nothing.
    """
    if view.ground is None:
        changes, rows = view.limits.changes, np.searchsorted(view.ids, [p.candidate_id for p in batch])
    else:
        found: list[Candidate] = [p.candidate for p in batch if p.candidate is not None]
        points = view.ground.known.grown(found)
        changes, rows = view.ground.limiting(points).changes, points.rows([one.id for one in found])
    if changes is None:
        return batch
    by_row = dict(zip(rows.tolist(), batch, strict=True))
    # As they joined the batch, so that it costs what was held against its budget: what was drawn at random came first.
    joined = sorted(by_row, key=lambda row: by_row[row].policy != "explore")
    steps = changes.steps(joined)
    return replace(batch, proposals=tuple(_priced(by_row[row], cost) for row, cost in steps))


def in_given_order(proposals: Sequence[Proposal], ledger: Ledger, pool: Pool) -> Sequence[Proposal]:
    """A person's own choice, as it is, with what each change costs; without that where changing over costs nothing."""
    terms = Terms.of(ledger.definition["policy"])
    if isinstance(pool, Points):
        pool = pool.grown([proposal.candidate for proposal in proposals if proposal.candidate is not None])
    if (changes := changes_of(ledger, terms, pool)) is None:
        return proposals
    steps = changes.along(pool.rows([proposal.candidate_id for proposal in proposals]).tolist())
    return [_priced(proposal, cost) for proposal, cost in zip(proposals, steps, strict=True)]


def _priced(proposal: Proposal, cost: float) -> Proposal:
    reason = f"{proposal.reason}; changing over to it costs {cost:g}" if cost else proposal.reason
    return replace(proposal, reason=reason, details={**proposal.details, "change_over": cost})


def _made(ledger: Ledger) -> list[Trial]:
    """Experiments that were begun, or wait: what was withdrawn before anybody began changed nothing."""
    return [trial for trial in ledger.trials.values() if trial.attempts or trial.state.pending]


def check_changes(terms: Terms, pool: Pool) -> None:
    """InvalidInput for a price per unit of what is no number."""
    if terms.changes:
        _from_nothing(terms, pool)


def _from_nothing(terms: Terms, pool: Pool) -> Changes:
    """The prices over a pool, with nothing set up. InvalidInput for a price per unit of what is no number."""
    held, key = _changes.setdefault(pool, {}), repr(terms.changes)
    if key not in held:
        held[key] = _worked_out(terms, pool)
    return held[key]


def _worked_out(terms: Terms, pool: Pool) -> Changes:
    """The same, from the columns of the pool."""
    columns, prices = list(terms.changes), list(terms.changes.values())
    measured = [column for column, (_, per_unit) in terms.changes.items() if per_unit]
    single = [column for column in measured if column in pool.columns]
    frame = pool.frame(columns=single) if single else pd.DataFrame()
    hint = "give it the price of any change: {fixed: 10}"
    problems = [
        Problem("is no column of numbers", column=f"change_over.{column}", way_out=hint)
        for column in measured
        if column not in single or not pd.api.types.is_numeric_dtype(frame[column])
    ]
    if problems:
        raise InvalidInput("policy", problems)
    numbers: FloatArray = np.zeros((len(pool), len(columns)) if measured else (1, len(columns)))
    for k, column in enumerate(columns):
        if column in measured:
            numbers[:, k] = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return Changes(
        fixed=np.array([fixed for fixed, _ in prices]),
        per_unit=np.array([per_unit for _, per_unit in prices]),
        codes=np.stack([coded(pool, column) for column in columns], axis=1),
        numbers=np.broadcast_to(numbers, (len(pool), len(columns))),
    )


def _standing(terms: Terms, pool: Pool, changes: Changes, last: Trial) -> tuple[IntArray, FloatArray]:
    """What is set up since an experiment: the codes and numbers of its candidate, which need not be in the pool."""
    if last.candidate_id in pool:
        row = int(pool.rows([last.candidate_id])[0])
        return changes.codes[row], changes.numbers[row]
    candidate = last.proposal.candidate
    values: Mapping[str, Any] = {} if candidate is None else candidate.values
    codes, numbers = [], []
    for k, name in enumerate(terms.changes):
        fine = np.ones(len(pool), dtype=bool)
        for column in columns_of(pool, name):
            value, held = values.get(column), pool.frame(columns=[column])[column]
            fine &= (held.isna() if value is None else held == value).to_numpy(dtype=bool)
        alike, value = np.flatnonzero(fine), values.get(name)
        codes.append(int(changes.codes[alike[0], k]) if len(alike) else -1)
        numbers.append(float(value) if terms.changes[name][1] and value is not None else np.nan)
    return np.array(codes), np.array(numbers)
