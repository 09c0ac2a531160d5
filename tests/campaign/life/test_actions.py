"""Every action from every state, and every pair of actions."""

import itertools
from datetime import timedelta

import pandas as pd
import pytest

from discover import Campaign
from discover.campaign.claiming import workable
from discover.errors import IllegalTransition, InvalidInput
from discover.store.ledger.life import ACTIONS, State
from tests.campaign.life.bench import EE, REACHED, YIELD, Bench, submitted

# which action is legal where, as the docstring of the life cycle draws it
LEGAL = {
    "proposed": {"approve", "tell", "withdraw", "expire"},
    "approved": {"claim", "submit", "tell", "withdraw", "expire"},
    "claimed": {"claim", "submit", "tell", "withdraw", "expire"},
    "submitted": {"submit", "tell", "withdraw", "expire"},
    "unknown": {"settle", "tell", "withdraw", "expire"},
    "measured in part": {"tell", "withdraw", "expire", "correct", "retract"},
    "measured": {"correct", "retract"},
    "failed, retryable": {"claim", "submit", "tell", "withdraw", "expire"},
    "failed": {"correct", "retract"},
    "failed at the limit": {"tell", "correct", "retract"},  # nobody said that it cannot be
    "infeasible": {"correct", "retract"},
    "censored": {"correct", "retract"},
    "withdrawn": {"tell"},
    "withdrawn, in part": {"tell", "correct", "retract"},  # what trains can be mended
    "expired": {"tell"},
    "retracted": {"tell", "correct"},
}
CHANGES = {
    "approve": (lambda b: b.campaign.approve(b.pid), State.APPROVED),
    "settle": (lambda b: b.campaign.settle(b.pid, submitted=False, reason="asked"), State.APPROVED),
    "withdraw": (lambda b: b.campaign.withdraw(b.pid, reason="x"), State.WITHDRAWN),
    "retract": (lambda b: b.campaign.retract(b.pid, reason="x"), State.RETRACTED),
    "tell": (lambda b: b.tell(**{YIELD: 8.0, EE: 9.0} if not b.trial.values else {EE: 9.0}), State.MEASURED),
    "correct": (lambda b: b.correct(**{YIELD: 8.0, EE: 9.0}), State.MEASURED),
}


@pytest.mark.parametrize("action", CHANGES)
def test_legal_actions_work_and_illegal_ones_name_the_legal_ones(bench, reached, action):
    act, becomes = CHANGES[action]
    before = bench.campaign.ledger.seq
    if action in LEGAL[reached]:
        act(bench)
        stays = reached == "withdrawn, in part" and action == "retract"  # taken back before, by whichever name
        assert bench.state is (State.WITHDRAWN if stays else becomes)
        assert bench.campaign.ledger.seq > before
        return
    if action == "tell" and reached in ("measured", "censored"):
        assert bench.tell(**{YIELD: 1.0}) == "already known"
    with pytest.raises(InvalidInput if action in ("tell", "correct") else IllegalTransition) as error:
        bench.tell(**{YIELD: 8.0, EE: 9.0}) if action == "tell" else act(bench)
    if action != "tell":
        named = str(error.value).split("what can be done with it: ")[1].split(")")[0]
        assert set(named.split(", ")) == LEGAL[reached]
    assert bench.campaign.ledger.seq == before


def test_a_worker_is_given_only_what_may_begin(bench, reached):
    offered = [t.proposal_id for t in workable(bench.campaign.ledger)]
    assert (offered == [bench.pid]) is ("submit" in LEGAL[reached])


def test_a_deadline_closes_only_what_is_open(bench, reached):
    bench.clock.now += timedelta(days=30)
    assert (bench.campaign.expire() == [bench.pid]) is ("expire" in LEGAL[reached])
    assert (bench.state is State.EXPIRED) is ("expire" in LEGAL[reached] or reached == "expired")


def test_the_programs_table_of_actions_is_this_one():
    for name, (_, state) in REACHED.items():
        if name in ("proposed", "withdrawn, in part", "failed at the limit"):
            continue  # what is legal there depends on more than the state
        assert {a for a, states in ACTIONS.items() if state in states} == LEGAL[name]


def test_actions_on_proposals_that_are_not_there_name_the_nearest(bench):
    for act in (bench.campaign.approve, lambda i: bench.campaign.withdraw(i, reason="x")):
        with pytest.raises(IllegalTransition, match=bench.pid):
            act(bench.pid[:-1] + "9")


def test_all_or_none_of_a_list(bench):
    more = bench.campaign.ask(2)["proposal_id"].tolist()
    bench.campaign.withdraw(more[0], reason="x")
    with pytest.raises(IllegalTransition, match=more[0]):
        bench.campaign.approve([bench.pid, *more])
    assert bench.state is State.PROPOSED


def test_every_pair_of_actions_folds_as_it_was_lived(pool, store_url):
    """Whatever two things happen one after the other, the log read anew says the same as the campaign that lived it."""
    acts = [*(act for act, _ in CHANGES.values()), submitted]
    benches = 0
    bench = Bench(pool, store_url, approval=True, deadline=None)
    for first, second in itertools.product(acts, acts):
        if not len(bench.campaign.ask(1)):
            break
        benches += 1
        trial = bench.campaign.ledger.iterations[-1].proposal_ids[0]
        bench.pid, bench.candidate = trial, bench.campaign.ledger.trials[trial].candidate_id
        for act in (first, second):
            try:
                act(bench)
            except (InvalidInput, AssertionError):
                continue
    campaign = Campaign.open("c", store=store_url)
    assert benches > 30
    assert campaign.ledger.trials == bench.campaign.ledger.trials
    pd.testing.assert_frame_equal(campaign.proposals, bench.campaign.proposals)
