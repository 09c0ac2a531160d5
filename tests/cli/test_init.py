"""A campaign file from questions and answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from discover.cli import app
from discover.definition import load
from discover.definition.starting import named_numbers, numbers, reagents
from discover.errors import InvalidInput

LIGANDS = "ligand: PPh3=c1ccc(cc1)P(c1ccccc1)c1ccccc1, PCy3=C1CCC(CC1)P(C1CCCCC1)C1CCCCC1"


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISCOVER_STORE", raising=False)

    def call(*arguments, code=0, answers=None):
        done = CliRunner().invoke(app, list(arguments), input=answers)
        assert done.exit_code == code, done.output
        return done

    return call


def test_from_nothing_to_the_first_plate(cli):
    given = ["--reagents", "base: KOH, 2,6-lutidine".replace(", ", "; "), "--reagents", LIGANDS, "--one", "temperature"]
    said = cli(
        "init", "reaction", "a.yaml", "--yes", *given, "--number", "loading [mol%]: 1, 2.5, 5", "--wells", "8"
    ).output
    space = load("a.yaml").source.space
    assert [p.name for p in space.parameters] == ["base", "ligand", "temperature", "time", "loading"]
    assert space.parameters[0].values == ("KOH", "2,6-lutidine")
    next_step = next(line.split()[1:] for line in said.splitlines() if "discover ask" in line)
    cli(*next_step)
    assert Path("plate.xlsx").exists()
    assert Path("plate.pdf").read_bytes().startswith(b"%PDF")
    plate = pd.read_excel("plate.xlsx")
    assert len(plate) == len(load("a.yaml").open(None).proposals) == 8
    assert len(set(plate["temperature"])) == 1


def test_what_the_file_says_of_molecules_can_be_done(cli):
    cli("init", "reaction", "a.yaml", "--yes", "--reagents", "base: KOH, NaOH")
    assert "from_smiles" not in Path("a.yaml").read_text()
    cli("init", "reaction", "b.yaml", "--yes", "--reagents", LIGANDS)
    text = Path("b.yaml").read_text()
    option, model = "from_smiles: [molecule, fingerprint]", "model: evidence"
    assert option in text
    assert model in text
    text = text.replace("name: ligand,", f"name: ligand, {option},").replace(
        "kind: bayesian,", f"kind: bayesian, {model},"
    )
    Path("b.yaml").write_text(text)
    definition = load("b.yaml")
    assert definition.policy["model"] == "evidence"
    kinds = [block.kind for block in definition.source.space.encoding.blocks if block.name == "ligand"]
    assert kinds == ["categories", "descriptors", "fingerprint"]


def test_questions_are_asked_again_until_they_can_be_read(cli):
    answers = ["conversion", "base: KOH, NaOH", "KOH", "", "hot", "20 to 100 step 10", "none", "", "12", "y", ""]
    said = cli("init", "reaction", "b.yaml", answers="\n".join(answers)).output
    assert "at least two choices" in said
    assert "cannot be read" in said
    definition = load("b.yaml")
    assert definition.objective.names == ("conversion",)
    assert [p.name for p in definition.source.space.parameters] == ["base", "temperature"]
    assert definition.policy["batch"] == 12


def test_no_answer_is_lost_for_a_mistake_in_another(cli):
    broken = ["ligand: a=c1ccc, b=CC", "ligand: a=CC, a=CCC", "yield: KOH, NaOH", "solv🧪: a, b"]
    numbers = ["100 to 20", "20 to 40 step 50", "20 to 40 step 5"]
    twice = ["base: 1, 2", "temperature: 1, 2", "loading: 1, 1", "loading: 1, 2", ""]
    answers = [
        "reason",
        "yield",
        *broken,
        "base: KOH, NaOH",
        "",
        *numbers,
        "none",
        *twice,
        "abc",
        "0",
        "1000",
        "8",
        "n",
    ]
    said = cli("init", "reaction", "c.yaml", answers="\n".join([*answers, ""])).output
    for told in (
        "reserved",
        "RDKit cannot read",
        "named twice",
        "letters",
        "lower bound",
        "width",
        "stands twice",
        "384",
    ):
        assert told in said, told
    definition = load("c.yaml")
    assert [p.name for p in definition.source.space.parameters] == ["base", "temperature", "loading"]
    assert definition.policy["batch"] == 8


def test_answers_that_end_early_write_nothing(cli, tmp_path):
    cli("init", "reaction", "c.yaml", answers="yield\nbase: KOH, NaOH\n", code=1)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(cli):
    Path("a.yaml").write_text("mine")
    assert "never overwritten" in cli("init", "reaction", "a.yaml", "--yes", code=1).output
    assert Path("a.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    "given",
    [
        ("--reagents", "KOH, NaOH"),
        ("--reagents", "ligand: PPh3=CC, PCy3"),
        ("--temperature", "warm"),
        ("--temperature", "100 to 20"),
        ("--number", "5"),
        ("--one", "pressure"),
        ("--number", "time: 1, 2"),
        ("--temperature", "none", "--time", "none"),
    ],
)
def test_what_cannot_be_read_writes_nothing(cli, given, tmp_path):
    cli("init", "reaction", "c.yaml", "--yes", *given, code=1)
    assert not list(tmp_path.iterdir())


def test_texts_are_read_as_they_are_meant():
    assert numbers("t", "20 to 120") == {"kind": "continuous", "name": "t", "low": 20, "high": 120}
    assert numbers("t", "0.5..2 by 0.5", "h")["step"] == 0.5
    assert named_numbers("loading [mol%]: 1, 2") == {
        "kind": "discrete",
        "name": "loading",
        "values": [1, 2],
        "unit": "mol%",
    }
    assert reagents(LIGANDS)["kind"] == "substance"
    with pytest.raises(InvalidInput, match="PCy3"):
        reagents("ligand: PPh3=CC, PCy3")


def test_names_that_look_like_numbers_stay_names(cli):
    names = ["1E2", "1e-3", "010", "no", "12:30", "0x1F", "~"]
    cli("init", "reaction", "1e5.yaml", "--yes", "--reagents", f"catalyst: {', '.join(names)}")
    written = load("1e5.yaml")
    assert written.name == "1e5"
    assert list(written.source.space.parameters[0].values) == names


def test_what_is_to_be_typed_next_can_be_typed_where_a_name_has_a_space(cli):
    said = cli("init", "reaction", "my file.yaml", "--yes", "--reagents", "base: KOH, none", "--one", "temperature")
    assert "discover ask 'my file.yaml' --plate" in said.output
    assert "discover tell 'my file.yaml' plate.xlsx" in said.output
    assert "#   discover tell 'my file.yaml' plate.xlsx" in Path("my file.yaml").read_text(encoding="utf-8")
