"""Results that come in their own way: late, in part, unasked, again, corrected and taken back."""

import pandas as pd
import pytest

from discover.errors import IllegalTransition, InvalidInput
from discover.store.ledger.life import State
from tests.campaign.life.bench import EE, REACHED, YIELD, retracted, trained, withdrawn, withdrawn_in_part


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
