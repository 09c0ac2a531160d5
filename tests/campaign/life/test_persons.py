"""Approval, a person's own proposals, deadlines, and questions to a person."""

from datetime import timedelta

import pytest

from discover.campaign.claiming import take, workable
from discover.campaign.experiments.running import run_one
from discover.errors import IllegalTransition, InvalidInput
from discover.experiment.callable import CallableExperiment
from discover.store.ledger.life import State
from tests.campaign.life.bench import BEGAN, EE, YIELD, Bench, unknown


def test_without_approval_a_proposal_may_begin_at_once(pool, url):
    bench = Bench(pool, url, approval=False)
    assert [t.proposal_id for t in workable(bench.campaign.ledger)] == [bench.pid]
    with pytest.raises(IllegalTransition, match="needs no approval"):
        bench.campaign.approve(bench.pid)


def test_with_approval_nothing_runs_that_nobody_let_pass(bench):
    batch = bench.campaign.ask(2)["proposal_id"].tolist()
    ran = bench.campaign.run_pending(lambda values: {YIELD: 1.0, EE: 2.0})
    assert ran == 0
    bench.campaign.approve(batch[1], note="looks safe")
    assert bench.campaign.run_pending(lambda values: {YIELD: 1.0, EE: 2.0}) == 1
    assert bench.campaign.ledger.trials[batch[1]].state is State.MEASURED
    assert bench.state is State.PROPOSED


def test_a_persons_own_proposal_needs_nobodys_approval_and_has_no_deadline(bench, pool):
    other = next(i for i in pool.ids if i != bench.candidate)
    frame = bench.campaign.propose(other, reason="a hunch")
    trial = bench.campaign.ledger.trials[frame["proposal_id"][0]]
    assert trial.runnable
    assert trial.deadline is None
    assert trial.proposal.policy == "person"
    assert trial.proposal.reason == "a hunch"
    with pytest.raises(InvalidInput, match="is pending as"):
        bench.campaign.propose(other, reason="again")
    bench.campaign.exclude(pool.ids[5], reason="toxic")
    with pytest.raises(InvalidInput, match="is excluded: toxic"):
        bench.campaign.propose(pool.ids[5], reason="all the same")


def test_a_deadline_is_a_time_of_the_logs_clock(bench):
    assert bench.trial.deadline == (BEGAN + timedelta(days=7)).isoformat()
    bench.clock.now = BEGAN + timedelta(days=7)
    assert bench.campaign.expire() == []
    bench.clock.now += timedelta(seconds=1)
    bench.campaign.ask(1)
    assert bench.state is State.EXPIRED
    bench.clock.now = BEGAN  # a clock that is set back brings nothing back
    assert bench.campaign.expire() == []
    assert bench.state is State.EXPIRED
    assert bench.tell(**{YIELD: 1.0, EE: 2.0}) == "measured"


def test_settling_a_question_says_which_attempt_counts(bench):
    unknown(bench)
    assert bench.campaign.spending.experiments == 1
    bench.campaign.settle(bench.pid, submitted=True, reason="it is in the queue")
    assert bench.state is State.SUBMITTED
    assert bench.campaign.spending.experiments == 1
    assert workable(bench.campaign.ledger) == []  # somebody outside has it


def test_settling_that_nothing_was_submitted_lets_it_begin_again(bench):
    unknown(bench)
    bench.campaign.settle(bench.pid, submitted=False, reason="it is not in the queue")
    assert bench.state is State.APPROVED
    assert bench.campaign.spending.experiments == 0
    assert bench.campaign.run_pending(lambda values: {YIELD: 1.0, EE: 2.0}) == 1
    assert bench.campaign.spending.experiments == 1
    assert bench.trial.attempts == 2


def test_a_result_answers_the_question_by_itself(bench):
    unknown(bench)
    assert bench.tell(**{YIELD: 1.0, EE: 2.0}) == "measured"
    assert bench.state is State.MEASURED


def test_what_was_withdrawn_after_it_was_claimed_is_not_begun(pool, url):
    """Between a worker's claim and its beginning, a person takes the proposal back."""
    bench = Bench(pool, url, approval=False)
    journal, ran = bench.campaign._journal, []
    (lease,) = take(journal, 1, worker="w")
    bench.again().withdraw(bench.pid, reason="no more of it")
    experiment = CallableExperiment(lambda values: ran.append(values), {YIELD: "", EE: ""})
    assert run_one(journal, bench.campaign.objective, experiment, lease) is None
    assert ran == []
    assert bench.state is State.WITHDRAWN
    assert bench.campaign.spending.experiments == 0
