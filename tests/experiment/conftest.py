"""Structures to calculate, those of the shipped snapshot and a metal made by hand; and a laboratory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.candidates.materials.structures import structure_text
from discover.candidates.snapshots.snapshot import Snapshot
from discover.experiment.laboratory import Laboratory
from discover.values import Candidate, Proposal

SHIPPED = Path(__file__).resolve().parents[2] / "campaigns" / "data" / "matbench-dielectric"


def proposal(candidate_id: str, **values: object) -> Proposal:
    """A proposal that carries its candidate."""
    return Proposal(candidate_id, "test", "test", candidate=Candidate(candidate_id, "", values))


def fcc(element: str = "Cu", length: float = 3.6) -> str:
    """The text of a face-centred cubic crystal in its primitive cell; length: of the cubic cell, Å."""
    half = length / 2
    site = {"species": [{"element": element, "occu": 1}], "abc": [0, 0, 0]}
    return structure_text({"lattice": {"matrix": [[0, half, half], [half, 0, half], [half, half, 0]]}, "sites": [site]})


@pytest.fixture(scope="session")
def shipped() -> Callable[[str, str, int], Proposal]:
    """(formula, space-group symbol, number of sites) to a proposal of the one shipped candidate that is so."""
    folder = SHIPPED
    found = sorted(folder.glob("*.json"))
    assert len(found) == 1, f"one snapshot should lie in {folder}"
    snapshot = Snapshot.open(found[0].stem, folder)
    frame = snapshot.frame(["id", "formula", "spacegroup_symbol", "nsites"])

    def find(formula: str, symbol: str, sites: int) -> Proposal:
        rows = frame[(frame.formula == formula) & (frame.spacegroup_symbol == symbol) & (frame.nsites == sites)]
        name = str(rows["id"].iloc[0])
        assert snapshot.structure is not None
        text = snapshot.frame([snapshot.structure], ids=[name])[snapshot.structure].iloc[0]
        return proposal(name, formula=formula, structure=text)

    return find


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    """Makes a laboratory whose folders lie in a folder of its own."""

    def make(**options: Any) -> Laboratory:
        settings: dict[str, Any] = {"outbox": "out", "inbox": "in", "targets": {"yield": "%"}, "quiet": 0.0, **options}
        return Laboratory(**settings).located(tmp_path, tmp_path / "files")

    return make
