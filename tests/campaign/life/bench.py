"""A campaign with one proposal, whatever may happen to it, and every state that it can be brought to."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from discover import Campaign, Objective, Target
from discover.store.leases import claims
from discover.store.ledger.life import State
from discover.store.ledger.trials import ATTEMPTS, Failure
from discover.store.log.events import Draft, submission_key
from discover.store.log.log import EventLog

YIELD, EE = "yield", "ee"
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """A clock that tests set."""

    def __init__(self):
        self.now = BEGAN

    def __call__(self):
        return self.now


class Bench:
    """A campaign with one proposal, and what may happen to it."""

    def __init__(self, pool, url, *, approval=False, deadline=7):
        self.clock = Clock()
        policy = {"kind": "random", "require_approval": approval, "deadline_days": deadline}
        self.campaign = Campaign.create(
            "c", objective=Objective([Target(YIELD), Target(EE)]), candidates=pool, policy=policy,
            store=EventLog(url, clock=self.clock),
        )  # fmt: skip
        batch = self.campaign.ask(1)
        self.pid, self.candidate = batch["proposal_id"][0], batch["material_id"][0]
        self.row = int(pool.rows([self.candidate])[0])

    def again(self):
        """The campaign, opened anew."""
        return Campaign.open("c", store=self.campaign._journal.log)

    @property
    def trial(self):
        return self.campaign.ledger.trials[self.pid]

    @property
    def state(self):
        return self.trial.state

    def frame(self, **columns):
        return pd.DataFrame({"proposal_id": [self.pid], **{name: [value] for name, value in columns.items()}})

    def tell(self, **columns):
        return self.campaign.tell(self.frame(**columns))["became"][0]

    def correct(self, **columns):
        return self.campaign.correct(self.frame(**columns), reason="a leak")["became"][0]

    def write(self, kind, **body):
        self.campaign._journal.append(Draft(kind, {"proposal_id": self.pid, **body}))

    def submit(self):
        attempt = self.trial.attempts + 1
        self.write("submitted", attempt=attempt, key=submission_key(self.pid, attempt), worker="w")

    def fail(self, retryable):
        failure = Failure(self.candidate, "failed", "leak", retryable, self.pid, self.trial.attempts)
        body = {name: value for name, value in vars(failure).items() if name != "seq"}
        self.campaign._journal.append(Draft("failed", {"failure": body}))


def approved(bench):
    bench.campaign.approve(bench.pid)


def claimed(bench):
    approved(bench)
    (lease,) = claims.claim(bench.campaign._journal.log, "c", [bench.pid], 1, worker="w")
    assert lease
    assert list(claims.claimed(bench.campaign._journal.log, "c")) == [bench.pid]


def submitted(bench):
    approved(bench)
    bench.submit()


def unknown(bench):
    submitted(bench)
    bench.write("unsure", attempt=1, key=submission_key(bench.pid, 1), reason="the queue does not answer")


def retryable(bench):
    submitted(bench)
    bench.fail(retryable=True)


def at_the_limit(bench):
    approved(bench)
    for _ in range(ATTEMPTS):
        bench.submit()
        bench.fail(retryable=True)


def expired(bench):
    bench.clock.now += timedelta(days=8)
    assert bench.campaign.expire() == [bench.pid]


def retracted(bench):
    bench.tell(**{YIELD: 1.0, EE: 2.0})
    bench.campaign.retract(bench.pid, reason="wrong flask")


def withdrawn(bench):
    bench.campaign.withdraw(bench.pid, reason="no more of it")


def withdrawn_in_part(bench):
    bench.tell(**{YIELD: 1.0})
    withdrawn(bench)


REACHED = {
    "proposed": (lambda b: None, State.PROPOSED),
    "approved": (approved, State.APPROVED),
    "claimed": (claimed, State.APPROVED),  # the lease lies over the state: its end returns it to approved
    "submitted": (submitted, State.SUBMITTED),
    "unknown": (unknown, State.UNKNOWN),
    "measured in part": (lambda b: b.tell(**{YIELD: 1.0}), State.IN_PART),
    "measured": (lambda b: b.tell(**{YIELD: 1.0, EE: 2.0}), State.MEASURED),
    "failed, retryable": (retryable, State.RETRYABLE),
    "failed": (lambda b: b.tell(status="failed"), State.FAILED),
    "failed at the limit": (at_the_limit, State.FAILED),
    "infeasible": (lambda b: b.tell(status="infeasible"), State.INFEASIBLE),
    "censored": (
        lambda b: b.tell(**{YIELD: 1.0, EE: 99.0, f"{EE}_bound": "above", "status": "censored"}),
        State.CENSORED,
    ),
    "withdrawn": (withdrawn, State.WITHDRAWN),
    "withdrawn, in part": (withdrawn_in_part, State.WITHDRAWN),
    "expired": (expired, State.EXPIRED),
    "retracted": (retracted, State.RETRACTED),
}


def trained(view, row):
    """By target, on which side of the truth a row's value lies; the rows that have none are left out."""
    return {
        name: int(training.bounds[list(training.rows).index(row)])
        for name, training in view.training.items()
        if row in training.rows
    }
