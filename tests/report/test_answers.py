"""The table of all answers is used only where it is comparable, and is read by the report alone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import discover
from discover import Campaign, Objective
from discover.candidates.snapshots.snapshot import Snapshot
from discover.errors import IntegrityError, InvalidInput
from discover.objective import Target
from discover.report.answers import known_answers, mismatches, read_answers
from discover.values import Proposal, Result

from .conftest import every_answer

IDENTITY = {
    "method": "made/1",
    "calculator": {"name": "none", "weights": "abc", "version": "1.0"},
    "settings": {"volumes": 9},
}
ABOUT: Mapping[str, Any] = {"kind": "made", "method": "made up", "identity": IDENTITY}


@pytest.fixture
def answers_folder(campaign: Campaign, tmp_path: Path) -> Path:
    provenance = {"snapshot": campaign.provenance()["snapshot_hash"], "experiment": dict(ABOUT)}
    Snapshot.write(every_answer(), tmp_path, id="id", provenance=provenance)
    return tmp_path


def test_comparable_answers_are_used(campaign: Campaign, answers_folder: Path) -> None:
    known = known_answers(campaign, answers_folder, None, ABOUT)
    assert known.answers is not None
    assert "the campaign never saw them" in known.words
    assert known.answers.counts() == every_answer()["status"].value_counts().to_dict()
    as_frame = known_answers(campaign, read_answers(answers_folder), None, ABOUT)
    assert as_frame.answers is not None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("calculator", "weights"), "other"),
        (("calculator", "version"), "1.1"),
        (("settings", "volumes"), 7),
        (("method",), "made/2"),
    ],
)
def test_other_weights_versions_or_settings_are_left_out_with_a_word(
    campaign: Campaign, answers_folder: Path, place: tuple[str, ...], value: Any
) -> None:
    identity = {key: dict(part) if isinstance(part, dict) else part for key, part in IDENTITY.items()}
    inner: Any = identity
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    known = known_answers(campaign, answers_folder, None, {**ABOUT, "identity": identity})
    assert known.answers is None
    assert ".".join(place) in known.words
    assert repr(value) in known.words


def test_another_snapshot_is_left_out_and_a_parent_is_not() -> None:
    manifest = {"experiment": ABOUT, "snapshot": "grand"}
    own = {"snapshot_hash": "own", "snapshot": {"hash": "own", "parent": {"hash": "par", "parent": {"hash": "grand"}}}}
    assert mismatches(manifest, ABOUT, own) == []
    assert mismatches({**manifest, "snapshot": "stranger"}, ABOUT, own) == [
        "it belongs to another snapshot of candidates"
    ]
    assert "its manifest" in mismatches({"snapshot": "own"}, ABOUT, own)[0]
    assert "the campaign's experiment" in mismatches(manifest, {}, own)[0]


def test_answers_that_lack_a_candidate_are_left_out(campaign: Campaign, tmp_path: Path) -> None:
    provenance = {"snapshot": campaign.provenance()["snapshot_hash"], "experiment": dict(ABOUT)}
    Snapshot.write(every_answer().iloc[3:], tmp_path, id="id", provenance=provenance)
    known = known_answers(campaign, tmp_path, None, ABOUT)
    assert known.answers is None
    assert "m-000" in known.words


def test_a_frame_without_a_manifest_is_not_trusted(campaign: Campaign) -> None:
    known = known_answers(campaign, every_answer(), None, ABOUT)
    assert known.answers is None
    assert "how it was made" in known.words


def test_a_changed_table_is_an_integrity_error(answers_folder: Path) -> None:
    wrong = every_answer()
    wrong.loc[0, "modulus"] = 1e6
    wrong.to_parquet(next(answers_folder.glob("*.parquet")), index=False)
    with pytest.raises(IntegrityError):
        read_answers(answers_folder)


def test_no_folder_of_answers(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a folder of answers"):
        read_answers(tmp_path)


@dataclass(frozen=True)
class Known:
    """A table as an experiment, small enough to be asked whole."""

    requires: tuple[str, ...] = ()
    deterministic: bool = True

    @property
    def targets(self) -> Mapping[str, str]:
        return {"modulus": "GPa"}

    def located(self, base: Path, files: Path) -> Known:
        return self

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "table"}

    def run(self, proposal: Proposal) -> Result:
        return Result("failed", reason="no value in the table")


def test_a_table_is_asked_itself(campaign: Campaign) -> None:
    known = known_answers(campaign, None, Known(), {"kind": "table"})
    assert known.answers is not None
    assert known.answers.counts() == {"failed": len(campaign.pool)}
    assert known_answers(campaign, None, Known(), ABOUT).answers is None


def test_several_targets_have_no_line(begin: Callable[..., Campaign]) -> None:
    started = begin(Objective([Target("a"), Target("b")]), policy="random")
    assert "several targets" in known_answers(started, None, None, {}).words


def test_only_the_report_reads_answers() -> None:
    """No other room imports the reader, so that no policy can come to know an answer that was not paid for."""
    root = Path(discover.__file__).parent
    readers = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            if any(name in ("discover.report.answers", "read_answers", "known_answers") for name in names):
                readers.add(path.relative_to(root).as_posix())
    assert "report/page.py" in readers
    assert {place.split("/")[0] for place in readers} == {"report"}
