"""Campaign files: every problem at once, each with its line, key, value and the nearest valid choice."""

import pandas as pd
import pytest

from discover.definition import load
from discover.definition.schema import schema
from discover.errors import CampaignNotFound, DefinitionChanged, DiscoverError, InvalidDefinition
from tests.dyes import CAMPAIGNS, GOOD, problems


@pytest.mark.parametrize("path", sorted(CAMPAIGNS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_campaign_is_valid(path):
    definition = load(path)
    assert definition.settings["campaign"] == definition.name
    assert definition.budget["experiments"] > 0


def test_a_file_becomes_a_campaign_and_is_found_again(folder):
    definition = load(folder / "dyes.yaml")
    campaign = definition.open()
    assert (campaign.name, len(campaign.pool), campaign.batch_size, campaign.budget, campaign.seed) == (
        "dyes",
        12,
        2,
        6,
        3,
    )
    assert campaign.store == f"sqlite:///{folder / '.discover' / 'dyes.db'}"
    assert campaign.features.names == ("a", "b", "solvent=x", "solvent=y")
    batch = campaign.ask(3)
    again = load(folder / "dyes.yaml").open()
    assert again.pending["proposal_id"].tolist() == batch["proposal_id"].tolist()
    experiment = definition.runner(campaign.files)
    assert again.run_pending(experiment) == 3
    assert again.status().measured == 3


def test_every_problem_at_once_with_line_key_value_and_way_out(folder):
    text = """\
campaign: dyes/../x
objective: {target: yield, direction: maximise}
candidates: {kind: tabel, file: dyes.csv}
features: []
policy: {kind: random, batch: 0, start: 3}
experiment: {kind: table, file: answers.csv, target: yield, valid: 3}
budgets: {experiments: 6}
seed: -1
"""
    found = problems(folder, text)
    for line, parts in {
        1: ["campaign", "letters, digits"],
        2: ["objective.direction", "'maximise'", "did you mean 'maximize'"],
        3: ["candidates.kind", "'tabel'", "did you mean 'table'"],
        4: ["features"],
        5: ["policy.batch", "at least 1"],
        6: ["experiment.valid", "3"],
        7: ["budgets", "did you mean 'budget'"],
        8: ["seed", "-1"],
    }.items():
        mine = [p for p in found if p.startswith(f"line {line},")]
        assert mine, (line, found)
        assert all(any(part in p for p in mine) for part in parts), (line, mine)
    assert any("policy.start" in p for p in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mapping of keys"),
        ("- a\n- b\n", "mapping of keys"),
        ("campaign: [", "not YAML"),
        ("a: !!python/object/apply:os.system [echo]\n", "not YAML"),
        ("campaign: a\ncampaign: b\n", "line 2, key 'campaign': the key stands twice"),
        ("campaign: a\n", "key 'objective': is required"),
        (GOOD.replace("kind: table, file: dyes.csv", "file: dyes.csv"), "needs a kind"),
        (GOOD.replace("target: yield, direction", "targets: [], direction"), "objective"),
        (GOOD.replace("target: yield, units", "target: yeild, units"), "yeild"),
        (GOOD.replace('units: {yield: "%"}', "units: {yield: g}"), "measures in 'g'"),
    ],
)
def test_what_cannot_be_used_says_why(folder, text, message):
    assert message in "\n".join(problems(folder, text))


def test_a_missing_file_and_a_missing_column(folder):
    with pytest.raises(InvalidDefinition, match="cannot be read"):
        load(folder / "none.yaml")
    (folder / "x.yaml").write_text(GOOD.replace("[a, b,", "[a, bb,"))
    with pytest.raises(Exception, match="bb") as error:
        load(folder / "x.yaml").open()
    assert "a, b, solvent" in str(error.value)


def test_numbers_are_those_that_people_write():
    from discover.definition.yaml_lines import read_yaml

    told = {"1e-3": 0.001, "-2.5E+4": -25000.0, ".5": 0.5, "5.": 5.0, "0": 0, "-12": -12, "+3": 3, "1.0e-3": 0.001}
    told |= {text: text for text in ("12:30", "010", "007", "1_000", "0x10", "1e", "e3", "1.2.3", "1e1000")}
    for text, value in told.items():
        found = read_yaml(f"x: [{text}]\n", "x")[0]["x"][0]
        assert found == value
        assert type(found) is type(value), text
    assert read_yaml("x: [.inf, -.inf, .nan]\n", "x")[0]["x"][:2] == [float("inf"), -float("inf")]


def test_nobelium_is_an_element_and_not_a_no(folder):
    from discover.definition.yaml_lines import read_yaml

    value, lines = read_yaml("elements: [No, Y, On, true]\nx:\n  y: 1\n", "x")
    assert value["elements"] == ["No", "Y", "On", True]
    assert lines["x", "y"] == 3


def test_a_changed_file_is_refused_with_its_difference(folder):
    load(folder / "dyes.yaml").open()
    (folder / "dyes.yaml").write_text(GOOD.replace("experiments: 6", "experiments: 8"))
    definition = load(folder / "dyes.yaml")
    with pytest.raises(DefinitionChanged, match=r"budget.experiments: 6 → 8") as error:
        definition.open()
    assert "--accept-changes" in str(error.value)
    assert definition.open(changes="accept").budget == 8
    (folder / "dyes.yaml").write_text(GOOD.replace("direction: maximize", "direction: minimize"))
    with pytest.raises(DefinitionChanged, match="another name"):
        load(folder / "dyes.yaml").open(changes="accept")


def test_answers_are_hidden_from_the_candidates(folder):
    both = pd.read_csv(folder / "dyes.csv").merge(pd.read_csv(folder / "answers.csv"))
    both.to_csv(folder / "dyes.csv", index=False)
    definition = load(folder / "dyes.yaml")
    campaign = definition.open()
    assert "yield" not in campaign.pool.columns
    assert "yield" not in campaign.ask(1).columns
    (folder / "x.yaml").write_text(GOOD.replace("[a, b,", "[a, yield,").replace("campaign: dyes", "campaign: other"))
    with pytest.raises(InvalidDefinition, match="would tell the answer"):
        load(folder / "x.yaml").open()


@pytest.mark.parametrize("table", ["solvent,polarity\nx,1.5\ny,2.5\n", "solvent;polarity\nx;1,5\ny;2,5\n"])
def test_descriptors_from_a_file(folder, table):
    (folder / "solvents.csv").write_text(table)
    (folder / "x.yaml").write_text(
        GOOD.replace("{categorical: solvent}", "{categorical: solvent, descriptors: solvents.csv}")
    )
    campaign = load(folder / "x.yaml").open()
    assert campaign.features.names == ("a", "b", "solvent:polarity")
    assert set(campaign.features.values[:, 2]) == {1.5, 2.5}


def test_constraints_that_nothing_can_keep_are_told_at_their_line(folder):
    told = problems(
        folder, GOOD.replace('unit: "%"}', 'unit: "%", constraints: [ee <= 0, ee >= 1], outcomes: {ee: "%"}}', 1)
    )
    assert any("no value of 'ee' keeps all of its constraints (drop one, or widen it)" in text for text in told), told


def test_several_targets_and_constraints(folder):
    text = GOOD.replace(
        'objective: {target: yield, direction: maximize, unit: "%"}',
        "objective:\n  targets:\n    - {name: yield}\n    - {name: ee, direction: match, band: [0.5, 1]}\n  constraints: ['ee > 0.2']",
    ).replace('experiment: {kind: table, file: answers.csv, id: dye, target: yield, units: {yield: "%"}}\n', "")
    (folder / "x.yaml").write_text(text)
    objective = load(folder / "x.yaml").objective
    assert objective.names == ("yield", "ee")
    assert objective.constraints[0].holds(0.3)
    assert "did you mean 'yield'?" in problems(folder, text.replace("ee > 0.2", "yeild > 0.2"))[0]


def test_what_is_constrained_beside_the_targets_has_its_unit(folder):
    text = GOOD.replace('unit: "%"}', 'unit: "%", constraints: [ee > 0.2], outcomes: {ee: "%"}}', 1)
    told = problems(folder, text)
    assert len(told) == 1
    assert "value 'ee': the experiment does not measure this" in told[0]
    (folder / "x.yaml").write_text(text.replace("target: yield, units", "columns: {yield: yield, ee: ee}, units"))
    assert load(folder / "x.yaml").objective.units == {"yield": "%", "ee": "%"}
    said = problems(folder, text.replace('ee: "%"', 'ee: "%", cost: EUR').split("experiment:")[0])
    assert any("outcomes.cost" in line and "no constraint is about this outcome" in line for line in said)


def test_what_the_candidates_tell_of_themselves_is_a_filter(folder):
    text = GOOD.replace('unit: "%"}', 'unit: "%", constraints: [b > 0.2]}', 1).split("experiment:")[0]
    (folder / "x.yaml").write_text(text.replace("features: [a, b", "features: [a"))
    definition = load(folder / "x.yaml")
    with pytest.raises(InvalidDefinition, match="is a filter"):
        definition.pool(definition.source.located(folder, folder).pull())


def test_a_relative_store_starts_at_the_file(folder):
    (folder / "x.yaml").write_text(GOOD + "store: sqlite:///mine.db\n")
    assert load(folder / "x.yaml").store == f"sqlite:///{folder / 'mine.db'}"


def test_a_store_may_lie_in_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "x.yaml").write_text(GOOD + "store: sqlite:///~/mine.db\n")
    assert load(folder / "x.yaml").store == f"sqlite:///{folder / 'home' / 'mine.db'}"
    (folder / "~").mkdir()
    (folder / "~" / "mine.db").touch()  # so it was read once, and a store that is there is gone on with
    assert load(folder / "x.yaml").store == f"sqlite:///{folder / '~' / 'mine.db'}"


def test_opening_without_beginning(folder):
    with pytest.raises(CampaignNotFound, match="has not begun"):
        load(folder / "dyes.yaml").open(create=False)


def test_the_schema_knows_every_kind():
    body = schema()
    kinds = [choice["properties"]["kind"]["const"] for choice in body["properties"]["policy"]["oneOf"]]
    assert {"random", "space-filling", "bayesian"} <= set(kinds)
    table = next(c for c in body["properties"]["candidates"]["oneOf"] if c["title"] == "table")
    assert "base" not in table["properties"]
    assert table["required"] == ["kind", "file", "id"]


def test_options_of_kinds_are_reported_in_plain_words(folder):
    text = GOOD.replace("{kind: random, batch: 2}", "{kind: bayesian, start: ten, kernel: rfb}")
    text = text.replace("file: dyes.csv", "file: 3").replace("target: yield, units", "valid: 3, target: yield, units")
    found = "\n".join(problems(folder, text))
    for part in ("'policy.start', value 'ten': must be a whole number", "did you mean 'rbf'", "'candidates.file', value 3: must be text",
                 "'experiment.valid', value 3: must be a mapping"):  # fmt: skip
        assert part in found, found
    assert "Input should" not in found


def test_a_campaign_that_cannot_begin_leaves_no_store(folder):
    (folder / "x.yaml").write_text(GOOD.replace("file: dyes.csv", "file: none.csv"))
    with pytest.raises(DiscoverError, match=r"none\.csv"):
        load(folder / "x.yaml").open()
    assert not list(folder.glob(".discover/*.db"))
