"""The environment is one by Gymnasium's own checker; its rewards add up; its tables and simulations are what they say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from discover.backtest.answers import Answers
from discover.backtest.loop import Retrospective
from discover.backtest.responses import EmulatedResponses, SimulatedResponses, TableResponses
from discover.errors import InvalidInput
from tests.policy.arm_views import YIELD, table_of, view_of

pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env

from discover.backtest.environment import CampaignEnvironment


def known() -> tuple[np.ndarray, Retrospective]:
    table = table_of(4, 6)
    view = view_of(table)
    n = table.size
    status = np.full(n, "measured", dtype="<U10")
    values = table.reshape(-1).copy()
    values[5], status[5] = np.nan, "failed"
    answers = Answers(YIELD.targets[0], values, np.full(n, np.nan), np.zeros(n, dtype=np.int64), status, np.full(n, ""))
    return table, Retrospective(YIELD, view.ids, view.features, answers, view.columns)


def environments() -> dict[str, CampaignEnvironment]:
    table = TableResponses.of(known()[1], ["ligand"], ["substrate"])
    simulated = SimulatedResponses(np.eye(5), width=2)
    emulated = EmulatedResponses(lambda g: (g.random(3), g.random(1)), 3, 1)
    return {
        "table": CampaignEnvironment(table, horizon=3),
        "simulated": CampaignEnvironment(simulated, horizon=4, reward="outcome"),
        "emulated": CampaignEnvironment(emulated, horizon=2, costs=np.array([1.0, 2.0, 4.0])),
    }


@pytest.mark.parametrize("name", ["table", "simulated", "emulated"])
def test_gymnasiums_own_checker_passes(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(environments()[name], skip_render_check=True)


def test_gains_add_up_to_the_best_that_was_found_whatever_is_tried() -> None:
    env = environments()["table"]
    generator = np.random.default_rng(0)
    for seed in range(20):
        env.reset(seed=seed)
        total, tried, done = 0.0, [], False
        while not done:
            tried.append(int(generator.integers(4)))
            seen, reward, done, _, info = env.step(tried[-1])
            total += reward
        assert total == pytest.approx(info["best"]) == pytest.approx(env.values[tried].max())
        assert info["short"] == pytest.approx(env.values.max() - env.values[tried].max())
        np.testing.assert_allclose(seen[4:8], np.where(np.isin(np.arange(4), tried), env.values, 0.0), atol=1e-6)


def test_outcomes_are_divided_by_cost() -> None:
    env = CampaignEnvironment(environments()["emulated"].responses, reward="outcome", costs=np.array([1.0, 2.0, 4.0]))
    env.reset(seed=1)
    assert env.step(2)[1] == pytest.approx(env.values[2] / 4.0)


def test_a_table_is_scaled_by_cell_and_what_failed_is_nothing() -> None:
    table, all_known = known()
    told = TableResponses.of(all_known, ["ligand"], ["substrate"])
    fine = np.delete(table.reshape(-1), 5)
    wanted = ((table - fine.min()) / np.ptp(fine)).T
    wanted[5, 0] = np.nan
    np.testing.assert_allclose(told.values, wanted)
    assert told.contexts.shape == (6, 6)
    np.testing.assert_allclose(np.sort(told.contexts.sum(axis=1)), np.ones(6))


def test_simulated_conditions_that_are_alike_give_alike() -> None:
    features = np.array([[0.0], [0.1], [5.0]])
    generator = np.random.default_rng(0)
    drawn = np.array([SimulatedResponses(features, unlike=0.01).draw(generator)[0] for _ in range(400)])
    near, far = np.abs(drawn[:, 0] - drawn[:, 1]).mean(), np.abs(drawn[:, 0] - drawn[:, 2]).mean()
    assert near < 0.4 * far
    assert ((drawn > 0) & (drawn < 1)).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInput) as told:
        CampaignEnvironment(SimulatedResponses(np.eye(3)), 0, "yield", np.array([1.0, -1.0, 2.0]))  # type: ignore[arg-type]
    assert {p.column for p in told.value.problems} == {"horizon", "reward", "costs"}


@pytest.mark.parametrize("action", [-1, 5, 2.5, "a", None])
def test_only_conditions_are_tried(action):
    environment = CampaignEnvironment(SimulatedResponses(np.eye(5)))
    environment.reset(seed=0)
    with pytest.raises(InvalidInput, match="no such condition"):
        environment.step(action)
    assert environment.step(np.int64(4))


def test_conditions_that_are_none_are_refused():
    with pytest.raises(InvalidInput, match="finite"):
        SimulatedResponses(np.full((2, 2), np.nan))
    with pytest.raises(InvalidInput, match="no conditions"):
        CampaignEnvironment(SimulatedResponses(np.empty((0, 2))))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (([0.1, 0.2], [0.5]), "must be 3 numbers"),
        (([0.1, 0.2, 55.0], [0.5]), "from 0 to 1"),
        (([0.1, 0.2, 0.3], []), "must be 1 finite numbers"),
    ],
)
def test_an_emulator_that_breaks_its_promise_is_named(told, words):
    with pytest.raises(InvalidInput, match=words):
        CampaignEnvironment(EmulatedResponses(lambda g: told, 3, 1)).reset(seed=0)
