"""What every policy promises: at most n, never blocked, never twice, repeatable, and a word when there are too few."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import InvalidInput
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.policy.random import Random
from discover.policy.space_filling import SpaceFilling
from discover.protocols import Policy
from tests.policy.policy_views import features_of, rows_of, view_of

POLICIES: list[Policy] = [
    Random(),
    SpaceFilling("farthest"),
    SpaceFilling("medoids"),
    Bayesian(start=3, shortlist=5, draws=16, chunk=4),
    Bayesian(start=1, lengths="one", kernel="rbf", filling="medoids", draws=16),
    Bayesian(start=4, filling="random", incumbent="believed", draws=16),
]
OBJECTIVES = [
    Objective("strength", "maximize"),
    Objective("strength", "match", value=110.0),
    Objective("strength", "match", band=(100.0, 120.0)),
    Objective([Target("strength"), Target("cost", "minimize")], constraints=["cost <= 120"]),
]


@st.composite
def situations(draw: st.DrawFn) -> dict:
    total = draw(st.integers(1, 14))
    lot = st.sampled_from(["free", "observed", "pending", "excluded"])
    lots = draw(st.lists(lot, min_size=total, max_size=total))
    d = draw(st.integers(1, 3))
    X = np.round(features_of(total, d, seed=draw(st.integers(0, 5))), draw(st.sampled_from([0, 6])))
    return {
        "X": X,
        "lots": {
            name: [i for i, lot in enumerate(lots) if lot == name] for name in ("observed", "pending", "excluded")
        },
        "objective": draw(st.sampled_from(OBJECTIVES)),
        "n": draw(st.integers(1, 16)),
        "seed": draw(st.integers(0, 99)),
    }


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@settings(max_examples=25, deadline=None)
@given(situation=situations())
def test_every_policy_keeps_its_promises(policy: Policy, situation: dict) -> None:
    X, lots, n = situation["X"], situation["lots"], situation["n"]
    view = view_of(
        X, lots["observed"], pending=lots["pending"], excluded=lots["excluded"], objective=situation["objective"]
    )
    batch = policy.propose(view, n, np.random.default_rng(situation["seed"]))
    rows = rows_of(batch)
    free = int((~view.blocked).sum())
    assert len(rows) == len(set(rows)) == min(n, free)
    assert not view.blocked[rows].any()
    assert bool(batch.shortage) == (free < n)
    if batch.shortage:
        assert f"{n} asked for" in batch.shortage
    for proposal in batch:
        assert proposal.reason
        assert proposal.probability is None or 0 < proposal.probability <= 1
        assert proposal.acquisition is None or math.isfinite(proposal.acquisition)
        for prediction in proposal.predicted.values():
            assert math.isfinite(prediction.mean)
            assert prediction.std > 0
        json.dumps(dict(proposal.details), allow_nan=False)
    json.dumps(dict(batch.learned), allow_nan=False)
    assert batch == policy.propose(view, n, np.random.default_rng(situation["seed"]))


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_everything_may_be_asked_for_at_once(policy: Policy) -> None:
    view = view_of(features_of(40), range(6))
    assert sorted(rows_of(policy.propose(view, 34, np.random.default_rng(0)))) == list(range(6, 40))


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("n", [0, -1, True, 2.5])
def test_fewer_than_one_cannot_be_asked_for(policy: Policy, n: int) -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        policy.propose(view_of(features_of(5)), n, np.random.default_rng(0))


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_an_exhausted_pool_says_so(policy: Policy) -> None:
    batch = policy.propose(view_of(features_of(5), range(5)), 3, np.random.default_rng(0))
    assert len(batch) == 0
    assert batch.shortage == "no candidate is left of 5: 5 are pending, finished or excluded (3 asked for)"
