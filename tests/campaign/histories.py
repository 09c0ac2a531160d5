"""Campaigns that have lived: a random life, and everything that a ledger says of it."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import timedelta

import pandas as pd

from discover import Campaign
from discover.errors import DiscoverError, ExperimentFailed
from discover.store.ledger.ledger import Ledger
from discover.store.log.events import Draft, submission_key


def deep(ledger: Ledger) -> dict:
    """Everything that a ledger says, by other ways than a cached fold's."""
    return {
        "trials": list(ledger.trials.values()),
        "of candidates": {c: [t.proposal_id for t in known] for c, known in ledger.by_candidate.items() if known},
        "iterations": ledger.iterations,
        "keys": {key: iteration.number for key, iteration in ledger.keys.items()},
        "observations": list(ledger.observations.items()),
        "found": {c: list(known.items()) for c, known in ledger.found.items()},
        "retracted": {key: known for key, known in ledger.retracted.items() if known},
        "failures": ledger.failures(),
        "elsewhere": ledger.elsewhere,
        "open": sorted(ledger.open),
        "blocked": ledger.blocked(),
        "rest": [ledger.seq, ledger.tip, ledger.targets, ledger.definition, ledger.definition_hash, ledger.pool,
                 ledger.excluded, ledger.notes, ledger.stopped, ledger.started, ledger.cost, ledger.unfailed, ledger.ended],
    }  # fmt: skip


def live(campaign: Campaign, dice: random.Random, steps: int, clock) -> None:
    """Do many things to a campaign; what is refused is refused."""
    for _ in range(steps):
        with suppress(DiscoverError):
            _step(campaign, dice, clock)


def _step(campaign: Campaign, dice: random.Random, clock) -> None:
    ledger, names = campaign.ledger, campaign.objective.names
    pid = dice.choice([*ledger.trials, "nobody's"])
    one = str(dice.choice(campaign.pool.ids))
    told = {name: [dice.choice([1.5, 2.5])] for name in names if dice.random() < 0.7}
    told |= {"cost": [dice.choice([None, 0.1, 0.7])], "replicate": [dice.choice([0, 0, 1])], "note": ["ä ' \" \\ 化"]}
    if dice.random() < 0.2:
        told = {"status": [dice.choice(["failed", "infeasible"])], "context": ['{"reactor": "A"}']}
    elif dice.random() < 0.2 and names[0] in told:
        told[f"{names[0]}_bound"] = ["above"]
    who = {"proposal_id": [pid]} if dice.random() < 0.7 else {campaign.pool.id: [one], "source": ["elsewhere"]}
    frame = pd.DataFrame({**who, **told})

    def run(values):
        raise dice.choice([RuntimeError, ExperimentFailed])("a leak") if dice.random() < 0.5 else StopIteration

    def outside():
        trial = ledger.trials[pid]
        attempt = trial.attempts + 1
        common = {"proposal_id": pid, "attempt": attempt, "key": submission_key(pid, attempt)}
        drafts = [Draft("submitted", common | {"worker": "w"})]
        more = {"dispatched": {"handle": {"job": 7}}, "unsure": {"reason": "?"}}
        kinds = dice.choice([[], ["dispatched"], ["unsure"], ["unsure", "settled"]])
        more["settled"] = {"submitted": dice.random() < 0.5, "reason": "asked"}
        if trial.runnable:
            campaign._journal.append(*drafts, *(Draft(kind, common | more[kind]) for kind in kinds))

    acts = [
        lambda: campaign.ask(dice.randint(1, 3), key=dice.choice([None, None, f"key {dice.randint(1, 3)}"])),
        lambda: campaign.tell(frame),
        lambda: campaign.tell(frame),
        lambda: campaign.correct(frame, reason="a slip"),
        lambda: campaign.retract(pid if dice.random() < 0.7 else one, reason="x"),
        lambda: campaign.retract(pid, reason="x", target=names[0]),
        lambda: campaign.withdraw(pid, reason="x"),
        lambda: campaign.approve(pid),
        lambda: campaign.exclude(one, reason="toxic"),
        lambda: campaign.readmit(one),
        lambda: campaign.propose(one, reason="a hunch"),
        lambda: campaign.run_pending(run, limit=1),
        lambda: campaign.note("a remark"),
        lambda: campaign.stop("enough"),
        lambda: campaign.settle(pid, submitted=dice.random() < 0.5, reason="asked"),
        lambda: (setattr(clock, "now", clock.now + timedelta(days=dice.choice([0, 1, 4]))), campaign.expire()),
        *[lambda: outside() if pid in ledger.trials else None] * 3,
    ]
    dice.choice(acts)()
