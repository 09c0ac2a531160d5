"""Scheduled iterations take over what the source of the candidates has now, and go on without it where they must."""

import pandas as pd
import pytest

from discover.definition import load

TEXT = """\
campaign: numbers
objective: {target: y, direction: maximize}
candidates: {kind: table, file: candidates.csv, id: name}
features: [a]
policy: {kind: random, batch: 2}
experiment: {kind: table, file: answers.csv, id: name, target: y}
"""


@pytest.fixture
def folder(tmp_path):
    pd.DataFrame({"name": [f"n{i}" for i in range(9)], "y": range(9)}).to_csv(tmp_path / "answers.csv", index=False)
    (tmp_path / "numbers.yaml").write_text(TEXT)
    write(tmp_path, range(3))
    return tmp_path


def write(folder, numbers):
    pd.DataFrame({"name": [f"n{i}" for i in numbers], "a": [i / 2 for i in numbers]}).to_csv(
        folder / "candidates.csv", index=False
    )


def test_an_iteration_begins_with_what_the_source_has_now(prefect_server, folder, capsys):
    from flows.iterate import iterate

    file = str(folder / "numbers.yaml")
    assert iterate(file)["measured"] == 2
    campaign = load(file).open(create=False)
    assert len(campaign.ledger.pools) == 1, "the first run has just pulled"
    tried = set(campaign.observations["name"])
    write(folder, [7, 8])
    assert iterate(file)["measured"] == 4
    assert "candidates: Difference(2 added: n7, n8; 3 removed" in capsys.readouterr().out
    assert set(campaign.observations["name"]) == tried | {"n7", "n8"}
    write(folder, range(3))
    status = iterate(file)
    assert (status["measured"], status["gone"]) == (5, 2)

    (folder / "candidates.csv").write_text("name,b\nn0,1\n")
    assert iterate(file)["measured"] == 5
    assert "candidates as before: " in capsys.readouterr().out
    assert campaign.ledger.notes[-1][2].startswith("the candidates are those of before")

    write(folder, range(5))
    (folder / "numbers.yaml").write_text(TEXT + "refresh: never\n")
    assert iterate(file)["measured"] == 5
    (folder / "numbers.yaml").write_text(TEXT)
    assert iterate(file)["measured"] == 7
