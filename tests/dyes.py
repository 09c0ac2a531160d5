"""A campaign on a table of dyes: its file, its tables, and what is wrong with files like it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from discover.definition import load
from discover.errors import InvalidDefinition

CAMPAIGNS = Path(__file__).resolve().parents[1] / "campaigns"
"""The shipped campaigns."""

GOOD = """\
campaign: dyes
objective: {target: yield, direction: maximize, unit: "%"}
candidates: {kind: table, file: dyes.csv, id: dye}
features: [a, b, {categorical: solvent}]
policy: {kind: random, batch: 2}
experiment: {kind: table, file: answers.csv, id: dye, target: yield, units: {yield: "%"}}
budget: {experiments: 6}
seed: 3
"""


def write(folder: Path) -> Path:
    """The file and its tables, in a folder."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"dye": [f"d{i}" for i in range(12)], "a": rng.random(12), "b": rng.random(12), "solvent": ["x", "y"] * 6}
    )
    frame.to_csv(folder / "dyes.csv", index=False)
    frame[["dye"]].assign(**{"yield": rng.random(12)}).to_csv(folder / "answers.csv", index=False)
    (folder / "dyes.yaml").write_text(GOOD)
    return folder


def problems(folder: Path, text: str) -> list[str]:
    """All that is wrong with a file of this text beside the tables."""
    (folder / "x.yaml").write_text(text)
    with pytest.raises(InvalidDefinition) as error:
        load(folder / "x.yaml")
    return [str(problem) for problem in error.value.problems]
