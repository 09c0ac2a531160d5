"""The tasks that flows are made of. Each is a thin wrapper over a function that knows nothing of Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from discover import Campaign
from discover.campaign.iterating import Summary, propose_next, summarise
from discover.definition import Definition, load
from discover.errors import SourceUnavailable
from discover.protocols import Advice, Experiment
from discover.report.console import progress, watching


def _unavailable(_task: Any, _run: Any, state: Any) -> bool:
    """Only a source that may come back is asked again."""
    try:
        state.result()
    except SourceUnavailable:
        return True
    except BaseException:
        return False
    return False


@task(
    name="open",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[30, 120],
    retry_jitter_factor=0.5,
    retry_condition_fn=_unavailable,
)
def open_campaign(file: str, store: str | None, accept_changes: bool) -> tuple[Definition, Campaign, Experiment | None]:
    """The campaign of a file; its candidates are pulled if it begins."""
    definition = load(file)
    with progress("candidates") as show:
        campaign = definition.open(store, changes="accept" if accept_changes else "refuse", progress=show)
    return definition, campaign, definition.runner(campaign.files)


@task(name="collect", cache_policy=NO_CACHE, persist_result=False)
def collect(campaign: Campaign, experiment: Experiment | None, limit: int | None) -> int:
    """Finish what is proposed, cut off or to be retried; how many attempts were made."""
    if experiment is None:
        return 0
    with watching(campaign, "unfinished") as watch:
        return campaign.run_pending(experiment, limit, watch)


@task(name="learn and propose", cache_policy=NO_CACHE, persist_result=False, timeout_seconds=3600)
def propose(campaign: Campaign, budget: int | None) -> int | None:
    """Fit, choose and commit the next batch; its number, or None where the budget is spent."""
    iteration = propose_next(campaign, budget)
    return None if iteration is None else iteration.number


@task(name="dispatch", cache_policy=NO_CACHE, persist_result=False)
def dispatch(campaign: Campaign, experiment: Experiment | None, number: int, limit: int | None) -> int:
    """Run the batch; each result is committed before the next experiment begins."""
    if experiment is None:
        return 0
    with watching(campaign, f"iteration {number}") as watch:
        return campaign.run_pending(experiment, limit, watch)


@task(name="publish", cache_policy=NO_CACHE, persist_result=False, retries=1, timeout_seconds=60)
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
    units = {t.name: f"{t.name} [{t.unit}]" for t in campaign.objective.targets if t.unit}
    return best.drop(columns=[*lists, *long, *(c for c in hidden if c in best)]).rename(columns=units)


def announce(line: str) -> None:
    """Say something on the terminal and in the run's log."""
    print(line, flush=True)
    get_run_logger().info(line)


def explain(advice: Advice) -> str:
    """Why the campaign stops."""
    return f"stopped: {advice.evidence}"
