"""The README says what is true: its Python runs, its YAML is valid, its commands exist, its figures are the benchmarks'."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from discover import registry
from discover.cli import app
from discover.definition import load

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_its_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed, space = {}, {}
    for block, names in zip(blocks("python"), (listed, space), strict=True):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
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


@pytest.mark.parametrize(
    "word", ["DOWNLOAD_SIZE", "PACKAGE_COUNT", "SAMPLE_EFFICIENCY_TABLE", "SPEED_SENTENCE", "STIFF_ROWS"]
)
def test_nothing_was_left_to_be_filled_in(word):
    assert word not in README
