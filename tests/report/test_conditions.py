"""Points of a space are told by their conditions, however many there are: their ids are hashes."""

from __future__ import annotations

from discover import Campaign, Categorical, Continuous, Mixture, Objective, SearchSpace
from discover.report.conditions import conditions_of


def test_a_point_of_many_columns_is_told_without_what_is_not_in_it(tmp_path):
    space = SearchSpace(
        [
            *(Categorical(f"c{k}", ["a"]) for k in range(9)),
            Continuous("loading", 1, 2, step=1, unit="mol%", when="c0 == 'a'"),
            Mixture("solvent", ["water", "EtOH"], step=0.5, at_most=1),
        ]
    )
    url = f"sqlite:///{tmp_path}/c.db"
    campaign = Campaign.create("c", objective=Objective("y"), candidates=space, policy="random", store=url)
    batch = campaign.ask(1).iloc[0]
    line = conditions_of(campaign, [batch["candidate"]])[batch["candidate"]].replace("\N{NO-BREAK SPACE}", " ")
    one = "water" if batch["solvent.water"] else "EtOH"
    assert line.endswith(f"loading {batch['loading']:g} mol% · solvent.{one} 1")
    assert line.count(" · ") == 10


def test_a_space_that_nobody_counts_is_told_by_its_order_of_magnitude(tmp_path):
    space = SearchSpace([Continuous(f"x{i}", 0, 99, step=1) for i in range(8)])
    url = f"sqlite:///{tmp_path}/c.db"
    campaign = Campaign.create("c", objective=Objective("y"), candidates=space, policy="random", store=url)
    assert "candidates  more than 10^16\n" in str(campaign.status())
    assert campaign.status().to_dict()["candidates"] == 10**16
