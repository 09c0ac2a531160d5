"""The front of a campaign for several targets: who is on it, what it dominates, and its pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, Objective, Target
from discover.campaign.unattended.iterating import summarise
from discover.pareto import hypervolume
from discover.report import hypervolume_so_far, pareto
from discover.report.page import render

GOAL = Objective(
    [Target("modulus", unit="GPa"), Target("price", "minimize", unit="EUR")],
    constraints=["gap >= 0.2"],
    outcomes={"gap": "eV"},
)


def truth(values: Mapping[str, Any]) -> dict[str, float]:
    """The stiffer the dearer; what has a small radius is a metal."""
    modulus = 100 - 20 * values["volume"]
    return {"modulus": modulus, "price": 5 + 0.1 * modulus + values["charge"], "gap": 1.0 + values["radius"]}


@pytest.fixture(scope="module")
def found(begin: Callable[..., Campaign]) -> Campaign:
    campaign = begin(GOAL, seed=2)
    campaign.run(truth, 18, batch=6)
    return campaign


def kept(campaign: Campaign) -> pd.DataFrame:
    seen = campaign.observations
    return seen[seen["gap"] >= 0.2]


def test_the_front_is_what_no_measured_candidate_beats(found: Campaign) -> None:
    front, seen = found.pareto(), kept(found)
    best = {
        str(row["id"])
        for _, row in seen.iterrows()
        if not any(
            o["modulus"] >= row["modulus"] and o["price"] <= row["price"]
            and (o["modulus"] > row["modulus"] or o["price"] < row["price"])
            for _, o in seen.iterrows()
        )
    }  # fmt: skip
    assert set(front["id"]) == best
    assert front["modulus"].is_monotonic_decreasing
    assert {"volume", "gap"} <= set(front.columns)


def test_the_hypervolume_grows_to_that_of_the_front(found: Campaign) -> None:
    front, seen = found.pareto(), kept(found)
    reference = front.attrs["reference"]
    assert reference["modulus"] < front["modulus"].min()
    assert reference["price"] > front["price"].max()
    points = np.stack([seen["modulus"], -seen["price"]], axis=1)
    volume = hypervolume(points, np.array([reference["modulus"], -reference["price"]]))
    assert front.attrs["hypervolume"] == pytest.approx(volume)
    curve = found.iterations["hypervolume"].to_numpy()
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == pytest.approx(volume)
    for number, told in zip(found.iterations["iteration"], curve, strict=True):
        now = hypervolume(points[seen["iteration"] <= number], np.array([reference["modulus"], -reference["price"]]))
        assert told == pytest.approx(now)
    assert f"front       {len(front)} that no other beats; hypervolume {volume:.5g}" in str(found.status())
    assert found.status().to_dict()["front"] == len(front)
    last = summarise(found, found.ledger.iterations[-1])
    assert f"front of {len(front)}, hypervolume {volume:.4g}" in last.line


def test_a_reference_of_the_policys_own_is_kept_to(begin: Callable[..., Campaign]) -> None:
    point = {"modulus": 90.0, "price": 20.0}
    campaign = begin(GOAL, policy={"kind": "bayesian", "start": 6, "reference_point": point})
    assert len(campaign.pareto()) == 0
    assert campaign.iterations.empty
    campaign.run(truth, 9, batch=3)
    assert campaign.pareto().attrs["reference"] == point
    learned = campaign.iterations["learned"].iloc[-1]
    assert learned["reference_utilities"] == {"modulus": 90.0, "price": -20.0}
    assert learned["batch"] == "sequential greedy qLogNEHVI"
    assert "front of modulus and price" in campaign.proposals["reason"].iloc[-1]


def test_a_front_has_no_volume_before_anything_keeps_the_constraints(begin: Callable[..., Campaign]) -> None:
    campaign = begin(GOAL, policy="random")
    batch = campaign.ask(3)
    assert campaign.iterations["hypervolume"].tolist() == [0.0]
    campaign.tell(batch.assign(modulus=1.0, price=2.0, gap=-1.0))
    assert campaign.iterations["hypervolume"].tolist() == [0.0]
    assert len(campaign.pareto()) == 0
    assert "hypervolume" in render(campaign)


def test_one_target_has_its_best_as_its_front(campaign: Campaign) -> None:
    assert campaign.pareto()["modulus"].tolist() == [campaign.best(1)["modulus"].iloc[0]]
    assert "hypervolume" not in campaign.iterations
    assert campaign.status().hypervolume is None


@pytest.mark.parametrize("draw", [pareto, hypervolume_so_far])
def test_pictures_are_whole_and_labelled(found: Campaign, begin: Callable[..., Campaign], draw: Any) -> None:
    for one in (found, begin(GOAL)):
        root = ElementTree.fromstring(draw(one).svg("one"))
        assert len(root.attrib["aria-label"]) > 30
    assert draw(found).svg("one") == draw(found).svg("one")


def test_the_page_shows_the_front_and_what_is_constrained(found: Campaign, campaign: Campaign) -> None:
    text = render(found)
    assert 'id="front"' in text
    assert "beaten by no other" in text
    assert "gap" in text
    assert 'id="front"' not in render(campaign)
