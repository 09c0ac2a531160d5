"""Pictures that a notebook shows by itself and that take on the colours of a page; no global state of matplotlib."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from discover import Campaign, CandidatePool, Objective
from discover.backtest import run_study
from discover.backtest.answers import answers_from_frame
from discover.backtest.one_feature import OneFeature
from discover.report import best_so_far, calibration, parity
from discover.report.figure import ROLES, Picture
from discover.report.study_plot import study_curves

from .conftest import candidates, every_answer


@pytest.fixture(scope="module")
def pictures(campaign: Campaign) -> dict[str, Picture]:
    answers = answers_from_frame(campaign.pool, campaign.objective, every_answer())
    return {
        "alone": best_so_far(campaign),
        "compared": best_so_far(campaign, answers),
        "parity": parity(campaign),
        "calibration": calibration(campaign),
    }


@pytest.mark.parametrize("name", ["alone", "compared", "parity", "calibration"])
def test_svg_is_whole_themed_and_labelled(pictures: dict[str, Picture], name: str) -> None:
    svg = pictures[name].svg("one")
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 30
    assert "width" not in root.attrib
    assert "viewBox" in root.attrib
    bare = [c for c in ROLES.values() if re.search(rf"(?<!, ){c}", svg)]
    assert not bare, "every colour of a role is a variable of the page"
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert all(i.startswith("one-") for i in ids)


def test_the_same_data_give_the_same_drawing(campaign: Campaign) -> None:
    for draw in (best_so_far, parity, calibration):
        assert draw(campaign).svg("one") == draw(campaign).svg("one")


def test_png_for_a_notebook(pictures: dict[str, Picture]) -> None:
    assert all(picture._repr_png_().startswith(b"\x89PNG") for picture in pictures.values())


def test_words_carry_the_numbers(campaign: Campaign, pictures: dict[str, Picture]) -> None:
    best = campaign.best(1)["modulus"].iloc[0]
    assert f"{best:.4g}" in pictures["alone"].words
    assert "random choice reaches" in pictures["compared"].words
    assert "random" not in pictures["alone"].words


def test_lines_drawn_are_those_of_the_data(campaign: Campaign, pictures: dict[str, Picture]) -> None:
    axes = pictures["compared"].axes[0]
    lines = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float) for line in axes.lines}
    observed = campaign.observations["modulus"]
    assert lines["best so far"] == pytest.approx(observed.cummax().ffill().to_numpy(), nan_ok=True)
    assert lines["each experiment"] == pytest.approx(observed.to_numpy(), nan_ok=True)
    assert len(lines["failed"]) == (campaign.observations["status"] == "failed").sum()
    assert lines["random choice, mean"][0] == pytest.approx(expected_first())
    assert len(lines["best single feature"]) == 25


def expected_first() -> float:
    """Mean of one random draw, failures counting as the worst."""
    values = every_answer()["modulus"]
    return float(values.fillna(values.min()).mean())


def test_settings_of_matplotlib_are_untouched(campaign: Campaign) -> None:
    before = dict(mpl.rcParams)
    best_so_far(campaign).svg("x")
    assert dict(mpl.rcParams) == before


def test_no_pyplot() -> None:
    """pyplot would keep every figure and look for a screen."""
    code = "import sys, discover.report.page, discover.report.study_plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_to_draw_yet(begin: Callable[..., Campaign]) -> None:
    empty = begin(Objective("modulus"), policy="random")
    for picture in (best_so_far(empty), parity(empty), calibration(empty)):
        assert picture.svg("x").startswith("<svg")
        assert "yet" in picture.words


def test_names_with_signs_of_mathematics(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("cost_$x^$", unit="$_{"), policy="random")
    started.tell(started.ask(3).assign(**{"cost_$x^$": [1.0, 2.0, 3.0]}))
    assert "$x^$" in best_so_far(started).svg("x")


def test_study_curves() -> None:
    pool = CandidatePool.from_frame(candidates(), id="id", features=["volume", "charge", "radius"])
    policies = {"one-feature": OneFeature(), "another": OneFeature(start=5)}
    study = run_study(pool, Objective("modulus"), every_answer(), policies=policies, seeds=range(3), budget=20)
    axes = study_curves(study).axes[0]
    lines = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float) for line in axes.lines}
    assert set(lines) == {"random choice, exact", "one-feature", "another"}
    assert lines["random choice, exact"] == pytest.approx(study.scale.normalised(study.chance.mean))
    assert lines["another"] == pytest.approx(np.mean([run.normalised for run in study.of("another")], axis=0))
