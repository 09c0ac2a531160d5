"""A campaign whose results come back from a laboratory, as people send them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from discover import Campaign
from discover.campaign.experiments import collecting
from discover.cli import app
from discover.experiment.laboratory import Laboratory
from discover.store.ledger.life import State

CAMPAIGN = """
campaign: solvents
objective:
  targets: [{name: yield, direction: maximize, unit: "%"}, {name: purity, direction: maximize, unit: "%"}]
candidates: {kind: table, file: samples.csv, id: sample}
features: [t, {categorical: solvent}]
policy: {kind: random, batch: 4}
experiment:
  kind: laboratory
  outbox: lab/outbox
  inbox: lab/inbox
  quiet: 0
  targets: {yield: "%", purity: "%"}
  columns: [solvent, t]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DISCOVER_STORE", raising=False)
    solvents = ["=HYPERLINK(1)", "DMF", "+49", "-x"]
    rows = {"sample": [f"{n:03d}" for n in range(12)], "solvent": [solvents[n % 4] for n in range(12)], "t": range(12)}
    pd.DataFrame(rows).to_csv(tmp_path / "samples.csv", index=False)
    path = tmp_path / "solvents.yaml"
    path.write_text(CAMPAIGN)
    return path


def cli(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def opened(file: Path) -> Campaign:
    return Campaign.open("solvents", store=f"sqlite:///{file.parent / '.discover' / 'solvents.db'}")


def laboratory(file: Path) -> Laboratory:
    from discover.definition import load

    experiment: Any = load(file).runner(opened(file).files)
    assert isinstance(experiment, Laboratory)
    return experiment


def test_out_and_back(file: Path) -> None:
    cli("validate", file)
    cli("ask", file, "-n", 4)
    assert "4 handed over; 4 submitted" in cli("dispatch", file)
    assert "0 handed over" in cli("dispatch", file)
    (sheet,) = (file.parent / "lab" / "outbox").iterdir()
    book = load_workbook(sheet)
    page = book.worksheets[0]
    header = [str(cell.value) for cell in page[1]]
    at = {name: header.index(name) + 1 for name in ("id", "yield [%]", "purity [%]", "status", "note", "replicate")}
    page.cell(2, at["yield [%]"], "55,1")
    page.cell(2, at["purity [%]"], "<5")
    page.cell(3, at["yield [%]"], 40)
    page.cell(4, at["yield [%]"], "forty")
    page.cell(5, at["status"], "failed")
    page.cell(5, at["note"], "=spilt")
    page.cell(7, at["id"], "no-such-sample")
    page.cell(7, at["yield [%]"], 12)
    page.cell(8, at["id"], "011")
    page.cell(8, at["yield [%]"], 3)
    page.cell(8, at["purity [%]"], 4)
    page.cell(10, 1, "Measured by A.")
    inbox = file.parent / "lab" / "inbox"
    book.save(inbox / sheet.name)

    said = cli("collect", file)
    assert f"{sheet.name}: " in said
    for part in ("1 censored", "1 measured in part", "2 refused", "row 4: yield [%]: 'forty' not a number"):
        assert part in said, said
    assert "row 7: " in said
    assert "1 sheet; 1 measured in part, 1 submitted" in said
    campaign = opened(file)
    states = {trial.candidate_id: trial.state for trial in campaign.trials()}
    ids = [str(page.cell(row, at["id"]).value) for row in range(2, 6)]
    assert [states[i] for i in ids] == [State.CENSORED, State.IN_PART, State.SUBMITTED, State.FAILED]
    one = next(o for o in campaign.ledger.observations.values() if o.candidate_id == ids[0] and o.target == "purity")
    assert (one.value, one.bound) == (5.0, "below")
    assert one.raw["link"] == sheet.name
    assert [p.name for p in inbox.iterdir() if p.is_file()] == []
    assert [p.name for p in (inbox / "done").iterdir()] == [sheet.name]

    waits = inbox / "quarantine" / f"{sheet.stem}.csv"
    rows = list(csv.reader(io.StringIO(waits.read_text("utf-8-sig"))))
    assert rows[1][rows[0].index("yield [%]")] == "forty"
    rows[1][rows[0].index("yield [%]")] = "40.5"
    rows[1][rows[0].index("purity [%]")] = "99"
    with (inbox / "mended.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows[:2])
    assert "mended.csv: 1 measured" in cli("collect", file)
    (inbox / "again.csv").write_bytes((inbox / "done" / "mended.csv").read_bytes())
    before = opened(file).ledger.seq
    assert "again.csv: 1 already known" in cli("collect", file)
    assert opened(file).ledger.seq == before
    assert "no sheet" not in cli("collect", file)


def test_what_waits_for_a_person_says_so(file: Path) -> None:
    file.write_text(CAMPAIGN.replace("batch: 4", "batch: 4, require_approval: true"))
    cli("ask", file, "-n", 3)
    assert "0 handed over; 3 proposed (of which 3 wait for a person: 'discover approve')" in cli("dispatch", file)
    assert "to approve  3 wait for a person: 'discover approve'" in cli("status", file)
    cli("approve", file, "--all")
    assert "wait for a person" not in cli("status", file)
    assert "3 handed over; 3 submitted" in cli("dispatch", file)


def test_a_sheet_says_how_results_were_found_out(file: Path) -> None:
    cli("ask", file, "-n", 2)
    one, two = opened(file).pending["proposal_id"]
    inbox = file.parent / "lab" / "inbox"
    inbox.mkdir(parents=True)
    header = ["proposal_id", "yield", "purity", "fidelity", "context"]
    rows = [[one, 1, 2, "screen", '{"reactor": "A", "batch": 3}'], [two, 3, 4, "screen", "reactor A"]]
    with (inbox / "a.csv").open("w", newline="") as out:
        csv.writer(out).writerows([header, *rows])
    said = cli("collect", file)
    assert "1 measured, 1 refused" in said
    assert 'not a mapping that can be kept (write it like {"reactor": "A"})' in said
    assert opened(file).view().training["yield"].conditions == ({"reactor": "A", "batch": 3, "fidelity": "screen"},)


def test_a_sheet_with_a_mistake_says_how_it_is_mended(file: Path) -> None:
    cli("ask", file, "-n", 2)
    one, two = opened(file).pending["proposal_id"]
    inbox = file.parent / "lab" / "inbox"
    inbox.mkdir(parents=True)
    rows = [f"{one},1,2,0", f"{one},3,2,0", f"{two},1,2,1e300", f"{two},1,2,1"]
    (inbox / "a.csv").write_text("\n".join(["proposal_id,yield,purity,replicate", *rows]))
    said = cli("collect", file)
    assert "was already told as 1.0, now 3.0" in said
    assert "a mistake is mended with 'discover tell --correct'" in said
    assert "must be at most 1,000,000" in said
    archive = file.parent / "all.zip"
    cli("export", file, "--out", archive)
    assert archive.stat().st_size > 0


def test_a_sheet_that_was_told_and_not_put_away_is_told_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("ask", file, "-n", 2)
    cli("dispatch", file)
    campaign, there = opened(file), laboratory(file)
    pid = campaign.pending["proposal_id"].iloc[0]
    path = file.parent / "lab" / "inbox" / "w.csv"
    path.write_text(f"proposal_id;yield [%];purity\n{pid};55,1;3\n{pid};bad;\n")

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Laboratory, "settle", die)
        with pytest.raises(Killed):
            collecting.collect(campaign, there)  # type: ignore[arg-type]
    assert len(campaign.observations) == 1
    found = collecting.collect(campaign, there)  # type: ignore[arg-type]
    assert list(found.sheets[0].became["became"]) == ["already known"]
    assert found.sheets[0].quarantine is not None
    assert not path.exists()
    assert len(campaign.observations) == 1


def test_a_conflict_waits_with_both_values(file: Path) -> None:
    cli("ask", file, "-n", 1)
    cli("dispatch", file)
    pid = opened(file).pending["proposal_id"].iloc[0]
    inbox = file.parent / "lab" / "inbox"
    (inbox / "a.csv").write_text(f"proposal_id,yield,purity\n{pid},55.1,3\n")
    cli("collect", file)
    (inbox / "b.csv").write_text(f"proposal_id,yield,purity,replicate\n{pid},56.1,3,\n{pid},57,3,1\n{pid},,,2\n")
    said = cli("collect", file)
    assert "row 2: " in said
    assert "already told as 55.1" in said
    assert "1 measured" in said
    assert "1 without a result" in said
    assert (inbox / "quarantine" / "b.csv").exists()


def test_a_person_settles_what_nobody_knows(file: Path) -> None:
    from discover.campaign.claiming import take
    from discover.campaign.experiments import outside
    from discover.store.leases.leases import release

    cli("ask", file, "-n", 1)
    campaign = opened(file)
    pid = campaign.pending["proposal_id"].iloc[0]
    assert "cannot settle" in cli("settle", file, pid, "--submitted", "--reason", "x", code=1)
    leases = take(campaign._journal, 1)
    outside._unsure(campaign._journal, outside._begin(campaign._journal, leases, None), "nobody can say")
    release(campaign._journal.log, *leases)
    assert opened(file).pending["state"].iloc[0] == "unknown, ask a person"
    cli("settle", file, pid, code=2)
    assert "to be handed over again" in cli("settle", file, pid, "--not-submitted", "--reason", "asked them")
    assert opened(file).pending["state"].iloc[0] == "proposed"


def test_nothing_is_handed_over_where_nobody_outside_is(file: Path) -> None:
    file.write_text(CAMPAIGN.split("experiment:")[0])
    cli("ask", file)
    for command in ("dispatch", "collect"):
        assert "nothing is handed over in this campaign" in cli(command, file, code=1)


@pytest.mark.parametrize("command", ["dispatch", "collect", "settle"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: discover {command}" in " ".join(cli(command, "--help").split())
