"""The loop in memory shows a policy the same view as a stored campaign does, and so comes to the same choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from discover import Campaign, CandidatePool, Objective
from discover.backtest.answers import answers_from_frame
from discover.backtest.loop import Retrospective, play, view_of
from discover.features.build import feature_table
from discover.policy.bayesian import Bayesian


def test_view_is_that_of_a_stored_campaign(tmp_path: Path) -> None:
    """Told row by row in another order, with failures, infeasible and censored results among them."""
    generator = np.random.default_rng(3)
    frame = pd.DataFrame(generator.normal(size=(40, 3)), columns=list("abc"))
    frame.insert(0, "name", [f"m{i:02d}" for i in range(40)])
    pool = CandidatePool.from_frame(frame, id="name", features=list("abc"))
    answers = frame[["name"]].assign(y=frame["a"] - frame["b"] ** 2, status="measured", reason="")
    answers.loc[[4, 9], ["y", "status", "reason"]] = [np.nan, "failed", "broke"]
    answers.loc[[12], ["y", "status", "reason"]] = [np.nan, "infeasible", "cannot exist"]
    objective = Objective("y", "minimize")
    table = Retrospective(objective, pool.ids, feature_table(pool, None), answers_from_frame(pool, objective, answers))

    campaign = Campaign.create(
        "stored", objective=objective, candidates=pool, policy=Bayesian(start=6), store=f"sqlite:///{tmp_path / 'x.db'}"
    )
    tried = np.array([9, 0, 31, 4, 22, 12, 17, 5, 38])
    told = answers.iloc[tried].assign(note=answers["reason"]).drop(columns="reason")
    campaign.tell(told.iloc[:4])
    campaign.tell(told.iloc[4:])

    mine, stored = view_of(table, tried, 0, {}), campaign.view()
    for name in ("ids", "blocked", "pending", "infeasible"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(stored, name))
    for name in ("rows", "values", "stds", "bounds"):
        np.testing.assert_array_equal(getattr(mine.training["y"], name), getattr(stored.training["y"], name))
    np.testing.assert_array_equal(mine.features.values, stored.features.values)
    assert (mine.objective, mine.iteration, mine.memory) == (stored.objective, stored.iteration, stored.memory)
    proposed = [Bayesian(start=6).propose(view, 4, np.random.default_rng(1)) for view in (mine, stored)]
    assert proposed[0].proposals == proposed[1].proposals


def test_what_a_policy_remembers_is_handed_on(tmp_path: Path) -> None:
    """The Bayesian policy's warm start is in the next view, as it is between the iterations of a campaign."""
    generator = np.random.default_rng(3)
    frame = pd.DataFrame(generator.normal(size=(40, 2)), columns=list("ab"))
    frame.insert(0, "name", [f"m{i:02d}" for i in range(40)])
    pool = CandidatePool.from_frame(frame, id="name", features=list("ab"))
    answers = answers_from_frame(pool, Objective("y"), frame.assign(y=frame["a"]))
    table = Retrospective(Objective("y"), pool.ids, feature_table(pool, None), answers)
    seen: list[bool] = []

    class Watched:
        def propose(self, view, n, generator):  # type: ignore[no-untyped-def]
            seen.append(bool(view.memory))
            return Bayesian(start=5).propose(view, n, generator)

    trace = play(table, Watched(), seed=0, budget=20, batch=5)
    assert seen == [False, False, True, True]
    assert len(trace.rows) == len(set(trace.rows.tolist())) == 20
    first = play(table, Bayesian(start=5), seed=0, budget=20, batch=5)
    np.testing.assert_array_equal(first.rows, trace.rows)
