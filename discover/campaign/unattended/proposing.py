"""The next batch of a campaign whose experiments are made by others: as many as are not out."""

from __future__ import annotations

from discover.campaign.campaign import Campaign
from discover.campaign.experiments.outside import vacancies
from discover.campaign.unattended.iterating import next_key, room
from discover.protocols import OutsideExperiment
from discover.store.ledger.trials import Iteration


def propose_more(campaign: Campaign, experiment: OutsideExperiment, budget: int | None = None) -> Iteration | None:
    """The next batch, as large as what is not out allows (`vacancies`); None where nothing is to be proposed now."""
    free, left = vacancies(campaign.ledger, experiment, campaign.batch_size), room(campaign, budget)
    size = free if left is None else min(free, left - _waiting(campaign))
    if size <= 0:
        return None
    return campaign._ask(size, next_key(campaign.ledger))


def _waiting(campaign: Campaign) -> int:
    """Proposals that will count as experiments once they are handed over."""
    return sum(1 for trial in campaign.ledger.pending() if not trial.attempts)
