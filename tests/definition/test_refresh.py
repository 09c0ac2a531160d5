"""The candidates of a campaign file, pulled again while the campaign runs."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from discover.cli import app
from discover.definition import load
from discover.errors import InvalidDefinition, InvalidInput

TEXT = """\
campaign: dyes
objective: {target: yield, unit: "%"}
candidates: {kind: table, file: dyes.csv, id: dye, query: {a: [0, 5]}}
features: [a, {categorical: solvent}]
policy: {kind: random, batch: 2}
experiment: {kind: table, file: dyes.csv, id: dye, target: yield, units: {yield: "%"}}
"""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, range(6))
    (tmp_path / "dyes.yaml").write_text(TEXT)
    return tmp_path


def write(folder, numbers, **more):
    solvents = ["x", "y", "z"]
    rows = [{"dye": f"d{i}", "a": i / 2, "solvent": solvents[i % 2], "yield": 1.0 + i} | more for i in numbers]
    pd.DataFrame(rows).to_csv(folder / "dyes.csv", index=False)


def refresh(folder, *arguments, code=0):
    done = CliRunner().invoke(app, ["refresh", str(folder / "dyes.yaml"), *arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_a_table_that_grows_is_taken_over_without_its_answers(folder):
    definition = load(folder / "dyes.yaml")
    campaign = definition.open()
    assert "yield" not in campaign.pool.columns
    assert "as they were" in refresh(folder).output
    write(folder, [1, 2, 3, 4, 5, 6, 7, 20])
    change = json.loads(refresh(folder, "--json").stdout)
    assert (change["added"], change["removed"], change["changed"]) == (["d6", "d7"], ["d0"], [])
    assert campaign.pool.ids.tolist() == [f"d{i}" for i in range(8)]
    assert "yield" not in campaign.pool.columns
    ran = campaign.run(definition.runner(campaign.files), 3)
    assert len(ran) == 3
    assert "d0" not in set(ran["dye"])
    assert repr(definition.refresh(campaign)) == "Difference(0 added; 0 removed; 0 changed)"


def test_a_category_that_is_new_widens_the_features(folder):
    definition = load(folder / "dyes.yaml")
    campaign = definition.open()
    campaign.tell(pd.DataFrame({"dye": ["d0", "d1"], "yield": [1.0, 2.0]}))
    before = campaign.features.names
    frame = pd.read_csv(folder / "dyes.csv")
    new = pd.DataFrame({"dye": ["n"], "a": [1.5], "solvent": ["water"], "yield": [3.0]})
    pd.concat([frame, new]).to_csv(folder / "dyes.csv", index=False)
    assert definition.refresh(campaign).added == ("n",)
    assert len(campaign.features.names) == len(before) + 1
    assert campaign.features.values.shape == (7, len(before) + 1)
    assert len(campaign.ask(2)) == 2


def test_what_cannot_be_used_is_noted_once_and_the_campaign_goes_on(folder):
    definition = load(folder / "dyes.yaml")
    campaign = definition.open()
    whole = (folder / "dyes.csv").read_text()
    for _ in range(3):
        (folder / "dyes.csv").write_text(whole.replace("solvent", "medium"))
        with pytest.raises(InvalidInput, match="solvent"):
            definition.refresh(campaign)
    (folder / "dyes.csv").write_text("dye,a,solvent,yield\n")
    assert "none of 0 rows is left" in refresh(folder, code=1).stderr
    (folder / "dyes.csv").unlink()
    assert "no such file" in refresh(folder, code=1).stderr
    notes = campaign.ledger.notes
    assert len(notes) == 3
    assert all(text.startswith("the candidates are those of before") for _, _, text in notes)
    assert len(campaign.ask(2)) == 2


def test_a_file_says_whether_a_scheduled_iteration_refreshes(folder):
    assert load(folder / "dyes.yaml").refreshes
    campaign = load(folder / "dyes.yaml").open()
    (folder / "dyes.yaml").write_text(TEXT + "refresh: never\n")
    definition = load(folder / "dyes.yaml")
    assert not definition.refreshes
    assert definition.open().definition == campaign.definition, "it is no other campaign by it"
    (folder / "dyes.yaml").write_text(TEXT + "refresh: often\n")
    with pytest.raises(InvalidDefinition, match="line 7, key 'refresh'"):
        load(folder / "dyes.yaml")
