"""The README says what is true: its Python runs, its YAML is valid, its commands exist, its figures are the benchmarks'."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from discover.cli import app
from discover.definition import load

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_its_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102
    assert len(names["campaign"].pending) == 1
    assert names["campaign"].status().measured == 5


def test_its_campaign_file_is_valid(tmp_path):
    [block] = blocks("yaml")
    (tmp_path / "campaign.yaml").write_text(block)
    assert load(tmp_path / "campaign.yaml").name == "stiff-oxides"


def test_its_commands_and_files_exist():
    for command in set(re.findall(r"^    discover (\w+)", README, flags=re.MULTILINE)):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
    for name in re.findall(r"(?:campaigns|benchmarks)/[\w./-]+\.(?:yaml|py|png|json)", README):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    "word", ["DOWNLOAD_SIZE", "PACKAGE_COUNT", "SAMPLE_EFFICIENCY_TABLE", "SPEED_SENTENCE", "STIFF_ROWS"]
)
def test_nothing_was_left_to_be_filled_in(word):
    assert word not in README
