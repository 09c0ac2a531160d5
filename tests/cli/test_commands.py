"""The command line, as a user types it."""

import contextlib
import json
import os
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from discover import registry
from discover.definition import load
from discover.definition.checks import check
from discover.errors import InvalidInput
from tests.dyes import GOOD

COMMANDS = (
    "validate",
    "run",
    "pull",
    "ask",
    "tell",
    "status",
    "best",
    "report",
    "export",
    "list",
    "schema",
    "backtest",
)


def test_every_command_has_help_with_an_example(cli):
    text = cli("--help").output
    for command in COMMANDS:
        assert command in text
        assert f"Example: discover {command}" in " ".join(cli(command, "--help").output.split())


def test_version_and_bad_usage(cli):
    assert re.match(r"discover \d+\.\d+", cli("--version").output)
    cli("aks", code=2)
    cli("ask", code=2)
    cli("ask", "dyes.yaml", "-n", "0", code=2)
    cli("run", "dyes.yaml", "--iterations", "x", code=2)


def test_validate(cli, folder):
    assert "a valid campaign" in cli("validate", "dyes.yaml").output
    (folder / "bad.yaml").write_text(GOOD.replace("kind: random", "kind: radnom"))
    done = cli("validate", "bad.yaml", code=1)
    assert "line 5" in done.stderr
    assert "did you mean 'random'" in done.stderr
    body = json.loads(cli("validate", "bad.yaml", "--json", code=1).stdout)
    assert body["problems"][0]["line"] == 5


def test_ask_fill_in_tell(cli, folder):
    cli("ask", "dyes.yaml", "-n", "3", "--key", "a", "--out", "batch.csv")
    sheet = pd.read_csv("batch.csv")
    assert len(sheet) == 3
    assert sheet["yield"].isna().all()
    again = json.loads(cli("ask", "dyes.yaml", "-n", "3", "--key", "a", "--json").stdout)
    assert [row["proposal_id"] for row in again] == list(sheet["proposal_id"])
    assert "used to ask for 3" in cli("ask", "dyes.yaml", "-n", "4", "--key", "a", code=1).stderr

    sheet.assign(**{"yield": ["1.5", "2,5", ""]}).to_csv("bad.csv", index=False)
    error = cli("tell", "dyes.yaml", "bad.csv", code=1).stderr
    assert "row 3, column 'yield', value '2,5'" in error
    sheet.assign(**{"yield": [0.1, 1 / 3, None]}).to_csv("good.csv", index=False)
    assert "measured" in cli("tell", "dyes.yaml", "good.csv", "--dry-run").output
    assert json.loads(cli("status", "dyes.yaml", "--json").stdout)["measured"] == 0
    told = json.loads(cli("tell", "dyes.yaml", "good.csv", "--json").stdout)
    assert [row["became"] for row in told] == ["measured", "measured", "not measured yet"]
    best = json.loads(cli("best", "dyes.yaml", "-n", "1", "--json").stdout)
    assert best[0]["yield"] == 1 / 3
    cli("tell", "dyes.yaml", "good.csv")
    sheet.assign(**{"yield": [0.2, 1 / 3, None]}).to_csv("fixed.csv", index=False)
    assert "correct" in cli("tell", "dyes.yaml", "fixed.csv", code=1).stderr
    assert "corrected" in cli("tell", "dyes.yaml", "fixed.csv", "--correct", "typing error").output


def test_results_go_to_no_other_candidate(cli, folder):
    cli("ask", "dyes.yaml", "-n", "2", "--out", "batch.csv")
    header, *rows = Path("batch.csv").read_text().splitlines()
    note = f"{header},note"
    Path("shifted.csv").write_text("\n".join([note, f"{rows[0]}1.0,a, b", f"{rows[1]}2.0,"]))
    error = cli("tell", "dyes.yaml", "shifted.csv", code=1).stderr
    assert "row 2: " in error
    assert "in quotes" in error
    assert json.loads(cli("status", "dyes.yaml", "--json").stdout)["measured"] == 0
    Path("blank.csv").write_text("\n".join([f"{note},,", "", f"{rows[0]}1.0,,,", "", f"{rows[1]}x,"]))
    assert "row 5, column 'yield', value 'x'" in cli("tell", "dyes.yaml", "blank.csv", code=1).stderr
    Path("extra.csv").write_text("\n".join([f"{header},vessel", f"{rows[0]}1.0,A"]))
    error = cli("tell", "dyes.yaml", "extra.csv", code=1).stderr
    assert "--extra" in error
    assert "extra=" not in error
    cli("tell", "dyes.yaml", "extra.csv", "--extra", "vessel")
    Path("semicolon.csv").write_text("dye;yield\nd1;1,234\n")
    error = cli("tell", "dyes.yaml", "semicolon.csv", code=1).stderr
    assert "row 2, column 'yield', value '1,234': may mean 1.234 or 1234" in error
    Path("latin.csv").write_bytes("dye,yield,note\nd1,1.5,für\n".encode("cp1252"))
    assert "save the file as UTF-8" in cli("tell", "dyes.yaml", "latin.csv", code=1).stderr
    assert "cannot be read" in cli("tell", "dyes.yaml", "none.csv", code=1).stderr


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("there.csv", "the file exists already"),
        (".", "is a folder"),
        ("none/batch.csv", "no such folder"),
        ("dyes.yaml/batch.csv", "no such folder"),
        ("x" * 300, "cannot be written"),
    ],
)
def test_a_batch_that_cannot_be_written_is_not_committed(cli, folder, out, told):
    Path("there.csv").write_text("mine")
    assert told in cli("ask", "dyes.yaml", "--out", out, code=1).stderr
    assert Path("there.csv").read_text() == "mine"
    assert not (folder / ".discover").exists()
    assert not list(folder.glob(".*.draft"))


def test_a_batch_may_overwrite_by_force(cli):
    Path("there.csv").write_text("mine")
    done = cli("ask", "dyes.yaml", "-n", "2", "--out", "there.csv", "--force", "--json")
    assert [row["proposal_id"] for row in json.loads(done.stdout)] == list(pd.read_csv("there.csv")["proposal_id"])
    assert "2 proposals written to there.csv" in done.stderr


def test_a_batch_that_was_committed_is_never_lost(cli, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    done = cli("ask", "dyes.yaml", "-n", "2", "--out", "batch.csv", "--json", code=1)
    assert len(json.loads(done.stdout)) == 2
    assert "No space left" in done.stderr
    assert "committed" in done.stderr
    assert "nothing was changed" not in done.stderr
    assert not Path("batch.csv").exists()
    assert json.loads(cli("status", "dyes.yaml", "--json").stdout)["pending"] == 2


def test_looking_begins_nothing(cli, folder):
    Path("results.csv").write_text("dye,yield\nd1,1.0\n")
    for command in (
        ["status", "dyes.yaml"],
        ["best", "dyes.yaml"],
        ["report", "dyes.yaml"],
        ["export", "dyes.yaml", "--out", "x.csv"],
        ["tell", "dyes.yaml", "results.csv", "--dry-run"],
    ):
        assert "has not begun" in cli(*command, code=1).stderr
    assert "there is no store" in cli("list", "--store", "sqlite:///none/x.db", code=1).stderr
    assert not (folder / ".discover").exists()
    assert not (folder / "none").exists()
    cli("tell", "dyes.yaml", "results.csv")
    assert "already known" in cli("tell", "dyes.yaml", "results.csv", "--dry-run").output


def test_a_changed_file_hides_no_campaign(cli, folder):
    cli("ask", "dyes.yaml", "-n", "1")
    Path("results.csv").write_text("dye,yield\nd1,1.0\n")
    (folder / "dyes.yaml").write_text(GOOD.replace("experiments: 6", "experiments: 8"))
    for command in (
        ["tell", "dyes.yaml", "results.csv"],
        ["status", "dyes.yaml"],
        ["best", "dyes.yaml"],
        ["report", "dyes.yaml"],
        ["export", "dyes.yaml", "--out", "x.csv"],
    ):
        assert "note: the file differs from the campaign" in (told := cli(*command).stderr)
        assert "budget.experiments: 6 → 8" in told
        assert len(told.strip().splitlines()) == 1
    assert "--accept-changes" in cli("ask", "dyes.yaml", code=1).stderr
    cli("ask", "dyes.yaml", "--accept-changes")
    assert "differs" not in cli("status", "dyes.yaml").stderr
    (folder / "dyes.yaml").write_text(GOOD.replace("seed: 3", "seed: 4"))
    assert "another name" in cli("status", "dyes.yaml", code=1).stderr


def test_places_that_nothing_can_be_written_to(cli, folder):
    cli("ask", "dyes.yaml", "-n", "1")
    Path("file").write_text("mine")
    for command, told in (
        (["report", "dyes.yaml", "--out", "."], "is a folder"),
        (["report", "dyes.yaml", "--out", "file/x.html"], "is a file, a folder is needed"),
        (["report", "dyes.yaml", "--out", "x.html", "--pictures", "file"], "is a file, a folder is needed"),
        (["export", "dyes.yaml", "--out", "none/x.csv"], "no such folder"),
        (["backtest", "dyes.yaml", "--seeds", "1", "--out", "none/x.json"], "no such folder"),
    ):
        assert told in cli(*command, code=1).stderr
    assert not Path("x.html").exists()
    assert Path("file").read_text() == "mine"
    assert not list(folder.rglob(".*.draft"))


def test_validate_and_run_look_for_what_the_file_names(cli, folder):
    (folder / "dyes.csv").unlink()
    for command in ("validate", "run"):
        error = cli(command, "dyes.yaml", code=1).stderr
        assert "line 3, key 'candidates.file'" in error
        assert "no such file" in error
    assert not (folder / ".discover").exists()


def test_a_begun_campaign_runs_without_its_table(cli, folder, monkeypatch):
    def plain(file, *, store, say, **_):
        campaign = load(file).open(store)
        say(f"ran {campaign.run_pending(load(file).runner(campaign.files))}")

    real = registry.load
    monkeypatch.setattr(registry, "load", lambda group, kind: plain if group == registry.RUNNERS else real(group, kind))
    cli("ask", "dyes.yaml")
    (folder / "dyes.csv").unlink()
    definition = load(folder / "dyes.yaml")
    assert definition.begun()
    with pytest.raises(InvalidInput):
        check(definition)
    assert "ran 1" in cli("run", "dyes.yaml", "--iterations", "1").output
    assert "no such file" in cli("run", "dyes.yaml", "--fresh", code=1).stderr
    assert definition.begun()


def test_pull_shows_what_changed_in_a_table(cli, folder):
    cli("pull", "dyes.yaml", "--refresh")
    cli("ask", "dyes.yaml")
    with (folder / "dyes.csv").open("a") as file:
        file.write("d12,0.5,0.5,x\n")
    os.utime(folder / "dyes.csv", (4e9, 4e9))
    assert "1 added: d12; 0 removed; 0 changed" in cli("pull", "dyes.yaml", "--refresh").output
    assert "0 added; 0 removed; 0 changed" in cli("pull", "dyes.yaml", "--refresh").output


def test_export_and_list(cli, folder):
    cli("status", "dyes.yaml", code=1)
    cli("ask", "dyes.yaml", "-n", "2", "--out", "batch.csv")
    pd.read_csv("batch.csv").assign(**{"yield": [1.0, 2.0]}).to_csv("batch.csv", index=False)
    cli("tell", "dyes.yaml", "batch.csv")
    for name in ("out.parquet", "out.csv"):
        cli("export", "dyes.yaml", "--out", name)
    assert pd.read_parquet("out.parquet")["yield"].tolist() == [1.0, 2.0]
    assert pd.read_csv("out.csv")["yield"].tolist() == [1.0, 2.0]
    assert "write .parquet or .csv" in cli("export", "dyes.yaml", "--out", "out.xyz", code=1).stderr
    store = f"sqlite:///{folder / '.discover' / 'dyes.db'}"
    assert json.loads(cli("list", "--store", store, "--json").stdout)[0]["campaign"] == "dyes"
    assert "dyes" in cli("list", "--store", store).output
    assert json.loads(cli("list", "--json").stdout)[0]["store"] == "sqlite:///.discover/dyes.db"


def test_store_by_option_and_by_environment(cli, monkeypatch):
    cli("ask", "dyes.yaml", "--store", "sqlite:///elsewhere.db")
    monkeypatch.setenv("DISCOVER_STORE", "sqlite:///elsewhere.db")
    assert json.loads(cli("status", "dyes.yaml", "--json").stdout)["pending"] == 1


def test_pull(cli):
    body = json.loads(cli("pull", "dyes.yaml", "--json").stdout)
    assert body["rows"] == 12
    assert len(body["hash"]) == 64
    assert body["provenance"]


def test_report(cli, folder):
    cli("ask", "dyes.yaml", "-n", "2", "--out", "batch.csv")
    pd.read_csv("batch.csv").assign(**{"yield": [1.0, 2.0]}).to_csv("batch.csv", index=False)
    cli("tell", "dyes.yaml", "batch.csv")
    cli("report", "dyes.yaml", "--out", "page.html", "--pictures", "drawn")
    drawn = sorted((folder / "drawn").glob("dyes-*.png"))
    assert len(drawn) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    text = (folder / "page.html").read_text()
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert "dyes" in text


def test_backtest(cli):
    text = cli(
        "backtest", "dyes.yaml", "--policies", "space-filling,random", "--seeds", "2", "--out", "study.json"
    ).output
    assert "random" in text
    assert json.loads(Path("study.json").read_text())
    assert json.loads(Path("study.json").read_text())["settings"]["budget_asked"] == 6
    text = cli("backtest", "dyes.yaml", "--policies", "random", "--seeds", "1", "--budget", "99999").output
    assert "1 seed," in text
    assert "(99,999 were asked for; the pool holds no more)" in text


def test_backtest_says_which_terms_it_does_not_hold_to(cli, folder):
    file = folder / "dyes.yaml"
    file.write_text(re.sub(r"policy: \{", "policy: {different: [solvent], ", file.read_text()))
    told = cli("backtest", "dyes.yaml", "--policies", "space-filling", "--seeds", "1", "--budget", "6")
    assert "holds to none of: different" in told.stderr


def test_backtest_refuses_policies_as_bad_usage(cli):
    for policies, told in (
        ("radnom", "did you mean 'random'?"),
        ("one-featur,random", "did you mean 'one-feature'?"),
        ("random, random", "the same policy twice"),
        (" ,", "needs at least one"),
    ):
        error = " ".join(cli("backtest", "dyes.yaml", "--policies", policies, code=2).stderr.split())
        assert told in error
        assert "--policies" in error


def test_schema(cli):
    assert json.loads(cli("schema").stdout)["title"] == "discover campaign"


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of another kind")
@pytest.mark.parametrize("end", ["pass", "raise SystemExit('the source is away')"])
def test_a_terminal_has_its_cursor_back_however_a_pull_ends(end):
    import pty

    script = f"from discover.cli.output import progress\nwith progress('candidates') as show:\n show(1, None)\n {end}\n"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    said = b""
    with contextlib.suppress(OSError):  # so Linux says that nobody writes there any more
        while part := os.read(terminal, 4096):
            said += part
    os.close(terminal)
    os.waitpid(pid, 0)
    assert said.count(b"\x1b[?25l") == said.count(b"\x1b[?25h") == 1, said
