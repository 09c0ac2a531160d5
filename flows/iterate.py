"""One short iteration, for schedules: pull the difference from the source, collect, learn, propose, dispatch, stop.

A run that finds its campaign being run by another process is no failure: it ends as 'Skipped' and says by whom. What it
would have done, the other one does.
"""

from __future__ import annotations

from typing import Any

from flows import environment

environment.prepare()

from prefect import flow, runtime  # noqa: E402
from prefect.states import Completed, State  # noqa: E402

from discover import Campaign  # noqa: E402
from discover.campaign.unattended.iterating import advise, room  # noqa: E402
from discover.errors import LeaseHeld  # noqa: E402
from discover.protocols import Experiment, OutsideExperiment  # noqa: E402
from flows import outside, spread, steps  # noqa: E402

SKIPPED = "Skipped"
"""The name of the state in which a run ends that was not needed."""


@flow(name="iterate", flow_run_name="iterate {file}", persist_result=False, task_runner=spread.task_runner())
def iterate(
    file: str, store: str | None = None, budget: int | None = None, accept_changes: bool = False
) -> State[dict[str, Any]]:
    """One iteration of a campaign file. Returns its status."""
    if runtime.deployment.id is not None:
        environment.outlive_the_worker()
    definition, campaign, experiment = steps.open_campaign(file, store, accept_changes)
    try:
        with campaign.held():
            if definition.refreshes:
                steps.take_over(definition, campaign)
            once(campaign, experiment, budget, spread.Spread(file, store))
    except LeaseHeld as busy:
        steps.announce(f"{SKIPPED}: {busy}")
        return Completed(name=SKIPPED, message=f"{SKIPPED}: {busy}", data=campaign.status().to_dict())
    status = campaign.status()
    counts = f"{status.experiments} experiments, {status.measured} measured, {status.pending} pending"
    return Completed(
        message=f"{counts}; stopped: {status.stopped}" if status.stopped else counts, data=status.to_dict()
    )


def once(
    campaign: Campaign, experiment: Experiment | None, budget: int | None, where: spread.Spread, *, wait: bool = False
) -> bool:
    """Collect, then one batch; whether the campaign may go on. Called inside a flow, under the campaign's lease.

    Where workers run the experiments (`dispatch: workers`), nothing is run here. wait: for workers that have joined.
    """
    if isinstance(experiment, OutsideExperiment):
        return outside.once(campaign, experiment, budget)
    mine = None if campaign.by_workers else experiment
    if mine is not None and spread.address():
        where.run(campaign, room(campaign, budget), steps.announce)
    else:
        steps.collect(campaign, mine, room(campaign, budget), wait)
    advice = advise(campaign, budget)
    number = None if advice.stop else steps.propose(campaign, budget)
    if number is None and campaign.by_workers and not advice.stop:
        steps.announce("enough is proposed for the workers; this one proposes nothing")
        return True
    if number is None:
        if campaign.ledger.stopped is None:
            campaign.stop(advice.evidence)
        steps.announce(steps.explain(advice))
        return False
    if mine is not None and spread.address():
        ran = where.run(campaign, room(campaign, budget), steps.announce)
    else:
        ran = steps.dispatch(campaign, mine, number, room(campaign, budget), wait)
    steps.announce(steps.publish(campaign, number).line)
    return ran > 0 or mine is None
