"""One iteration of a campaign whose experiments somebody else makes: what came in is collected, what is new is handed over.

A run is short, however long the experiments take: it never waits for them.
"""

from __future__ import annotations

from prefect import task

from discover import Campaign
from discover.campaign.experiments import collecting
from discover.campaign.unattended.iterating import advise, room
from discover.campaign.unattended.proposing import propose_more
from discover.protocols import OutsideExperiment
from flows import steps


def once(campaign: Campaign, experiment: OutsideExperiment, budget: int | None) -> bool:
    """Collect, hand over what is left, then one batch as large as what is not out allows. Always False: the next run goes on."""
    collect(campaign, experiment)
    dispatch(campaign, experiment, room(campaign, budget))  # approved meanwhile, to be retried, or cut off
    advice = advise(campaign, budget)
    expected = len(campaign.ledger.pending())
    if advice.stop:
        if not expected and campaign.ledger.stopped is None:
            campaign.stop(advice.evidence)
        steps.announce(steps.explain(advice) + (f"; {collecting.under_way(campaign)}" if expected else ""))
        return False
    number = propose(campaign, experiment, budget)
    if number is None:
        steps.announce(f"{collecting.under_way(campaign)}; nothing is proposed until more has come in")
        return False
    try:
        dispatch(campaign, experiment, room(campaign, budget))
    finally:
        steps.announce(steps.publish(campaign, number).line)
    return False


@task(name="collect from outside", **steps.PLAIN)
def collect(campaign: Campaign, experiment: OutsideExperiment) -> int:
    """Commit what has come in; how many results by key."""
    found = collecting.collect(campaign, experiment, steps.announce)
    if found.results:
        steps.announce(f"{found.results} results came in")
    return found.results


@task(name="learn and propose more", **steps.PLAIN, timeout_seconds=3600)
def propose(campaign: Campaign, experiment: OutsideExperiment, budget: int | None) -> int | None:
    """Fit, choose and commit the next batch; its number, or None where enough is out."""
    iteration = propose_more(campaign, experiment, budget)
    return None if iteration is None else iteration.number


@task(name="hand over", **steps.PLAIN)
def dispatch(campaign: Campaign, experiment: OutsideExperiment, limit: int | None) -> int:
    """Hand over what may begin; how many. NotHandedOver fails the run: the next one tries again."""
    return collecting.dispatch(campaign, experiment, limit)
