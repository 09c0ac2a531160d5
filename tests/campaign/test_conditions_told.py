"""A sheet whose conditions are not those of its candidates was mixed up: its rows are refused, and what a spreadsheet makes of
cells is not."""

import pandas as pd
import pytest

from discover import Campaign, Categorical, Continuous, Objective, SearchSpace, Substance
from discover.campaign.telling.conditions import agrees
from discover.errors import InvalidInput
from discover.experiment.laboratory.numbers import Percent
from tests.campaign.test_tell import problems


def test_rows_that_were_mixed_up_are_refused_cell_by_cell(campaign):
    batch = campaign.ask(3).assign(**{"yield": [1.0, 2.0, 3.0]})
    mixed = batch.assign(a=batch["a"].tolist()[1:] + batch["a"].tolist()[:1])
    found = problems(campaign, mixed)
    assert len(found) == (mixed["a"] != batch["a"]).sum() > 0
    assert "row 0, column 'a'" in found[0]
    assert f"is {float(batch['a'].iloc[0])!r} in {batch['proposal_id'].iloc[0]}" in found[0]
    assert "rows were mixed up" in found[0]
    by_id = mixed.drop(columns="proposal_id")
    assert len(problems(campaign, by_id)) == len(found)
    other = {"material_id": [campaign.pool.ids[-1]], "a": [-123.0], "yield": [1.0]}  # told of what was never proposed
    assert len(problems(campaign, other)) == 1
    refused = campaign.tell(mixed, partial=True, dry_run=True)
    assert set(refused["became"]) == {"refused"}
    without = campaign.tell(mixed.drop(columns="a"))
    assert set(without["became"]) == {"measured"}


def test_what_a_spreadsheet_makes_of_conditions_is_taken(campaign):
    batch = campaign.ask(2).assign(**{"yield": [1.0, 2.0]})
    shown = batch.assign(
        a=[f"{a:.8g}".replace(".", ",") for a in batch["a"]],
        b=[None, ""],
        solvent=[f" {text.upper()} " for text in batch["solvent"]],
    )
    assert set(campaign.tell(shown)["became"]) == {"measured"}


@pytest.mark.parametrize(
    ("cell", "known", "same"),
    [
        ("007", "7", True), (7.0, "7", True), ("8,5", "8.50", True), ("A", "B", False), (5, "B", False),
        (1.234567, 1.2345678901, True), (1.3, 1.2, False), ("80 °C", 80.0, True), ("90", 80.0, False),
        (True, True, True), ("FALSE", True, False), (None, "x", True), (pd.Timestamp("2026-01-05"), "5-1", True),
        ("x", None, True), (float("nan"), 3.0, True), ("1,234", 1234.0, True), ("1.234", 1234.0, True), ("1,234", 1.234, True),
        ("80.12", 80.1234, True), ("80.13", 80.1234, False), ("1.2E-03", 0.00123, True), ("80", 80.4, False), (80.1, 80.1234, False),
        (Percent(0.05), 5.0, True), (Percent(0.05), 0.05, True), (Percent(0.05), 4.0, False), ("-", 3.0, True), ("n/a", "KOH", True),
        ("1e400", 3.0, True), ("?-pinene", "α-pinene", True), ("?-pinene", "b-pinene", False), ("2-Jan", "1-2", True), ("2-1", "1-2", False),
    ],
)  # fmt: skip
def test_cells_are_held_against_what_is_known(cell, known, same):
    assert agrees(cell, known) is same


def test_a_part_of_a_points_columns_is_held_against_it(url):
    space = SearchSpace(
        [Continuous("t", 20, 90, step=10), Substance("s", {"EtOH": "CCO", "MeOH": "CO"}), Categorical("c", ["x"])]
    )
    campaign = Campaign.create("space", objective=Objective("yield"), candidates=space, policy="random", store=url)
    batch = campaign.ask(1)
    part = batch[["proposal_id", "t", "s"]].assign(s=space.parameters[1].values[batch["s"].iloc[0]], **{"yield": [1.0]})
    with pytest.raises(InvalidInput, match=r"column 't', value 999\.0: is"):
        campaign.tell(part.assign(t=999.0))
    assert campaign.tell(part)["became"].tolist() == ["measured"]


def test_words_in_a_results_cell_are_told_where_they_belong(campaign):
    batch = campaign.ask(5)
    told = problems(
        campaign, batch.assign(**{"yield": ["failed", "12±1", "~40", "traces", 3], "status": [""] * 4 + ["decomposed"]})
    )
    for way_out, problem in zip(
        ("status 'failed'", "yield_std", "number alone", "such as <1", "under note"), told, strict=True
    ):
        assert way_out in problem


def test_all_of_a_points_columns_are_held_against_it_in_the_same_way(url):
    """A plate's sheet has every parameter: what a spreadsheet makes of its cells is taken there as well."""
    space = SearchSpace(
        [Continuous("t", 20, 29), Continuous("e", 1, 5, step=0.5, when="c == 'x'"), Categorical("c", ["x", "y"])]
    )
    campaign = Campaign.create(
        "space", objective=Objective("yield"), candidates=space, policy="random", store=url, seed=0
    )
    batch = campaign.ask(6).assign(**{"yield": [1.0] * 6})
    shown = batch.assign(
        t=[f"{t:.1f}".replace(".", ",") if row else f"{t:g} degC" for row, t in enumerate(batch["t"])],
        e=["" if c == "y" else f"{e:.3f}" for c, e in zip(batch["c"], batch["e"], strict=True)],
        c=batch["c"].str.upper(),
    ).astype(object)
    mixed = shown.assign(t=[*shown["t"].tolist()[1:], shown["t"].iloc[0]])
    with pytest.raises(
        InvalidInput, match=r"column 't', value .*: is .* leave proposal_id and candidate empty|mend it"
    ):
        campaign.tell(mixed)
    idle = shown.assign(e=["2" if c == "y" else e for c, e in zip(shown["c"].str.lower(), shown["e"], strict=True)])
    assert (batch["c"] == "y").any()
    with pytest.raises(InvalidInput, match="column 'e', value '2': has no value in"):
        campaign.tell(idle)
    assert campaign.observations.empty
    became = campaign.tell(shown)
    assert set(became["became"]) == {"measured"}
    assert set(became["remark"]) == {""}
    assert set(campaign.observations["candidate"]) == set(batch["candidate"])
    unknown = shown.iloc[:1].drop(columns="proposal_id").assign(candidate="pt-000")
    with pytest.raises(InvalidInput, match=r"row 0, column 't', value '.* degC': not a number"):
        campaign.tell(unknown)
