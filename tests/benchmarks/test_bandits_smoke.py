"""The benchmark of bandits plays a small table of known answers, and bandits name its best arm more often than random."""

from __future__ import annotations

import bandits
import numpy as np
import pandas as pd
import pytest


def frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [(f"a{a}", f"s{s:02d}", 15.0 * a + generator.normal(0.0, 12.0)) for a in range(6) for s in range(40)]
    found = pd.DataFrame(rows, columns=["arm", "substrate", "outcome"])
    return found.assign(outcome=found["outcome"].clip(0.0, 100.0), id=[f"r{k:05d}" for k in range(len(found))])


@pytest.fixture(scope="module")
def game() -> bandits.Game:
    return bandits.Game.of(bandits.Table("", "outcome", "%", ("arm",), ("substrate",)), frame())


def test_the_best_arm_is_that_of_the_whole_table(game: bandits.Game) -> None:
    wanted = frame().groupby("arm")["outcome"].mean().to_numpy()
    np.testing.assert_allclose(game.means, wanted)


@pytest.mark.parametrize("policy", ["thompson", "thompson-beta", "bayes-ucb", "successive-elimination"])
def test_bandits_name_it(game: bandits.Game, policy: str) -> None:
    told = bandits.summary([game.run(policy, seed) for seed in range(6)])
    blind = bandits.summary([game.run("random", seed) for seed in range(6)])
    assert told["best_named"][-1] >= blind["best_named"][-1]
    assert told["best_named"][-1] >= 5 / 6
    assert told["short"][-1] < 0.1


def test_each_policy_of_the_list_can_be_made(game: bandits.Game) -> None:
    for name in bandits.POLICIES:
        assert len(
            game.policy(name).propose(bandits.view_of(game.known, np.arange(4), 0, {}), 2, np.random.default_rng(0))
        )


@pytest.mark.skipif(not (bandits.DATA / "bandit_nib_meoh").exists(), reason=f"the tables are not under {bandits.DATA}")
def test_a_published_table_is_played() -> None:
    table = bandits.TABLES["nib-meoh"]
    played = bandits.Game.of(table, table.frame())
    assert len(played.means) == 23
    assert played.run("thompson", 0)["tried"] == bandits.BUDGET
