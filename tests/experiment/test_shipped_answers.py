"""The shipped answers are those of the shipped candidates, by the experiment as it is now; the script makes them again."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from discover import registry
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.sources.query import matches
from discover.experiment.crystals.equation_of_state import EquationOfState
from discover.values import STATUSES
from tests.experiment.conftest import SHIPPED, proposal

pytestmark = pytest.mark.skipif(find_spec("chgnet") is None, reason="the extra 'atomistic' is not installed")
DATA = SHIPPED.parent


def only_snapshot(folder: Path) -> Snapshot:
    (manifest,) = folder.glob("*.json")
    return Snapshot.open(manifest.stem, folder)


@pytest.fixture(scope="module")
def answers() -> Snapshot:
    return only_snapshot(DATA / "stiff-materials-answers")


def test_there_is_one_answer_for_each_candidate(answers: Snapshot) -> None:
    answers.verify()
    candidates = only_snapshot(SHIPPED)
    assert answers.manifest["snapshot"] == candidates.hash
    rows = candidates.frame()
    expected = rows["id"][matches(rows, answers.manifest["query"])]
    assert answers.ids.tolist() == sorted(expected)
    assert len(answers) > 2000
    frame = answers.frame()
    assert set(frame["status"]) <= set(STATUSES)
    measured = frame["status"] == "measured"
    assert np.isfinite(frame["bulk_modulus"][measured]).all()
    assert (frame["bulk_modulus"][measured] > 0).all()
    assert frame["bulk_modulus"][~measured].isna().all()
    assert (frame["reason"][~measured].str.len() > 5).all()
    assert (frame["reason"][measured] == "").all()


def test_they_are_by_the_experiment_as_it_is_now(answers: Snapshot) -> None:
    theirs, ours = answers.manifest["experiment"]["identity"], EquationOfState().describe()["identity"]
    assert theirs["settings"] == ours["settings"]
    assert theirs["method"] == ours["method"]
    assert theirs["calculator"]["weights_sha256"] == ours["calculator"]["weights_sha256"]


def test_a_few_of_them_come_out_again(answers: Snapshot) -> None:
    """Nearly so: another processor rounds otherwise."""
    frame = answers.frame().set_index("id")
    candidates = only_snapshot(SHIPPED)
    some = [*frame.index[frame["status"] == "measured"][::400], *frame.index[frame["status"] == "failed"][::200]]
    assert len(some) >= 5
    texts = candidates.frame(["id", "structure"], ids=some).set_index("id")["structure"]
    for name in some:
        result = EquationOfState().run(proposal(name, structure=texts[name]))
        expected = frame.loc[name]
        assert result.status == expected["status"]
        if result.status == "measured":
            assert result.values["bulk_modulus"].value == pytest.approx(expected["bulk_modulus"], rel=5e-3)
        else:
            assert result.reason.split(":")[0] == str(expected["reason"]).split(":")[0]


def test_the_script_makes_them_and_goes_on_where_it_stopped(answers: Snapshot, tmp_path: Path) -> None:
    command = [sys.executable, str(DATA / "calculate_pool.py"), "--processes", "1"]
    places = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    frames = []
    for limit, calculated in ((2, 2), (4, 2)):
        subprocess.run([*command, *places, "--limit", str(limit)], check=True, capture_output=True)
        made = only_snapshot(tmp_path / "out")
        assert made.manifest["last_run"]["calculated"] == calculated
        assert len(made) == limit
        frames.append(made.frame())
    shipped = answers.frame(ids=made.ids)
    pd.testing.assert_frame_equal(frames[1][["id", "status"]], shipped[["id", "status"]])
    pd.testing.assert_series_equal(frames[1]["bulk_modulus"], shipped["bulk_modulus"], rtol=5e-3)


def test_they_are_those_that_the_campaign_file_would_find(answers: Snapshot) -> None:
    campaign = yaml.safe_load((DATA.parent / "stiff-materials.yaml").read_text(encoding="utf-8"))
    assert campaign["candidates"]["query"] == answers.manifest["query"]
    assert campaign["objective"]["target"] == answers.manifest["target"]
    experiment = registry.configure(registry.EXPERIMENTS, campaign["experiment"])
    assert experiment.describe()["identity"]["settings"] == answers.manifest["experiment"]["identity"]["settings"]
