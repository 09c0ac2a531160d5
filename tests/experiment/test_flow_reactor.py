"""The simulated flow reactor: its integration against closed forms, what it conserves, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import registry
from discover.errors import ExperimentFailed
from discover.experiment.conformance import check_experiment
from discover.experiment.flow_reactor import CATALYSTS, FEED, FlowReactor, Rates, e_factor, outlet, rates, solubility
from discover.values import Candidate, Proposal


def result_of(**values):  # type: ignore[no-untyped-def]
    return FlowReactor().run(Proposal("c", "random", "", candidate=Candidate("c", "v", values)))


@pytest.mark.parametrize("excess", [1.5, 4.0])
def test_second_order_alone_is_the_closed_form(excess):
    k, t = 0.7, 3.0
    a, b, p, s = outlet(Rates(k, 0.0, 0.0), FEED, excess * FEED, t)
    grown = math.exp((excess - 1.0) * FEED * k * t)  # (b/a) over (b0/a0)
    assert a == pytest.approx(FEED * (excess - 1.0) / (excess * grown - 1.0), rel=1e-6)
    assert p == pytest.approx(FEED - a, rel=1e-6)
    assert b == pytest.approx(excess * FEED - p, rel=1e-6)
    assert s == 0.0


def test_decomposition_alone_is_first_order():
    start = outlet(Rates(200.0, 0.0, 0.0), FEED, 10.0 * FEED, 5.0)[2]
    end = outlet(Rates(200.0, 0.0, 0.3), FEED, 10.0 * FEED, 5.0)[2]
    assert end == pytest.approx(start * math.exp(-0.3 * 5.0), rel=0.01)


@settings(max_examples=25, deadline=None)
@given(st.floats(40, 140), st.floats(0.5, 20), st.floats(1, 5), st.sampled_from(sorted(CATALYSTS)))
def test_mass_is_kept_and_nothing_is_negative(temperature, minutes, equivalents, catalyst):
    a, b, p, s = outlet(rates(temperature, catalyst), FEED, equivalents * FEED, minutes)
    assert min(a, b, p, s) >= 0.0
    assert a + p + s <= FEED * (1 + 1e-6)  # the rest is decomposed
    assert equivalents * FEED - b == pytest.approx((FEED - a) + s, abs=1e-6)
    found = result_of(temperature=temperature, residence_time=minutes, equivalents=equivalents, catalyst=catalyst)
    assert found.status in ("measured", "infeasible")
    assert bool(found.values) == (found.status == "measured")
    if found.values:
        assert found.values["yield"].value == pytest.approx(100 * p / FEED)
        waste = FEED * (159.0 + equivalents * 87.0 + CATALYSTS[catalyst][2]) + 60.0 - 226.0 * p
        assert found.values["e_factor"].value == pytest.approx(waste / (226.0 * p))
        assert p <= solubility(temperature)


def test_what_clogs_and_what_gives_nothing_is_infeasible():
    clogged = result_of(temperature=50, residence_time=20.0, equivalents=3, catalyst="B")
    nothing = result_of(temperature=140, residence_time=20.0, equivalents=5, catalyst="B")
    assert (clogged.status, nothing.status) == ("infeasible", "infeasible")
    assert clogged.reason.startswith("clogged")
    assert nothing.reason.startswith("no product")


def test_the_targets_are_at_odds():
    good = [
        result_of(temperature=t, residence_time=m, equivalents=e, catalyst="C").values
        for t in (100, 110, 120)
        for m in (1.5, 3.0, 6.0)
        for e in (1.0, 1.5, 2.0, 3.0)
    ]
    front = np.array([[v["yield"].value, v["e_factor"].value] for v in good if v])
    assert front[:, 0].argmax() != front[:, 1].argmin()
    assert e_factor(0.3, 1.0, "none") < e_factor(0.3, 2.0, "none")


def test_it_keeps_the_promises_of_an_experiment(tmp_path):
    rows = [(100, 3.0, 1.5, "C"), (50, 20.0, 3.0, "B"), (140, 20.0, 5.0, "B")]
    values = [dict(zip(FlowReactor().requires, row)) for row in rows]
    proposals = [Proposal(f"c{k}", "random", "", candidate=Candidate(f"c{k}", "v", v)) for k, v in enumerate(values)]
    found = check_experiment(FlowReactor(), proposals, files=tmp_path)
    assert [result.status for result in found] == ["measured", "infeasible", "infeasible"]


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ExperimentFailed) as caught:
        result_of(temperature="hot", residence_time=0.0, equivalents=1.0, catalyst="D")
    assert not caught.value.retryable
    assert all(name in str(caught.value) for name in ("temperature", "residence_time", "catalyst"))
    assert registry.configure(registry.EXPERIMENTS, {"kind": "simulated-flow"}) == FlowReactor()
