"""Rate constants from runs whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover import Campaign, CandidatePool, Objective
from discover.errors import InvalidInput
from discover.experiment.kinetics import GAS_CONSTANT, ORDERS, arrhenius, rate_constant, rates

TIMES = np.linspace(0, 60, 13)


def curve(order: int, k: float, start: float = 1.0) -> np.ndarray:
    return {0: np.maximum(start - k * TIMES, 0), 1: start * np.exp(-k * TIMES), 2: start / (1 + start * k * TIMES)}[
        order
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_and_its_constant_are_found_in_noise(order: int) -> None:
    k = {0: 0.02, 1: 0.05, 2: 0.2}[order]
    noisy = curve(order, k) + np.random.default_rng(order).normal(0, 0.01, len(TIMES))
    found = rate_constant(TIMES, noisy)
    assert found.order == order
    assert found.clear
    assert abs(found.k - k) < 4 * found.std < k
    assert found.residual == pytest.approx(0.01, rel=0.6)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ORDERS), st.floats(0.3, 3), st.floats(-6, 6), st.floats(-6, 6))
def test_units_do_not_matter(order: int, k: float, times: float, concentrations: float) -> None:
    """In other units of time and concentration the constant is the same in those units."""
    t, c = 10**times, 10**concentrations
    rate = {0: k * 0.01, 1: k * 0.05, 2: k * 0.1}[order]
    found = rate_constant(TIMES * t, curve(order, rate) * c, order)  # type: ignore[arg-type]
    assert found.k == pytest.approx({0: rate * c / t, 1: rate / t, 2: rate / (c * t)}[order], rel=1e-3)


def test_the_deviation_is_the_spread_of_repeated_runs() -> None:
    rng = np.random.default_rng(5)
    found = [rate_constant(TIMES, curve(1, 0.05) + rng.normal(0, 0.02, len(TIMES)), 1) for _ in range(200)]
    assert np.std([f.k for f in found]) == pytest.approx(np.median([f.std for f in found]), rel=0.2)


def test_few_samples_do_not_tell_orders_apart() -> None:
    noisy = curve(1, 0.005)[:4] + np.random.default_rng(0).normal(0, 0.01, 4)
    assert not rate_constant(TIMES[:4], noisy).clear


@pytest.mark.parametrize(
    ("time", "concentration", "said"),
    [
        ([0, 1, 2], [1, 0.5, 0.2], "at least four samples"),
        ([0, 1, 2, math.nan], [1, 0.5, 0.2, 0.1], "time"),
        ([0, 1, 2, -3], [1, 0.5, 0.2, 0.1], "time"),
        ([0, 1, 2, 3], [0, 0, 0, 0], "no concentration above 0"),
        ([0, 1, 2, 3], [1, 2, math.inf, 3], "concentration"),
        ([0, 10, 20, 30, 40], [1, 2, 3, 4, 5], "the concentration rises"),
    ],
)
def test_what_cannot_be_used_is_said(time: list[float], concentration: list[float], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        rate_constant(time, concentration)


def test_arrhenius_through_exact_constants_and_its_deviation_by_simulation() -> None:
    T, energy, factor = np.array([300.0, 320.0, 340.0, 360.0]), 8e4, 1e10
    k = factor * np.exp(-energy / (GAS_CONSTANT * T))
    law = arrhenius(T, k, 0.05 * k)
    assert law.energy == pytest.approx(energy)
    assert law.rate(350.0)[0] == pytest.approx(factor * math.exp(-energy / (GAS_CONSTANT * 350.0)))
    rng = np.random.default_rng(1)
    again = [arrhenius(T, k * np.exp(rng.normal(0, 0.05, 4)), 0.05 * k) for _ in range(300)]
    assert np.std([a.energy for a in again]) == pytest.approx(law.energy_std, rel=0.15)
    assert np.std([math.log(a.rate(350.0)[0]) for a in again]) == pytest.approx(
        law.rate(350.0)[1] / law.rate(350.0)[0], rel=0.15
    )
    with pytest.raises(InvalidInput, match="two temperatures"):
        arrhenius([300.0, 300.0], [1.0, 1.1], [0.1, 0.1])


def test_runs_are_told_to_a_campaign_as_noisy_observations(tmp_path) -> None:
    pool = CandidatePool.from_frame(pd.DataFrame({"id": list("abcdef"), "x": range(6)}), id="id", features=["x"])
    campaign = Campaign.create(
        "k", objective=Objective("rate_constant", unit="1/min"), candidates=pool, policy="random",
        store=f"sqlite:///{tmp_path / 'k.db'}",
    )  # fmt: skip
    batch, rng = campaign.ask(3), np.random.default_rng(0)
    runs = pd.concat(
        pd.DataFrame(
            {"proposal_id": p, "time": TIMES, "concentration": curve(1, 0.02 * (i + 1)) + rng.normal(0, 0.01, 13)}
        )
        for i, p in enumerate(batch["proposal_id"])
    )
    table = rates(runs)
    assert set(table["order"]) == {1}
    campaign.tell(table.drop(columns="order"))
    told = campaign.observations.set_index("proposal_id")
    assert told.loc[table["proposal_id"], "rate_constant_std"].to_numpy() == pytest.approx(
        table["rate_constant_std"].to_numpy()
    )
    runs.loc[runs["proposal_id"] == batch["proposal_id"][1], "concentration"] = 0.0
    with pytest.raises(InvalidInput, match=str(batch["proposal_id"][1])):
        rates(runs)


def test_rounding_tells_no_order_and_no_exact_constant() -> None:
    still = rate_constant(TIMES, np.ones(len(TIMES)))
    assert not still.clear
    assert 0 < still.std < 1e-9
    assert abs(still.k) <= 3 * still.std
    exact = rate_constant(TIMES, curve(1, 0.05))
    assert exact.clear
    assert 0 < exact.std < 1e-9


@pytest.mark.parametrize("order", [None, *ORDERS])
def test_a_reaction_that_is_over_before_the_second_sample_has_no_constant(order: int | None) -> None:
    with pytest.raises(InvalidInput, match="take samples earlier"):
        rate_constant(TIMES, [1.0, *[0.0] * 12], order)
    assert rate_constant(TIMES[:5], [1.0, 0.5, 0.0, 0.0, 0.0], 0).k == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("time", "concentration"),
    [(["a"] * 8, [1.0] * 8), (["0,5"] * 8, [1.0] * 8), ([object()] * 8, [1.0] * 8), (TIMES * 1e-300, curve(1, 0.1))],
)
def test_what_is_no_table_of_numbers_is_refused(time: list[object], concentration: list[float]) -> None:
    with pytest.raises(InvalidInput):
        rate_constant(time, concentration)
    with pytest.raises(InvalidInput):
        arrhenius(["warm", "hot"], [1.0, 2.0], [0.1, 0.1])


def test_a_sample_of_no_run_is_not_passed_over() -> None:
    frame = pd.DataFrame({"proposal_id": ["a"] * 12 + [None], "time": TIMES, "concentration": curve(1, 0.05)})
    with pytest.raises(InvalidInput, match="row 12, column 'proposal_id'"):
        rates(frame)
