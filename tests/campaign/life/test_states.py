"""The design's table of states, cell by cell."""

from discover.campaign.claiming import workable
from discover.store.ledger.life import State
from tests.campaign.life.bench import EE, REACHED, YIELD, trained

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
    "failed": ({}, False, "infeasible", True),
    "failed at the limit": ({}, False, "infeasible", True),
    "infeasible": ({}, False, "infeasible", True),
    "censored": ({YIELD: 0, EE: 1}, False, "feasible", True),
    "withdrawn": ({}, False, "no", False),
    "withdrawn, in part": ({YIELD: 0}, False, "feasible", False),
    "expired": ({}, False, "no", False),
    "retracted": ({}, False, "no", False),
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
