"""Campaign files against the files that they name, and in words that say what to do."""

import re

import pandas as pd
import pytest

from discover.candidates.snapshots.snapshot import Snapshot
from discover.definition import load
from discover.definition.checks import check
from discover.errors import CampaignNotFound, DefinitionChanged, InvalidDefinition
from tests.dyes import CAMPAIGNS, GOOD, problems


def found(folder, text):
    (folder / "x.yaml").write_text(text)
    definition = load(folder / "x.yaml")
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(InvalidDefinition) as error:
        check(definition)
    assert sorted(path.name for path in folder.rglob("*")) == before
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize("path", sorted(CAMPAIGNS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_campaign_passes(path):
    check(load(path))


def test_a_good_file_passes(folder):
    check(load(folder / "dyes.yaml"))


LINES = """\
campaign: dyes
objective: {target: yield}
candidates:
  kind: table
  file: dyes.csv
  id: dye
features:
  - a
  - {categorical: solvent}
"""


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("dyes.csv", "none.csv", ["line 5, key 'candidates.file'", "no such file"]),
        ("id: dye", "id: dya", ["line 6, key 'candidates.id', value 'dya'", "did you mean 'dye'"]),
        ("- a", "- aa", ["line 8, key 'features.0', value 'aa'", "did you mean 'a'"]),
        (": solvent", ": solvnt", ["line 9, key 'features.1', value 'solvnt'", "did you mean 'solvent'"]),
        ("- a", "- composition", ["line 8, key 'features.0', value 'formula'", "no such column"]),
        ("- a", "- yield", ["line 8, key 'features.0', value 'yield'", "tell the answer"]),
        ("- a", "- dye", ["line 8, key 'features.0', value 'dye'", "the id is not a feature"]),
        ("- a", "- a\n  - a", ["line 8, key 'features.0', value 'a'", "named for two features"]),
        ("target: yield", "target: reason", ["line 2, key 'objective.target', value 'reason'", "reserved"]),
        ("target: yield", "target: predicted_mean_x", ["line 2", "reserved"]),
        ("id: dye", "id: dye\n  query: {aa: [0, 1]}", ["line 7, key 'candidates.query.aa'", "did you mean 'a'"]),
        ("t}\n", "t, descriptors: none.csv}\n", ["line 9, key 'features.1.descriptors'", "no such file"]),
        ("t}\n", "t, descriptors: bad.csv}\n", ["line 9", "row 4", "column 'polarity', value 'high'", "not a finite"]),
        ("t}\n", "t}\nanswers: none\n", ["line 10, key 'answers'", "no such folder"]),
        ("t}\n", "t}\nstore: campaigns.db\n", ["line 10, key 'store'", "not a store's URL"]),
        ("t}\n", "t}\nstore: mysql://x/y\n", ["line 10, key 'store'", "not supported"]),
        ("t}\n", "t}\nstore: sqlite:///.\n", ["line 10, key 'store'", "is a folder"]),
        (
            "t}\n",
            "t}\nexperiment: {kind: table, file: answers.csv, id: dye, target: yield, column: yeild}\n",
            ["line 10, key 'experiment.file', column 'yeild'", "no such column"],
        ),
        ("t}\n", "t}\nexperiment: {kind: table, file: none.csv, target: yield}\n", ["line 10", "no such file"]),
    ],
)
def test_what_it_names_is_looked_for(folder, old, new, parts):
    (folder / "bad.csv").write_text("solvent,polarity\n\nx,1.5\ny,high\n")
    told = found(folder, LINES.replace(old, new))
    assert len(told) == 1
    assert all(part in told[0] for part in parts), told


def test_a_snapshot_is_looked_for_and_all_is_told_at_once(folder):
    text = (
        LINES.replace("kind: table", "kind: snapshot")
        .replace("file: dyes.csv", "path: kept")
        .replace("  id: dye\n", "")
    )
    told = found(folder, text)
    assert "line 5, key 'candidates.path'" in told[0]
    assert "0 snapshots lie in this folder" in told[0]
    frame = pd.DataFrame({"dye": ["p", "q"], "a": [1.0, 2.0], "note": ["", ""]})
    Snapshot.write(frame, folder / "kept", id="dye", provenance={})
    told = found(folder, text + "answers: none\n")
    assert [re.sub(":.*", "", line) for line in told] == [
        "line 3, key 'candidates', column 'note'",
        "line 8, key 'features.1', value 'solvent'",
        "line 9, key 'answers', value '" + str(folder / "none") + "'",
    ]


def test_a_table_whose_rows_are_shifted_is_refused_before_anything_begins(folder):
    with (folder / "dyes.csv").open("a") as file:
        file.write("1,2-dimethyl,0.1,0.2,x\n")
    told = found(folder, LINES)
    assert "line 5, key 'candidates.file', row 14: 5 cells, but the header names 4 columns" in told[0]


def test_every_missing_key_is_named(folder):
    told = problems(folder, "seed: 1\n")
    assert [line.split(":")[0] for line in told] == [
        f"line 1, key '{key}'" for key in ("campaign", "objective", "candidates", "features")
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "{categorical: solvent}",
            "{categoric: solvent}",
            "line 4, key 'features.2.categoric'.*did you mean 'categorical'",
        ),
        ("{categorical: solvent}", "{column: solvent}", "key 'features.2.column'.*unknown key"),
        (
            "{categorical: solvent}",
            "3",
            "key 'features.2', value 3: a feature is a column's name, .* such as {categorical: column}",
        ),
        ("{categorical: solvent}", "{categorical: 3}", "key 'features.2.categorical', value 3: must be text"),
        ("[a, b, {categorical: solvent}]", "a", r"key 'features', value 'a': must be a list \(write \[a\]\)"),
        (
            "{kind: random, batch: 2}",
            "random",
            r"line 5, key 'policy', value 'random': must be a mapping \(write {kind: random}\)",
        ),
        ("{kind: random, batch: 2}", "radnom", "write {kind: …}; did you mean 'random'"),
        ("{experiments: 6}", "6", r"key 'budget', value 6: must be a mapping \(write {experiments: 6}\)"),
        ("{experiments: 6}", "{experiments: 0}", "key 'budget.experiments', value 0: must be at least 1"),
        ("{experiments: 6}", "{experiments: 1.5}", "must be a whole number"),
        ("seed: 3", "seed: x", "key 'seed', value 'x': must be a whole number"),
        ("seed: 3", "about: 2020-13-45", "not YAML"),
        ("seed: 3", "about: &a [*a]", "line 8, key 'about.0': contains itself"),
        ("seed: 3", "about: &a {b: *a}", "line 8, key 'about.b': contains itself"),
        ("seed: 3", "about: " + "[" * 60 + "]" * 60, "is nested more than 40 levels deep"),
        ("seed: 3", "about: " + "[" * 20_000 + "]" * 20_000, "is nested too deeply to be read"),
    ],
)
def test_no_raw_words_of_a_library(folder, old, new, told):
    found = problems(folder, GOOD.replace(old, new))
    assert len(found) == 1, found
    assert re.search(told, found[0]), found
    assert "Input should" not in found[0]


def test_each_bad_constraint_and_target_has_its_own_line(folder):
    text = GOOD.split("experiment:")[0].replace(
        'objective: {target: yield, direction: maximize, unit: "%"}',
        "objective:\n  targets:\n    - {name: yield}\n    - name: ee\n      direction: match\n"
        "  constraints:\n    - 'ee > 0.2'\n    - 'ee about 3'\n    - 'yeild < 2'",
    )
    told = problems(folder, text)
    assert [line.split(":")[0] for line in told] == [
        "line 6, key 'objective.targets.1.direction'",
        "line 9, key 'objective.constraints.1', value 'ee about 3'",
        "line 10, key 'objective.constraints.2', value 'yeild < 2'",
    ]


def test_a_changed_file_is_noted_or_refused_as_it_is_asked(folder):
    load(folder / "dyes.yaml").open()
    (folder / "dyes.yaml").write_text(GOOD.replace("experiments: 6", "experiments: 8"))
    with pytest.warns(UserWarning, match=r"budget.experiments: 6 → 8.*--accept-changes"):
        assert load(folder / "dyes.yaml").open(changes="note", create=False).budget == 6
    (folder / "dyes.yaml").write_text(GOOD.replace("seed: 3", "seed: 4"))
    with pytest.raises(DefinitionChanged, match="another name"):
        load(folder / "dyes.yaml").open(changes="note")


def test_looking_for_a_campaign_makes_no_store(folder):
    with pytest.raises(CampaignNotFound, match="has not begun"):
        load(folder / "dyes.yaml").open(create=False)
    assert not (folder / ".discover").exists()
