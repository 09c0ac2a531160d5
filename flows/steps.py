"""The tasks that flows are made of. Each is a thin wrapper over a function that knows nothing of Prefect.

Collecting and dispatching have no time limit of their own, on purpose: how long an experiment may take is the experiment's
business (its settings), every result is committed before the next begins, and a run that is ended from outside loses only
what was in flight. A task's time limit could end neither a native library that does not return nor another process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from prefect import get_run_logger, runtime, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from discover import Campaign
from discover.acquisition.shards import spread_by
from discover.campaign.unattended.iterating import Summary, propose_next, summarise
from discover.candidates.snapshots.difference import Difference
from discover.definition import Definition, load
from discover.errors import IntegrityError, InvalidInput, SourceError, SourceUnavailable
from discover.protocols import Experiment
from discover.report.console import progress, watching
from discover.values import Advice
from flows.spread import address
from flows.sweeps import spread_over


def source_is_away(_task: Any, _run: Any, state: Any) -> bool:
    """Only a source that may come back is asked again."""
    try:
        state.result()
    except SourceUnavailable:
        return True
    except BaseException:
        return False
    return False


PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
"""Nothing of a campaign is kept by Prefect: the store has it."""
PATIENT: dict[str, Any] = PLAIN | {
    "retries": 2,
    "retry_delay_seconds": [60, 300],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": source_is_away,
}
"""For tasks that pull: a source that is away is asked twice more."""


@task(name="open", **PATIENT)
def open_campaign(file: str, store: str | None, accept_changes: bool) -> tuple[Definition, Campaign, Experiment | None]:
    """The campaign of a file; its candidates are pulled if it begins."""
    definition = load(file)
    with progress("candidates") as show:
        campaign = definition.open(store, changes="accept" if accept_changes else "refuse", progress=show)
    return definition, campaign, definition.runner(campaign.files)


@task(name="refresh", **PATIENT)
def refresh(definition: Definition, campaign: Campaign) -> Difference:
    """Take over what the source of the candidates has now: new, changed, withdrawn or back."""
    with progress("candidates") as show:
        return definition.refresh(campaign, progress=show)


def take_over(definition: Definition, campaign: Campaign) -> None:
    """Refresh the candidates; where that cannot be, the campaign goes on with those that it has, and its log says so."""
    try:
        change = refresh(definition, campaign)
    except (SourceError, InvalidInput, IntegrityError) as error:
        announce(f"candidates as before: {error}")
        return
    if change:
        announce(f"candidates: {change!r}")


@task(name="collect", **PLAIN)
def collect(campaign: Campaign, experiment: Experiment | None, limit: int | None, wait: bool = False) -> int:
    """Finish what is proposed, cut off or to be retried; how many attempts were made."""
    return _run(campaign, experiment, "unfinished", limit, wait)


@task(name="learn and propose", **PLAIN, timeout_seconds=3600)
def propose(campaign: Campaign, budget: int | None) -> int | None:
    """Fit, choose and commit the next batch; its number, or None where the budget is spent."""
    with spread_by(spread_over(address())):
        iteration = propose_next(campaign, budget)
    return None if iteration is None else iteration.number


@task(name="dispatch", **PLAIN)
def dispatch(
    campaign: Campaign, experiment: Experiment | None, number: int, limit: int | None, wait: bool = False
) -> int:
    """Run the batch; each result is committed before the next experiment begins."""
    return _run(campaign, experiment, f"iteration {number}", limit, wait)


def _run(campaign: Campaign, experiment: Experiment | None, what: str, limit: int | None, wait: bool) -> int:
    """How many experiments were made, here or by workers that have joined."""
    if experiment is None:
        return 0
    before = campaign.ledger.started
    with watching(campaign, what) as watch:
        ran = campaign.run_pending(experiment, limit, watch, wait=wait)
    return max(ran, campaign.ledger.started - before)


@task(name="publish", **PLAIN, retries=1, timeout_seconds=60)
def publish(campaign: Campaign, number: int) -> Summary:
    """A line for the terminal and the log, and a table artifact."""
    iteration = next(i for i in campaign.ledger.iterations if i.number == number)
    summary = summarise(campaign, iteration)
    table: Sequence[dict[str, Any]] = summary.table
    create_table_artifact(list(table), key=artifact_key(campaign.name), description=summary.line)
    return summary


def artifact_key(name: str) -> str:
    """Prefect's keys are of lower-case letters, digits and dashes."""
    clean = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return f"campaign-{clean}"


def short(campaign: Campaign) -> pd.DataFrame:
    """The best ten for a terminal: targets with their units, and of the candidates' columns what reads as a word or number."""
    best = campaign.best(10)
    hidden = (
        "proposal_id",
        "cost",
        "measured_at",
        "source",
        "note",
        "replicate",
        "fidelity",
        "cached",
        "seq",
        "iteration",
    )
    lists = [c for c in best if best[c].map(lambda cell: isinstance(cell, (list, dict))).any()]
    long = [c for c in best if str(c).endswith(("_hash", "_bound"))]
    units = {name: f"{name} [{unit}]" for name, unit in campaign.objective.units.items() if unit}
    return best.drop(columns=[*lists, *long, *(c for c in hidden if c in best)]).rename(columns=units)


def announce(line: str) -> None:
    """Say something in the run's log, and on the terminal where a person started the run.

    A scheduled run has only its log, which the worker shows: its own output goes to a worker that may be gone.
    """
    if runtime.deployment.id is None:
        print(line, flush=True)
    get_run_logger().info(line)


def explain(advice: Advice) -> str:
    """Why the campaign stops."""
    return f"stopped: {advice.evidence}"
