"""One iteration of an unattended campaign: collect, learn, propose, dispatch. The parts that a flow calls."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from discover import registry
from discover.campaign.campaign import Campaign
from discover.campaign.reading.predicting import outlook_of
from discover.campaign.reading.tables import counts
from discover.policy.in_space import listed
from discover.policy.rules import Standing
from discover.policy.stopping import Budget, Exhausted
from discover.protocols import View
from discover.store.ledger.ledger import Ledger
from discover.store.ledger.life import State
from discover.store.ledger.trials import Iteration
from discover.values import Advice

KEY = "iteration-{}"


@dataclass(frozen=True)
class Summary:
    """What one iteration brought. `line` is for a terminal, `table` for a page."""

    iteration: int
    line: str
    table: list[dict[str, Any]]
    verdict: str


def room(campaign: Campaign, budget: int | None = None) -> int | None:
    """How many experiments may still be started; None where there is no budget of them, 0 where that in cost is spent."""
    limit = budget if budget is not None else campaign.budget
    if _spent(campaign):
        return 0
    return None if limit is None else max(0, limit - campaign.spending.experiments)


def advise(campaign: Campaign, budget: int | None = None) -> Advice:
    """Whether the campaign should stop now, with the evidence."""
    limit = budget if budget is not None else campaign.budget
    view, spending, cost = campaign.view(), campaign.spending, campaign.cost_budget
    rules = [Exhausted()] + ([Budget(limit, cost)] if limit is not None or cost is not None else [])
    advices = [rule.advise(view, spending) for rule in rules]
    advices += _further(campaign, view)
    if again := sum(trial.state is State.RETRYABLE for trial in campaign.ledger.pending()):
        advices[0] = Advice(False, f"{again} failed experiments are to be tried again", advices[0].numbers)
    return next((advice for advice in advices if advice.stop), advices[-1])


def _spent(campaign: Campaign) -> bool:
    """Whether the budget in cost, if there is one, is spent."""
    cost = campaign.cost_budget
    return cost is not None and campaign.spending.cost >= cost


def _further(campaign: Campaign, view: View) -> list[Advice]:
    """The advice of the campaign's own stopping rules, which look at every point of a space that can be listed."""
    settings = campaign.definition.get("stop", ())
    if not settings:
        return []
    whole = listed(view)
    standing = Standing(_values(campaign), cache(lambda: outlook_of(whole, campaign.policy)))
    return [registry.configure(registry.STOPPING, one).advise(whole, standing) for one in settings]


def _values(campaign: Campaign) -> tuple[float, ...]:
    """Of the first target, in the order in which they came; NaN for what failed, is a bound or breaks a constraint."""
    objective, found = campaign.objective, campaign.observations
    name = objective.names[0]
    kept = [counts(row, objective) for row in found.to_dict("records")]
    return tuple(float(value) if fine else math.nan for value, fine in zip(found[name], kept, strict=True))


def vacancies(campaign: Campaign, budget: int | None = None) -> int:
    """How many proposals workers lack: a batch, less what nobody has begun yet, within the budget."""
    ledger = campaign.ledger  # read once: a worker that begins in between must not be counted twice
    queued = sum(1 for trial in ledger.pending() if trial.runnable or trial.state is State.PROPOSED)
    limit = budget if budget is not None else campaign.budget
    left = campaign.batch_size if limit is None else min(campaign.batch_size, limit - ledger.started)
    if _spent(campaign):
        left = 0
    return max(0, left - queued)


def wait_for_vacancy(campaign: Campaign, budget: int | None = None, pause: float = 1.0) -> None:
    """Return when workers need further proposals, or when there is nothing more that they could do."""
    while not vacancies(campaign, budget):
        pending = campaign.ledger.pending()
        if not pending or (room(campaign, budget) == 0 and not any(trial.in_flight for trial in pending)):
            return
        time.sleep(pause)


def propose_next(campaign: Campaign, budget: int | None = None) -> Iteration | None:
    """The next batch, under a key of its own; None where no experiment may be started any more.

    What was proposed before and is not finished is the caller's to finish first. Where workers run the experiments, the
    batch is only as large as what they lack.
    """
    left = vacancies(campaign, budget) if campaign.by_workers else room(campaign, budget)
    if left == 0:
        return None
    size = campaign.batch_size if left is None else min(campaign.batch_size, left)
    return campaign._ask(size, next_key(campaign.ledger))


def next_key(ledger: Ledger) -> str:
    """The key of the next unattended batch: of two processes that ask for it at once, both get the same batch."""
    number = 1 + sum(1 for key in ledger.keys if key.startswith(KEY.format("")))
    while KEY.format(number) in ledger.keys:  # a person may have asked under it
        number += 1
    return KEY.format(number)


def summarise(campaign: Campaign, iteration: Iteration) -> Summary:
    """Best so far, predicted against found, and the model's verdict on itself."""
    found = campaign.observations
    mine = campaign.proposals.query("iteration == @iteration.number")
    states = mine["state"].value_counts().to_dict()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    target = campaign.objective.targets[0]
    unit = f" {target.unit}" if target.unit else ""
    best = campaign.best(1)
    lead = (
        f"best {best[target.name].iloc[0]:.4g}{unit} ({best[campaign.pool.id].iloc[0]})"
        if len(best)
        else "nothing measured yet"
    )
    if len(campaign.objective.targets) > 1 and len(best):
        front = campaign.front()
        lead = f"front of {int(front.member.sum())}, hypervolume {front.hypervolume:.4g}"
    verdict = iteration.verdict
    started = campaign.spending.experiments
    budget = f" of {campaign.budget}" if campaign.budget else ""
    parts = [f"iteration {iteration.number}", f"{started}{budget} experiments", lead, counts]
    if text := _predicted_and_found(mine, campaign):
        parts.append(text)
    if verdict:
        parts.append(f"model: {verdict}")
    known = found.set_index("proposal_id")["reason"].to_dict() if len(found) else {}
    return Summary(
        iteration.number,
        " · ".join(parts),
        [_row(record, campaign, known) for record in mine.to_dict("records")],
        verdict,
    )


def _predicted_and_found(mine: pd.DataFrame, campaign: Campaign) -> str:
    name = campaign.objective.names[0]
    mean = "predicted_mean" if "predicted_mean" in mine else f"predicted_mean_{name}"
    both = mine.dropna(subset=[mean, name])
    if both.empty:
        return ""
    spread = float(np.sqrt(((both[mean] - both[name]) ** 2).mean()))
    if len(both) == 1:
        return f"predicted {both[mean].iloc[0]:.4g}, found {both[name].iloc[0]:.4g}"
    return (
        f"predicted {both[mean].mean():.4g}, found {both[name].mean():.4g} on average of {len(both)} "
        f"(root mean square error {spread:.3g})"
    )


def _row(record: Mapping[Any, Any], campaign: Campaign, known: Mapping[Any, str]) -> dict[str, Any]:
    columns = [
        "proposal_id",
        campaign.pool.id,
        *(c for c in record if str(c).startswith("predicted_")),
        *campaign.objective.names,
        "state",
    ]
    row = {str(c): (None if isinstance(record[c], float) and np.isnan(record[c]) else record[c]) for c in columns}
    return row | {"reason": record["reason"], "remark": known.get(record["proposal_id"], "")}
