"""The report: everything in it, nothing but itself, and nothing that data could smuggle in."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from discover import Campaign, Objective
from discover.backtest.answers import answers_from_frame
from discover.errors import ExperimentFailed
from discover.experiment.callable import CallableExperiment
from discover.objective import Target
from discover.report import report
from discover.report.page import render

from .conftest import candidates, every_answer, truth

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "h1", "h2", "h3", "p"),
    *(
        "dl",
        "div",
        "dt",
        "dd",
        "small",
        "strong",
        "ul",
        "ol",
        "li",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ),
    *("br", "span", "sub", "figure", "figcaption", "details", "summary", "pre", "code"),
}
SVG = {"svg", "defs", "g", "path", "use", "text", "tspan", "rect", "clippath", "style"}
VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def harmless(text: str) -> Reader:
    """Only known tags, no script, no request to anywhere."""
    page = Reader(text)
    assert page.tags <= ALLOWED | SVG, page.tags - ALLOWED - SVG
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "action", "srcset"):
            assert value.startswith("#"), (tag, name, value)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    return page


@pytest.fixture(scope="module")
def experiment() -> CallableExperiment:
    return CallableExperiment(truth, targets={"modulus": "GPa"}, name="made up")


@pytest.fixture(scope="module")
def page(campaign: Campaign, experiment: CallableExperiment) -> Reader:
    answers = answers_from_frame(campaign.pool, campaign.objective, every_answer())
    return harmless(render(campaign, answers, experiment=experiment))


def test_everything_that_was_promised(campaign: Campaign, page: Reader) -> None:
    best = campaign.best(10)
    for record in best.to_dict("records"):
        assert record["id"] in page.text
        assert f"{record['modulus']:#.4g}" in page.text
    for words in (
        *("Maximise modulus [GPa], from 90 candidates", "Python function made up", "A made-up modulus."),
        *("Random choice would on average have reached", "The chance that random choice does at least as well is"),
        *("best single feature", "volume", "This is one campaign with one seed"),
        *("predictions were made before their experiments", "of the found values lie inside their 90 % interval"),
        *("space-filling: the first candidate is drawn at random", "log expected improvement", "no model yet"),
        *("not stable", "Near-duplicates within a batch", "Magnetic and f-electron compounds", "magnetic elements: Fe"),
        *("Ament et al.", "Liang et al.", "botorch", campaign.provenance()["snapshot_hash"], "seed 1"),
    ):
        assert words in page.text, words


class _Described(CallableExperiment):
    def describe(self) -> dict[str, object]:
        return {**super().describe(), "std_means": "that of <one> fit"}


def test_what_a_deviation_means_is_said_where_there_is_one(begin: Callable[..., Campaign]) -> None:
    told, plain = (kind(truth, targets={"modulus": "GPa"}, name="x") for kind in (_Described, CallableExperiment))
    started = begin(Objective("modulus"), policy="random")
    started.tell(started.ask(1).assign(modulus=[3.0]))
    assert "The ± of a found value" not in harmless(render(started, experiment=told)).text
    started.tell(started.ask(1).assign(modulus=[4.0], modulus_std=[0.5]))
    assert "The ± of a found value is that of <one> fit; " in harmless(render(started, experiment=told)).text
    assert "The ± of a found value" not in harmless(render(started, experiment=plain)).text


def test_on_a_phone_the_id_stands_under_the_formula(campaign: Campaign, begin: Callable[..., Campaign]) -> None:
    best, text = campaign.best(1)["id"].iloc[0], render(campaign)
    assert f'<small class="id">{best}</small></td><td class="keep id">{best}</td>' in text
    assert ".best th.id, .best td.id { display: none; }" in text
    bare = begin(Objective("modulus"), candidates().drop(columns="formula"), policy="random")
    bare.tell(bare.ask(1).assign(modulus=[3.0]))
    text = render(bare)
    assert '<small class="id">' not in text
    assert f'<td class="keep">{bare.best(1)["id"].iloc[0]}</td>' in text


def test_every_proposal_is_explained(campaign: Campaign, page: Reader) -> None:
    for record in campaign.proposals.to_dict("records"):
        assert re.sub(r"\s+", " ", record["reason"]) in page.text


def test_without_answers_there_is_no_line_and_a_word(campaign: Campaign, experiment: CallableExperiment) -> None:
    page = harmless(render(campaign, experiment=experiment))
    assert "The answers of the other candidates are not known" in page.text
    assert "Random choice would" not in page.text
    refused = harmless(render(campaign, every_answer(), experiment=experiment))
    assert "says nothing of how it was made" in refused.text
    assert "Random choice would" not in refused.text


def test_the_same_campaign_gives_the_same_file_whole(campaign: Campaign, folder: Path) -> None:
    first = report(campaign, folder / "new" / "one.html")
    second = report(campaign, str(folder / "two.html"))
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in (folder / "new").iterdir()] == ["one.html"]
    assert first.stat().st_size < 2_000_000


EVIL = '"><img src=x onerror=alert(1)><script>alert("1")</script>{{ 7*7 }}'


@pytest.mark.filterwarnings("ignore:.*experiments failed")
def test_hostile_data_stays_text(begin: Callable[..., Campaign]) -> None:
    """Formula, id, column, target, unit, reason, source, note, about: none becomes markup."""
    frame = candidates().head(20).rename(columns={"id": "na<b>me"})
    frame["formula"] = [f"{EVIL}{i}" for i in range(20)]
    frame["na<b>me"] = [f"<svg onload=alert({i})>" for i in range(20)]
    evil = begin(Objective("y<i>", unit="<u>"), frame, policy="random", about=f"<h1>{EVIL}</h1>", title=EVIL)
    batch = evil.ask(6)
    values = [1.0, 2.0, 3.0, 4.0, 5.0, np.nan]
    told = batch.drop(columns="reason").assign(
        **{"y<i>": values, "status": [None] * 5 + ["failed"], "note": EVIL, "source": EVIL}
    )
    evil.tell(told)
    evil.propose([frame["na<b>me"].iloc[-1]], reason=EVIL)
    evil.note(EVIL)

    def broken(values: object) -> float:
        raise ExperimentFailed(EVIL)

    evil.run(CallableExperiment(broken, targets={"y<i>": "<u>"}, name=EVIL), 1)
    page = harmless(render(evil, experiment=CallableExperiment(broken, targets={"y<i>": "<u>"}, name=EVIL)))
    assert page.text.count("{{ 7*7 }}") > 10
    assert "<svg onload=alert(" in page.text


def test_every_stage_of_a_life(begin: Callable[..., Campaign]) -> None:
    """Nothing yet; proposed only; only failures; one value; told from elsewhere."""
    young = begin(Objective("modulus", unit="GPa"), policy="random")
    assert "No experiment has given a value yet" in harmless(render(young)).text
    assert "is not part of the campaign's definition" in harmless(render(young)).text
    batch = young.ask(2)
    assert "2 pending" in harmless(render(young)).text
    young.tell(batch.drop(columns="reason").assign(status="failed"))
    page = harmless(render(young))
    assert "2 of 2: no reason given (2)" in page.text
    assert "No experiment has given a value yet" in page.text
    young.tell(pd.DataFrame({"id": ["m-003"], "modulus": [7.5]}))
    page = harmless(render(young))
    assert "7.500" in page.text
    assert "1 result told from elsewhere" in page.text
    young.tell(young.ask(1).assign(modulus=9.25))
    assert "9.250" in harmless(render(young)).text


@pytest.mark.filterwarnings("ignore:.*experiments failed")
@pytest.mark.parametrize("direction", ["minimize", "match"])
def test_other_directions(begin: Callable[..., Campaign], direction: str) -> None:
    objective = Objective("modulus", "match", value=90.0) if direction == "match" else Objective("modulus", "minimize")
    started = begin(objective, policy="random")
    started.run(truth, 12, batch=6)
    answers = answers_from_frame(started.pool, started.objective, every_answer())
    page = harmless(render(started, answers))
    assert "Random choice would on average have reached" in page.text
    best = started.best(1)["modulus"].iloc[0]
    assert f"{best:#.4g}" in page.text


def test_only_failures_beside_known_answers(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("modulus"), policy="random")
    started.tell(started.ask(3).drop(columns="reason").assign(status="failed"))
    answers = answers_from_frame(started.pool, started.objective, every_answer())
    page = harmless(render(started, answers))
    assert "After 3 experiments there is no value yet. Random choice would on average have reached" in page.text
    assert "is 100 %" in page.text


def test_finding_the_best_of_all_is_said(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective("modulus"), policy="random")
    best = every_answer().sort_values("modulus").dropna().iloc[-1]
    started.propose([best["id"]], reason="known to be good")
    started.tell(pd.DataFrame({"id": [best["id"]], "modulus": [best["modulus"]]}))
    answers = answers_from_frame(started.pool, started.objective, every_answer())
    page = harmless(render(started, answers))
    assert "no other candidate is better" in page.text
    assert "does at least as well is 1 %" in page.text  # 1 of 90


def test_several_targets(begin: Callable[..., Campaign]) -> None:
    objective = Objective([Target("modulus", unit="GPa"), Target("price", "minimize")], constraints=["price <= 3"])
    started = begin(objective, policy="random")
    batch = started.ask(4)
    started.tell(batch.assign(modulus=[1.0, 2.0, 3.0, 4.0], price=[1.0, 2.0, 3.0, 9.0]))
    page = harmless(render(started))
    assert "several targets" in page.text
    assert "Maximise modulus [GPa]; minimise price, where price <= 3" in page.text
