"""Fidelity and context that are told with results reach the surrogate, in canonical order."""

from __future__ import annotations

import numpy as np
import pytest

from discover.errors import InvalidInput


def told(make, at, fidelities):
    campaign = make(policy={"kind": "bayesian", "start": 5, **({"at": at} if at else {})})
    batch = campaign.ask(20)
    fidelity = np.array(fidelities)[np.arange(20) % len(fidelities)]
    low = np.where(fidelity == "low", 30.0, 0.0)
    rows = batch.assign(**{"yield": 20 + 50 * batch["a"] + low}, fidelity=fidelity, context=[{"reactor": "A"}] * 20)
    campaign.tell(rows)
    return campaign


def test_a_batch_says_which_fidelity_it_was_chosen_for(make):
    campaign = told(make, {"fidelity": "high"}, ["low", "low", "high"])
    batch = campaign.ask(2)
    assert len(batch) == 2
    learned = campaign.ledger.iterations[-1].learned["targets"]["yield"]
    assert learned["conditions"] == {"asked": {"fidelity": "high"}, "seen": {"fidelity": ["high", "low"]}}


def test_predictions_are_for_the_fidelity_that_is_asked(make):
    batch = told(make, {"fidelity": "high"}, ["low", "high"]).ask(1)
    expected = 20 + 50 * batch["a"].iloc[0]
    assert batch["predicted_mean"].iloc[0] == pytest.approx(expected, abs=10.0)


def test_one_fidelity_throughout_is_no_condition(make):
    campaign = told(make, None, ["high"])
    campaign.ask(1)
    assert "conditions" not in campaign.ledger.iterations[-1].learned["targets"]["yield"]


@pytest.mark.parametrize(
    "context",
    [
        "reactor A",
        "[1]",
        '{"at": 1e999}',
        '{"name": "\\ud800"}',
        '{"a":' + "[" * 5000 + "]" * 5000 + "}",
        {"a": object()},
    ],
    ids=["text", "list", "infinite", "half", "deep", "object"],
)
def test_a_context_that_cannot_be_kept_is_named_with_its_row(make, context):
    campaign = make()
    batch = campaign.ask(2).assign(**{"yield": 1.0}, context=[None, context])
    before = campaign.ledger.seq
    with pytest.raises(InvalidInput) as error:
        campaign.tell(batch)
    assert [(p.row, p.column) for p in error.value.problems] == [(1, "context")]
    assert campaign.ledger.seq == before
    told = campaign.tell(batch, partial=True)
    assert dict(zip(told["row"], told["became"])) == {0: "measured", 1: "refused"}
