"""The README says what is true: its Python runs, its YAML is valid, its commands exist, its figures are the benchmarks'."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from discover import Campaign, CandidatePool, Objective, registry
from discover.campaign.terms import Terms, without_terms
from discover.cli import app
from discover.definition import load
from discover.experiment.conformance import check_experiment
from discover.values import Candidate, Proposal

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "benchmarks/results"


def blocks(language, page=README):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def page_of(room):
    return (ROOT / room / "README.md").read_text()


def run(block, names, room):
    exec(compile(block, f"{room}/README.md", "exec"), names)  # noqa: S102
    return names


def found(name):
    return json.loads((RESULTS / name).read_text())


def test_its_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed, space = {}, {}
    for block, names in zip(blocks("python"), (listed, space), strict=True):
        run(block, names, ".")
    assert len(listed["campaign"].pending) == 1
    assert listed["campaign"].status().measured == 5
    plate = space["plate"]
    assert len(plate) == 24
    assert set(plate["base"]) == {"KOH"}
    assert set(plate["ligand"]) == {"PPh3"}  # PCy3 and KOH are forbidden together
    assert plate["temperature"].nunique() <= 3


def test_its_campaign_file_is_valid(tmp_path):
    [block] = blocks("yaml")
    (tmp_path / "campaign.yaml").write_text(block)
    assert load(tmp_path / "campaign.yaml").name == "stiff-oxides"


PAGES = (ROOT / "README.md", ROOT / "flows/README.md", *sorted((ROOT / "discover").glob("*/README.md")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_its_commands_and_files_exist(page):
    text = page.read_text()
    commands = set(re.findall(r"^(?:    )?discover (\w+)", text, flags=re.MULTILINE)) | set(
        re.findall(r"`discover (\w+)", text)
    )
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
    for name in re.findall(r"(?:campaigns|benchmarks|flows|discover)/[\w./-]+\.(?:yaml|py|png|json|md|service)", text):
        if not name.startswith("campaigns/campaign"):
            assert (ROOT / name).exists(), name


def test_the_experiments_in_its_pages_can_be_configured():
    page = (ROOT / "discover/experiment/README.md").read_text()
    for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL):
        assert registry.configure(registry.EXPERIMENTS, yaml.safe_load(block)["experiment"])


def test_candidates_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"c{i}" for i in range(40)], "x1": generator.random(40), "x2": generator.random(40)})
    frame.assign(solvent="THF").to_parquet("pool.parquet")
    listed, space = blocks("python", page_of("discover/candidates"))
    assert len(run(listed, {}, "discover/candidates")["campaign"].ask(3)) == 3
    batch = run(space, {}, "discover/candidates")["batch"]
    assert len(batch) == 24
    assert len(set(batch["temperature"])) == 1


def test_an_experiment_of_ones_own_keeps_its_promises(tmp_path):
    [block] = blocks("python", page_of("discover/experiment"))
    furnace = run(block, {}, "discover/experiment")["Furnace"]
    proposal = Proposal("a", "random", "drawn", candidate=Candidate("a", "1", {"temperature": 900.0}))
    [result] = check_experiment(furnace(offset=2.0), [proposal], files=tmp_path)
    assert result.values["hardness"].value == pytest.approx(11.0)


def test_a_policy_of_ones_own_chooses(tmp_path):
    [block] = blocks("python", page_of("discover/policy"))
    coldest = run(block, {"__name__": "own"}, "discover/policy")["Coldest"]
    frame = pd.DataFrame({"id": list("abcde"), "temperature": [50, 10, 40, 20, 30]})
    pool = CandidatePool.from_frame(frame, id="id", features=["temperature"])
    store = f"sqlite:///{tmp_path / 'c.db'}"
    campaign = Campaign.create("c", objective=Objective("y"), candidates=pool, policy=coldest(), store=store)
    assert [*campaign.ask(2)["id"], *campaign.ask(2)["id"]] == ["b", "d", "e", "c"]


def test_claims_run_as_the_page_of_the_flows_has_them(tmp_path):
    [block] = blocks("python", page_of("flows"))
    frame = pd.DataFrame({"id": list("abcde"), "x": range(5)})
    pool = CandidatePool.from_frame(frame, id="id", features=["x"])
    store = f"sqlite:///{tmp_path / 'c.db'}"
    campaign = Campaign.create("c", objective=Objective("hardness"), candidates=pool, policy="random", store=store)
    campaign.ask(3)
    run(block, {"campaign": campaign}, "flows")
    assert (campaign.status().measured, campaign.status().pending) == (2, 1)


def test_the_policies_and_objectives_in_its_pages_can_be_configured():
    bandit, priced = (yaml.safe_load(block)["policy"] for block in blocks("yaml", page_of("discover/policy")))
    assert registry.configure(registry.POLICIES, without_terms(bandit)).arms == ("ligand", "base")
    assert Terms.of(priced).changes == {"catalyst": (20, 0), "temperature": (5, 0.1)}
    assert registry.configure(registry.POLICIES, without_terms(priced)).per_cost
    [wanted] = blocks("yaml", page_of("discover/acquisition"))
    assert Objective.from_dict(yaml.safe_load(wanted)["objective"]).names == ("yield", "e_factor", "impurity")


def test_the_extras_that_it_names_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    table = README.split("| extra | for |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == set(extras) - {"dev"}


OPTIONS = sorted(
    {
        (command, option)
        for page in PAGES
        for line in page.read_text().splitlines()
        for text in re.findall(r"(?:^    |`)(discover [^`#]*)", line)
        for command in re.findall(r"^discover (\w+)", text)
        for option in re.findall(r" (--[a-z-]+)", text.split(";")[0])
    }
)


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_the_options_in_its_pages_exist(command, option):
    told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
    assert option in told


@pytest.mark.parametrize(
    ("column", "name"), [(1, "sample-efficiency-refractive-index.json"), (2, "sample-efficiency-stiff-materials.json")]
)
def test_its_comparison_with_chance_is_the_benchmarks(column, name):
    study = found(name)
    measured = [
        ("Bayesian − random", study["gain_over_random"]["bayesian"]),
        ("one feature − random", study["gain_over_random"]["one-feature"]),
        ("Bayesian − one feature", study["gain_paired"]["bayesian - one-feature"]),
    ]
    for label, gain in measured:
        [line] = [line for line in README.splitlines() if line.startswith(f"| {label} |")]
        told = f"{gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        assert line.split("|")[column + 1].replace("*", "").strip() == told


def test_its_seconds_are_the_benchmarks():
    ours, theirs = (found("speed.json")["seconds"][name] for name in ("discover", "botorch"))
    [told] = [part for part in README.split("\n\n") if part.startswith("Choosing 5 of 5,000 rows")]
    assert re.findall(r"(\d+\.\d+) s", told) == [
        f"{ours['whole_cpu']:.2f}", f"{ours['fit_cpu']:.2f}", f"{theirs['whole_cpu']:.1f}", f"{theirs['fit_cpu']:.1f}",
    ]  # fmt: skip


def test_its_ranks_are_the_benchmarks():
    page = (RESULTS / "efficiency/test.md").read_text()
    same, own = (part.split("\n### ")[0] for part in page.split("\n## ")[1:3])
    called = {"**discover**": "**ours**", "random forest": "random forest + LCB", "chance": "chance (exact)"}
    table = README.split("| | each on its own best encoding")[1].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        name, *cells = [
            cell.strip().replace("*", "") if i else cell.strip() for i, cell in enumerate(line[1:-1].split("|"))
        ]
        told = []
        for section in (own, same):
            [row] = [row for row in section.splitlines() if row.startswith(f"| {called.get(name, name)} |")]
            columns = [cell.strip() for cell in row.split("|")[1:-1]]
            told += [f"{float(columns[1].split()[0]):.1f}", columns[5]]
        assert cells == told, name


def test_the_tables_of_bandits_and_of_the_store_are_the_benchmarks():
    arms = found("bandits.json")["tables"].values()
    policy = page_of("discover/policy")
    names, shares = re.search(r"^\| (bayes-ucb, .*) \|\n\|[-|]+\n\| (.*) \|$", policy, flags=re.MULTILINE).groups()
    for label, share in zip(names.split(" | "), shares.split(" | "), strict=True):
        for name in label.replace("thompson with `beta`", "thompson-beta").split(", "):
            mean = 100 * np.mean([table[name]["best_named"][-1] for table in arms])
            assert float(share.split()[0]) == pytest.approx(mean, abs=0.55), (
                name
            )  # the file has three digits of each share
    store, faults, long, writers = (
        page_of("discover/store"),
        *map(found, ("faults.json", "long-campaign.json", "writers.json")),
    )
    assert f"{faults['kills']:,} times" in store
    assert f"opens in {long['sqlite']['open [s]']:.2f} s (PostgreSQL {long['postgresql']['open [s]']:.2f} s)" in store
    rates = [writers[engine]["events a second"] for engine in ("sqlite", "postgresql")]
    assert f"{rates[0]:.0f} events a second (PostgreSQL {rates[1]:.0f})" in store


def test_the_cost_of_a_choice_is_the_benchmarks():
    cases = found("scale.json")["cases"]
    lines = re.findall(
        r"^\| 10\^(\d) × (\d+), ([\d,]+) \| (.* s \| .* MB \|.*) \|$", page_of("benchmarks"), flags=re.MULTILINE
    )
    assert len(lines) == 16
    for power, features, observations, cells in lines:
        key = f"{10 ** int(power)}x{features} n={observations.replace(',', '')} threads=2 waves=1"
        ours, floor = cases[f"ours {key}"], cases[f"floor {key}"]
        told = [
            f"{floor['double']:.2f} s",
            f"{ours['fit_and_judge']:.1f} s",
            f"{ours['search']:.2f} s",
            f"{ours['next']:.1f} s",
            f"{ours['memory_mb']:.0f} MB",
        ]
        assert [cell.strip() for cell in cells.split("|")][:5] == told, key


def test_a_campaign_of_millions_is_the_benchmarks():
    for name, size in (("1,000,000", 1_000_000), ("10,000,000", 10_000_000)):
        [steps] = [steps for key, steps in found("big-pool.json").items() if key.startswith(f"{size}x30 ")]
        [line] = [line for line in page_of("discover/candidates").splitlines() if line.startswith(f"| {name} |")]
        begun, opened, first, following, _ = (cell.strip() for cell in line.split("|")[2:-1])
        assert float(begun.split()[0]) == pytest.approx(steps["begin"]["begin_cpu"], rel=0.02)
        opens = [step["open_cpu"] for step in steps.values() if isinstance(step, dict) and "open_cpu" in step]
        assert opened == f"{min(opens):.1f}–{max(opens):.1f} s"
        assert float(first.split()[0]) == pytest.approx(steps["ask"]["ask_cpu"], rel=0.02)
        nexts = [step["next_cpu"] for step in steps.values() if isinstance(step, dict) and "next_cpu" in step]
        assert float(following.split()[0]) == pytest.approx(nexts[0], rel=0.02)


@pytest.mark.parametrize(
    "word", ["DOWNLOAD_SIZE", "PACKAGE_COUNT", "SAMPLE_EFFICIENCY_TABLE", "SPEED_SENTENCE", "STIFF_ROWS"]
)
def test_nothing_was_left_to_be_filled_in(word):
    assert word not in README
