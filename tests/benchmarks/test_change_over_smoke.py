"""The benchmark of change-overs plays its campaigns on the shipped tables, and keeps its books beside the campaign's."""

from __future__ import annotations

import json

import change_over
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::discover.campaign.asking.choosing.FewerProposals")


@pytest.mark.parametrize("which", change_over.PRICES)
@pytest.mark.parametrize("policy", change_over.POLICIES)
def test_a_campaign_spends_its_budget_and_tells_what_it_found(which: str, policy: str) -> None:
    run = change_over.played("suzuki", which, policy, seed=0, budget=200)
    assert 200 - 21 < run["cost"] <= 200
    assert 0 < run["area"] <= run["end"] <= 1
    assert run["experiments"] > change_over.START


def test_both_tables_are_there() -> None:
    assert {name: len(change_over.table_of(name)) for name in change_over.TABLES} == {"suzuki": 384, "buchwald": 264}


def test_differences_are_paired() -> None:
    told = {"priced": [0.9, 0.8], "blind": [0.8, 0.7]}
    runs = {name: [{"area": area, "end": area, "experiments": 9} for area in areas] for name, areas in told.items()}
    assert change_over.summary(runs)["blind"]["priced minus this"] == pytest.approx([0.1, 0.1, 0.1])
    assert change_over.band(np.array([0.0, 1.0]))[0] == 0.5


def test_the_page_shows_what_was_measured() -> None:
    page = (change_over.OUT.parents[2] / "discover" / "policy" / "README.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith(("| Suzuki,", "| Buchwald–Hartwig,"))]
    found = json.loads(change_over.OUT.read_text())["found"]
    assert len(rows) == len(found) == len(change_over.TABLES) * len(change_over.PRICES)
    for row, told in zip(rows, found.values(), strict=True):
        mean, low, high = told["blind"]["priced minus this"]
        cells = [f"{told[name]['area']:.3f}" for name in ("priced", "blind")] + [
            f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        ]
        made = ", ".join(f"{told[name]['experiments']:.0f}" for name in ("priced", "blind"))
        assert [cell.strip() for cell in row.strip("|").split("|")][1:] == [*cells, made]
