"""The design's table of states, cell by cell; and every action from every state."""

import itertools
import tempfile
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, Objective, Target
from discover.campaign.claiming import take, workable
from discover.campaign.running import run_one
from discover.errors import IllegalTransition, InvalidInput
from discover.experiment.callable import CallableExperiment
from discover.store import claims
from discover.store.events import Draft, submission_key
from discover.store.life import ACTIONS, State
from discover.store.log import EventLog
from discover.store.trials import ATTEMPTS, Failure

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

# what it trains, target by target; whether it is under trial for the surrogate; feasibility; whether it blocks
TABLE = {
    "proposed": ({}, True, "no", True),
    "approved": ({}, True, "no", True),
    "claimed": ({}, True, "no", True),
    "submitted": ({}, True, "no", True),
    "unknown": ({}, True, "no", True),
    "measured in part": ({YIELD: 0}, True, "feasible", True),
    "measured": ({YIELD: 0, EE: 0}, False, "feasible", True),
    "failed, retryable": ({}, False, "no", True),
    "failed": ({}, False, "no", True),
    "failed at the limit": ({}, False, "no", True),
    "infeasible": ({}, False, "infeasible", True),
    "censored": ({YIELD: 0, EE: 1}, False, "feasible", True),
    "withdrawn": ({}, False, "no", False),
    "withdrawn, in part": ({YIELD: 0}, False, "feasible", False),
    "expired": ({}, False, "no", False),
    "retracted": ({}, False, "no", False),
}


@pytest.fixture
def url(tmp_path, monkeypatch):
    """A store in memory: what a state means does not depend on where it is kept, and these tests are many."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return "sqlite://"


@pytest.fixture
def bench(pool, url):
    return Bench(pool, url, approval=True)


@pytest.fixture(params=REACHED)
def reached(request, bench):
    reach, expected = REACHED[request.param]
    reach(bench)
    assert bench.state is expected
    return request.param


def trained(view, row):
    """By target, on which side of the truth a row's value lies; the rows that have none are left out."""
    return {
        name: int(training.bounds[list(training.rows).index(row)])
        for name, training in view.training.items()
        if row in training.rows
    }


def test_the_table_has_a_line_for_every_state():
    assert set(TABLE) == set(REACHED)
    assert {state for _, state in REACHED.values()} | {State.CLAIMED} == set(State)


def test_what_trains_the_surrogate(bench, reached):
    view = bench.campaign.view()
    trains, pending, _, _ = TABLE[reached]
    assert trained(view, bench.row) == trains
    assert (bench.row in view.pending) is pending


def test_what_feeds_feasibility(bench, reached):
    view = bench.campaign.view()
    found = "infeasible" if bench.row in view.infeasible else "feasible" if trained(view, bench.row) else "no"
    assert found == TABLE[reached][2]


def test_what_blocks_the_candidate(bench, reached, pool):
    blocks = TABLE[reached][3]
    assert bool(bench.campaign.view().blocked[bench.row]) is blocks
    rest = bench.campaign.ask(len(pool) - blocks)
    assert (bench.candidate in set(rest["material_id"])) is not blocks
    assert len(rest) == len(pool) - blocks


def test_an_excluded_candidate_keeps_what_was_measured_and_is_blocked_until_it_is_readmitted(bench, reached):
    before = bench.campaign.view()
    bench.campaign.exclude(bench.candidate, reason="toxic")
    view = bench.campaign.view()
    assert view.blocked[bench.row]
    assert trained(view, bench.row) == trained(before, bench.row)
    assert bench.state is REACHED[reached][1]
    assert bench.pid not in [t.proposal_id for t in workable(bench.campaign.ledger)]
    bench.campaign.readmit(bench.candidate)
    assert bench.campaign.view().seen == before.seen


def test_the_fold_of_the_log_is_in_the_same_state(bench, reached):
    again = bench.again()
    assert again.ledger.trials[bench.pid] == bench.trial
    assert again.view().seen == bench.campaign.view().seen


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


# results that come in their own way


def test_an_unsolicited_result_trains_and_blocks(bench, pool):
    other = next(i for i in pool.ids if i != bench.candidate)
    row = int(pool.rows([other])[0])
    told = bench.campaign.tell(pd.DataFrame({"material_id": [other], YIELD: [3.0], EE: [4.0]}))
    assert told["became"].tolist() == ["measured"]
    view = bench.campaign.view()
    assert trained(view, row) == {YIELD: 0, EE: 0}
    assert view.blocked[row]
    assert bench.campaign.spending.experiments == 0
    bench.campaign.retract(other, reason="another's sample")
    assert trained(bench.campaign.view(), row) == {}
    assert not bench.campaign.view().blocked[row]


@pytest.mark.parametrize("how", ["withdrawn", "expired"])
def test_a_late_result_is_accepted_even_after_the_candidate_was_proposed_again(bench, how, pool):
    REACHED[how][0](bench)
    second = bench.campaign.propose(bench.candidate, reason="again")["proposal_id"][0]
    assert bench.tell(**{YIELD: 1.0, EE: 2.0}) == "measured"
    assert bench.state is State.MEASURED
    states = bench.campaign.ledger.trials
    assert states[second].state is State.PROPOSED
    assert bench.campaign.view().blocked[bench.row]
    with pytest.raises(IllegalTransition):
        bench.campaign.withdraw(bench.pid, reason="too late")
    assert bench.campaign.spending.experiments == 1


def test_a_late_failure_closes_too(bench):
    withdrawn(bench)
    bench.tell(status="infeasible")
    assert bench.state is State.INFEASIBLE
    assert bench.row in bench.campaign.view().infeasible


def test_targets_arrive_separately_in_either_order(bench, pool):
    other = bench.campaign.ask(1)["proposal_id"][0]
    for pid, first, second in ((bench.pid, YIELD, EE), (other, EE, YIELD)):
        tell = bench.campaign.tell
        assert tell(pd.DataFrame({"proposal_id": [pid], first: [1.0]}))["became"][0] == "measured in part"
        assert tell(pd.DataFrame({"proposal_id": [pid], second: [2.0]}))["became"][0] == "measured"
    assert bench.campaign.spending.experiments == 2


def test_a_proposal_withdrawn_in_part_can_still_be_completed(bench):
    withdrawn_in_part(bench)
    assert bench.tell(**{EE: 2.0}) == "measured"
    assert bench.state is State.MEASURED


def test_a_failed_target_after_another_was_measured_is_a_conflict(bench):
    bench.tell(**{YIELD: 1.0})
    with pytest.raises(InvalidInput, match="already told as measured"):
        bench.tell(status="failed")
    assert bench.correct(status="failed") == "corrected"
    assert bench.state is State.FAILED
    assert trained(bench.campaign.view(), bench.row) == {}


def test_replicates_train_each_and_a_retracted_one_leaves_the_others(bench):
    for number, value in enumerate((1.0, 3.0, 5.0)):
        bench.tell(**{YIELD: value, EE: 0.5}, replicate=number)
    assert len(bench.campaign.view().training[YIELD]) == 3
    bench.campaign.retract(bench.pid, reason="x", replicate=1)
    assert bench.state is State.MEASURED
    assert bench.campaign.view().training[YIELD].values.tolist() == [1.0, 5.0]
    bench.campaign.retract(bench.pid, reason="x")
    assert bench.state is State.RETRACTED
    assert len(bench.campaign.view().training[YIELD]) == 0


def test_a_measured_candidate_is_measured_again_where_a_person_asks_for_it(bench):
    bench.tell(**{YIELD: 1.0, EE: 2.0})
    second = bench.campaign.propose(bench.candidate, reason="is it true?")["proposal_id"][0]
    assert bench.row in bench.campaign.view().pending
    bench.campaign.tell(pd.DataFrame({"proposal_id": [second], YIELD: [1.5], EE: [2.5]}))
    assert sorted(bench.campaign.view().training[YIELD].values) == [1.0, 1.5]
    assert bench.campaign.spending.experiments == 2


def test_a_retracted_target_is_open_again(bench):
    bench.tell(**{YIELD: 1.0, EE: 2.0})
    bench.campaign.retract(bench.pid, reason="x", target=EE)
    assert bench.state is State.IN_PART
    assert trained(bench.campaign.view(), bench.row) == {YIELD: 0}
    assert bench.tell(**{EE: 3.0}) == "measured"


def test_a_retracted_value_is_refused_another_is_accepted_and_correct_puts_it_back(bench):
    retracted(bench)
    with pytest.raises(InvalidInput, match="this value was retracted: wrong flask"):
        bench.tell(**{YIELD: 1.0, EE: 5.0})
    assert bench.state is State.RETRACTED
    assert bench.tell(**{YIELD: 4.0, EE: 5.0}) == "measured"
    bench.campaign.retract(bench.pid, reason="again")
    with pytest.raises(InvalidInput, match="this value was retracted: again"):
        bench.tell(**{YIELD: 4.0, EE: 6.0})
    assert bench.correct(**{YIELD: 1.0, EE: 2.0}) == "corrected"
    assert bench.state is State.MEASURED
    assert bench.campaign.view().training[YIELD].values.tolist() == [1.0]
    assert bench.tell(**{YIELD: 1.0, EE: 2.0}) == "already known"


def test_a_retracted_failure_frees_the_candidate_and_its_cost(bench):
    bench.tell(status="failed", cost=5.0)
    assert bench.campaign.spending.cost == 5.0
    bench.campaign.retract(bench.pid, reason="the other flask had failed")
    assert bench.state is State.RETRACTED
    assert bench.campaign.spending.cost == 0.0
    assert bench.tell(**{YIELD: 1.0, EE: 2.0}) == "measured"


def test_a_retracted_candidate_may_be_proposed_and_measured_anew(bench, pool):
    retracted(bench)
    rest = bench.campaign.ask(len(pool))
    second = rest.set_index("material_id").loc[bench.candidate, "proposal_id"]
    told = bench.campaign.tell(pd.DataFrame({"proposal_id": [second], YIELD: [1.0], EE: [2.0]}))
    assert told["became"].tolist() == ["measured"]  # the same numbers, but of another trial


def test_corrected_becomes_the_state_of_the_new_value(bench):
    bench.tell(**{YIELD: 1.0, EE: 2.0})
    for columns, state in (
        ({"status": "failed"}, State.FAILED),
        ({"status": "infeasible"}, State.INFEASIBLE),
        ({YIELD: 3.0, EE: 4.0, f"{EE}_bound": "below"}, State.CENSORED),
        ({EE: 4.5}, State.MEASURED),
    ):
        assert bench.correct(**columns) == "corrected"
        assert bench.state is state
    assert bench.campaign.view().training[EE].values.tolist() == [4.5]


# approval, a person's own proposals, deadlines, questions to a person


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


# explore: a share of known probability


def explored(campaign, n, share, keys):
    from discover.campaign.deciding import decide

    definition = {**campaign.definition, "policy": {**campaign.definition["policy"], "explore": share}}
    view = campaign.view()
    return view, [decide(view, definition, campaign.policy, n, f"{key}").batch for key in range(keys)]


@pytest.mark.parametrize(("n", "share"), [(4, 0.3), (1, 0.25), (10, 0.1), (3, 1.0)])
def test_the_explored_share_is_right_on_average_and_so_are_its_probabilities(make, n, share):
    campaign = make(policy="space-filling")
    campaign.tell(campaign.ask(6).assign(**{"yield": range(6)}))
    campaign.exclude("m39", reason="toxic")
    batches = 3000
    view, found = explored(campaign, n, share, batches)
    drawn = [p for batch in found for p in batch if p.policy == "explore"]
    assert all(len({p.candidate_id for p in batch}) == len(batch) == n for batch in found)
    free = int((~view.blocked).sum())
    fraction = n * share % 1
    spread = np.sqrt(batches * fraction * (1 - fraction))
    assert abs(len(drawn) - batches * n * share) <= 4 * spread
    assert {round(p.probability, 12) for p in drawn} == {round(n * share / free, 12)}
    counts = pd.Series([p.candidate_id for p in drawn]).value_counts().reindex(view.ids[~view.blocked], fill_value=0)
    assert counts.sum() == len(drawn)  # nobody who is blocked
    expected = batches * n * share / free
    assert ((counts - expected) ** 2 / expected).sum() < free + 5 * np.sqrt(2 * free)  # chi-square, 5 sigma


def test_every_batch_keeps_its_share_within_one(make):
    _, found = explored(make(policy="space-filling"), 10, 0.25, 300)
    assert {sum(p.policy == "explore" for p in batch) for batch in found} == {2, 3}


def test_exploring_campaigns_are_bit_identical(pool, tmp_path):
    runs = []
    for name in ("one", "two"):
        campaign = Campaign.create(
            "c", objective=Objective("yield"), candidates=pool, store=f"sqlite:///{tmp_path / name}.db", seed=3,
            policy={"kind": "random", "explore": 0.4},
        )  # fmt: skip
        for _ in range(4):
            campaign.run(lambda values: values["a"], 3, batch=3)
        events = campaign._journal.log.read("c")
        runs.append([e.payload for e in events if e.kind == "proposed"])
    assert runs[0] == runs[1]
    assert {p["policy"] for body in runs[0] for p in body["proposals"]} == {"random", "explore"}


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
