"""Telling: every cell is checked, nothing is half written, nothing is written twice."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import Campaign, CandidatePool, Objective, Target
from discover.errors import InvalidInput


def problems(campaign, frame, **more):
    before = campaign.ledger.seq
    with pytest.raises(InvalidInput) as error:
        campaign.tell(pd.DataFrame(frame), **more)
    assert campaign.ledger.seq == before
    return [str(problem) for problem in error.value.problems]


def became(campaign, frame, **more):
    return campaign.tell(pd.DataFrame(frame), **more)["became"].tolist()


def test_a_batch_with_values_is_measured(campaign):
    batch = campaign.ask(3)
    told = campaign.tell(batch.assign(**{"yield": [1.5, 2.5, 3.5]}))
    assert told["became"].tolist() == ["measured"] * 3
    assert campaign.pending.empty
    seen = campaign.observations
    assert seen["yield"].tolist() == [1.5, 2.5, 3.5]
    assert seen["proposal_id"].tolist() == batch["proposal_id"].tolist()


def test_an_empty_value_stays_pending(campaign):
    batch = campaign.ask(3)
    told = campaign.tell(batch.assign(**{"yield": [1.5, np.nan, None]}))
    assert told["became"].tolist() == ["measured", "not measured yet", "not measured yet"]
    assert len(campaign.pending) == 2


def test_telling_again_changes_nothing(campaign):
    filled = campaign.ask(2).assign(**{"yield": [1.0, 2.0]})
    campaign.tell(filled)
    before = campaign.ledger.seq
    for frame in (filled, filled.drop(columns="proposal_id"), filled[["material_id", "yield"]]):
        assert campaign.tell(frame)["became"].tolist() == ["already known"] * 2
    assert campaign.ledger.seq == before


def test_another_value_is_a_conflict_that_shows_both(campaign):
    filled = campaign.ask(2).assign(**{"yield": [1.0, 2.0]})
    campaign.tell(filled)
    found = problems(campaign, filled.assign(**{"yield": [1.0, 2.25]}))
    assert len(found) == 1
    assert "2.0" in found[0]
    assert "2.25" in found[0]
    assert "replicate" in found[0]
    assert "correct" in found[0]
    assert len(problems(campaign, {"material_id": filled["material_id"], "yield": [9.0, 9.0]})) == 2


def test_a_replicate_is_a_second_measurement(campaign):
    filled = campaign.ask(1).assign(**{"yield": [1.0]})
    campaign.tell(filled)
    assert became(campaign, filled.assign(**{"yield": [1.2], "replicate": [1]})) == ["measured"]
    assert campaign.observations["yield"].tolist() == [1.0, 1.2]
    assert len(campaign.view().training["yield"]) == 2
    assert len(campaign.best(5)) == 1


def test_a_correction_replaces_and_keeps_the_old_in_the_log(campaign):
    filled = campaign.ask(2).assign(**{"yield": [1.0, 2.0]})
    campaign.tell(filled)
    told = campaign.correct(filled.assign(**{"yield": [10.0, 2.0]}), reason="decimal point")
    assert told["became"].tolist() == ["corrected", "already known"]
    assert sorted(campaign.observations["yield"]) == [2.0, 10.0]
    kinds = [event.kind for event in campaign._journal.log.read("c")]
    assert kinds.count("observed") == 2
    assert kinds.count("corrected") == 1
    with pytest.raises(InvalidInput, match="needs a reason"):
        campaign.correct(filled, reason=" ")


def test_results_from_elsewhere_need_no_proposal(campaign):
    assert (
        became(campaign, {"material_id": ["m01", "m02"], "yield": [5.0, 6.0], "source": "literature"})
        == ["measured"] * 2
    )
    assert campaign.spending.experiments == 0
    chosen = [c for _ in range(38) for c in campaign.ask(1)["material_id"]]
    assert not {"m01", "m02"} & set(chosen)


def test_a_candidates_id_alone_fulfils_the_oldest_open_proposal_and_says_so(campaign):
    batch = campaign.ask(2)
    told = campaign.tell(pd.DataFrame({"material_id": batch["material_id"], "yield": [1.0, 2.0]}))
    assert told["proposal_id"].tolist() == batch["proposal_id"].tolist()
    assert told["remark"].str.startswith("fulfils the open proposal").all()


def test_every_problem_is_reported_at_once_and_nothing_is_written(campaign):
    batch = campaign.ask(4)
    frame = batch.assign(
        **{"yield": ["12,5", "<five", "inf", True]}, replicate=["x", 0, -1, 0.5], cost=[-1, 0, 0, 0], status=["ok", "", "", ""],
        measured_at=["yesterday", "", "", ""],
    )  # fmt: skip
    found = problems(campaign, frame)
    text = "\n".join(found)
    for part in ("'12,5'", "decimal point", "yield_bound", "finite", "not a number", "replicate", "cost", "status",
                 "measured_at", "row 0", "row 3"):  # fmt: skip
        assert part in text, part
    assert len(campaign.pending) == 4


def test_a_percentage_in_words_is_not_called_a_matter_of_the_decimal_mark(campaign):
    found = problems(campaign, campaign.ask(1).assign(**{"yield": ["54,7 %"]}))
    assert len(found) == 1
    assert "write the number alone" in found[0]


def test_unknown_columns_are_refused_unless_named(campaign):
    frame = campaign.ask(1).assign(**{"yield": [1.0], "colour": ["red"], "yeild": [2.0]})
    found = problems(campaign, frame, extra=["colour"])
    assert len(found) == 1
    assert "did you mean 'yield'" in found[0]
    assert became(campaign, frame.drop(columns="yeild"), extra=["colour"]) == ["measured"]
    assert campaign.observations["extra"][0] == {"colour": "red"}
    assert "no such column" in problems(campaign, {"material_id": ["m00"], "yield": [1]}, extra=["hue"])[0]


def test_rows_that_name_nobody_or_somebody_else(campaign):
    batch = campaign.ask(2)
    pid = batch["proposal_id"][0]
    frame = {
        "proposal_id": [pid, "zz-0001", "", pid],
        "material_id": [batch["material_id"][1], "", "", "m999"],
        "yield": [1.0] * 4,
    }
    text = "\n".join(problems(campaign, frame))
    assert f"is of candidate '{batch['material_id'][0]}'" in text
    assert "no such proposal" in text
    assert "neither a proposal nor a candidate" in text
    assert "no such candidate" in text


def test_frames_without_rows_columns_or_results(campaign):
    assert campaign.tell(pd.DataFrame({"material_id": [], "yield": []})).empty
    assert "which candidate" in problems(campaign, {"yield": [1.0]})[0]
    assert "no result" in problems(campaign, {"material_id": ["m00"]})[0]
    twice = pd.DataFrame([["m00", 1.0, 2.0]], columns=["material_id", "yield", "yield"])
    assert "stands twice" in problems(campaign, twice)[0]


def test_failures_close_a_proposal_and_do_not_train(campaign):
    batch = campaign.ask(3)
    told = campaign.tell(batch.assign(status=["failed", "infeasible", ""], note=["pump", "decomposes", ""]))
    assert told["became"].tolist() == ["failed", "infeasible", "not measured yet"]
    view = campaign.view()
    assert len(view.training["yield"]) == 0
    assert {str(view.ids[row]) for row in view.infeasible} == set(batch["material_id"][:2])  # both teach where it fails
    assert campaign.observations["reason"].tolist() == ["pump", "decomposes"]
    assert (
        campaign.tell(batch.assign(status=["failed", "infeasible", ""]))["became"].tolist()[:2] == ["already known"] * 2
    )
    text = "\n".join(problems(campaign, batch.assign(**{"yield": [1.0, 2.0, 3.0]})))
    assert "was already told as failed" in text
    fixed = campaign.correct(batch.assign(**{"yield": [1.0, np.nan, np.nan]}), reason="the pump was fine")
    assert fixed["became"][0] in ("corrected", "measured")
    assert campaign.best(1)["yield"].tolist() == [1.0]


def test_a_status_with_and_without_a_value(campaign):
    batch = campaign.ask(3)
    frame = batch.assign(**{"yield": [1.0, np.nan, 3.0]}, status=["failed", "measured", "censored"])
    text = "\n".join(problems(campaign, frame))
    assert "cannot have a value" in text
    assert "but no value of yield" in text
    assert "needs its side" in text


def test_censored_values_are_bounds(campaign):
    batch = campaign.ask(2)
    told = campaign.tell(batch.assign(**{"yield": [5.0, 7.0], "yield_bound": ["below", ""]}))
    assert told["became"].tolist() == ["censored", "measured"]
    training = campaign.view().training["yield"]
    assert sorted(training.bounds.tolist()) == [-1, 0]
    assert campaign.best(5)["yield"].tolist() == [7.0]


def test_a_limit_is_read_as_people_write_it(campaign):
    batch = campaign.ask(5)
    limits = batch.assign(**{"yield": ["<5", " ≤ 6.5", ">95", "≥ 97", "4"]})
    assert became(campaign, limits, dry_run=True) == [*["censored"] * 4, "measured"]
    assert became(campaign, limits.assign(yield_bound=["below", "", "above", "", "below"])) == ["censored"] * 5
    training = campaign.view().training["yield"]
    assert sorted(zip(training.values, training.bounds, strict=True)) == [(4, -1), (5, -1), (6.5, -1), (95, 1), (97, 1)]
    contradiction = batch.assign(**{"yield": ["<5", *[None] * 4]}, yield_bound=["above", *[""] * 4])
    assert "on the other side" in problems(campaign, contradiction)[0]


def test_partial_results_of_several_targets(make):
    campaign = make(Objective([Target("yield"), Target("ee")]))
    batch = campaign.ask(2)
    assert became(campaign, batch.assign(**{"yield": [1.0, 2.0], "ee": [np.nan, 5.0]})) == [
        "measured in part",
        "measured",
    ]
    assert campaign.pending["state"].tolist() == ["measured in part"]
    assert became(campaign, batch.assign(ee=[4.0, 5.0])) == ["measured", "already known"]
    assert campaign.observations[["yield", "ee"]].to_numpy().tolist() == [[1.0, 4.0], [2.0, 5.0]]


def test_dry_run_says_the_same_and_writes_nothing(campaign):
    filled = campaign.ask(2).assign(**{"yield": [1.0, np.nan]})
    before = campaign.ledger.seq
    dry = campaign.tell(filled, dry_run=True)
    assert campaign.ledger.seq == before
    pd.testing.assert_frame_equal(dry, campaign.tell(filled))


def test_the_same_candidate_twice_in_one_frame(campaign):
    frame = pd.DataFrame({"material_id": ["m01", "m01"], "yield": [1.0, 1.0]})
    assert campaign.tell(frame)["became"].tolist() == ["measured", "already known"]
    assert len(problems(campaign, {"material_id": ["m02", "m02"], "yield": [1.0, 2.0]})) == 1


def test_a_proposal_of_another_campaign_is_refused(make):
    one, other = make(name="one"), make(name="other", seed=1)
    batch = one.ask(1)
    assert "no such proposal" in problems(other, batch.assign(**{"yield": [1.0]}))[0]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.floats(-1e12, 1e12), st.integers(0, 1), st.sampled_from(["", "x"])), max_size=12
    ),
    st.randoms(use_true_random=False),
)
def test_the_fold_does_not_depend_on_the_order_of_independent_results(pool, rows, random):
    unique = list({(i, r, s): (i, v, r, s) for i, v, r, s in rows}.values())
    shuffled = list(unique)
    random.shuffle(shuffled)
    views = []
    for order in (unique, shuffled):
        campaign = Campaign.create(
            "c", objective=Objective("yield"), candidates=pool, policy="random", store="sqlite://"
        )
        for candidate, value, replicate, source in order:
            frame = pd.DataFrame(
                [{"material_id": f"m{candidate:02d}", "yield": value, "replicate": replicate, "source": source}]
            )
            campaign.tell(frame)
            campaign.tell(frame)
        views.append(campaign.view())
    one, other = views
    assert len(one.training["yield"]) == len(unique)
    assert one.seen == other.seen
    assert one.training["yield"].values.tolist() == other.training["yield"].values.tolist()


def test_what_is_no_frame_and_no_number(campaign):
    for wrong in ({"material_id": ["m01"]}, [1], "x"):
        with pytest.raises(InvalidInput, match="a DataFrame is needed"):
            campaign.tell(wrong)
    assert "extra is a list" in problems(campaign, {"material_id": ["m01"], "yield": [1.0]}, extra="colour")[0]
    batch = campaign.ask(4)
    found = problems(campaign, batch.assign(**{"yield": [10**400, "1_000", "１２", "0x10"]}))
    assert len(found) == 4
    assert all("not a number" in problem for problem in found)
    assert len(problems(campaign, batch.head(1).assign(status="Failed"))) == 1


def test_whole_numbers_that_a_gap_made_floats_are_still_ids(url):
    frame = pd.DataFrame({"sample": [7, 12], "a": [0.1, 0.2]})
    pool = CandidatePool.from_frame(frame, id="sample", features=["a"])
    campaign = Campaign.create("c", objective=Objective("yield"), candidates=pool, policy="random", store=url)
    first = campaign.ask(1)
    both = pd.DataFrame(
        {
            "proposal_id": [first["proposal_id"][0], None],
            "sample": [np.nan, next(i for i in (7.0, 12.0) if i != float(first["sample"][0]))],
            "yield": [1.0, 2.0],
        }
    )
    assert both["sample"].dtype == float
    assert became(campaign, both) == ["measured", "measured"]


def test_the_cost_of_a_trial_stands_though_its_first_value_came_without(make):
    campaign = make(Objective([Target("yield"), Target("ee")]))
    batch = campaign.ask(1)
    campaign.tell(batch.assign(**{"yield": 1.0}))
    campaign.tell(batch.assign(ee=2.0, cost=3.0))
    assert campaign.observations["cost"].tolist() == [3.0]


def test_of_a_refused_row_nothing_is_held_against_the_next(make):
    campaign = make(Objective([Target("yield"), Target("ee")]))
    campaign.tell(pd.DataFrame({"material_id": ["m01"], "ee": [4.0]}))
    twice = pd.DataFrame({"material_id": ["m01", "m01"], "yield": [1.0, 2.0], "ee": [5.0, 4.0]})
    assert became(campaign, twice, partial=True) == ["refused", "measured"]
    assert campaign.observations[["yield", "ee"]].to_numpy().tolist() == [[2.0, 4.0]]


def test_an_index_of_proposal_ids_will_do(campaign):
    filled = campaign.ask(2).assign(**{"yield": [1.0, 2.0]})
    assert campaign.tell(filled.set_index("proposal_id")[["yield"]])["became"].tolist() == ["measured"] * 2
