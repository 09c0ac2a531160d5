"""Features of a formula from vectors that a model of another task has learned for the elements.

The vectors are those of an interatomic potential, MACE-MP-0 (Batatia et al., arXiv:2401.00096), averaged over the structures
of a database by Onwuli et al. (Digital Discovery 2, 1558 (2023); package elementembeddings): elements that behave alike in
crystals lie near each other. `data/element_embedding.csv` holds ten principal components of each, and where it is from.
The potential was trained on energies, forces and stresses that were calculated for the Materials Project. What it knows of
other properties it has from there; of a formation energy or an elastic constant that was calculated there it is no
independent witness.

    embedding:c<k>_mean, _deviation   sum of w·c, sum of w·|c − mean|, with the elements' fractions w
    embedding:unknown                 fraction of elements that have no vector; each is given one by linear interpolation
                                      along the Mendeleev number, between chemically similar elements
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from discover.features.composition import fractions
from discover.features.elements import LAST, element_table
from discover.kinds import typed
from discover.values import BlockKind, BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

FILE = "element_embedding.csv"


@dataclass(frozen=True)
class Vectors:
    """values: [104, k], row Z for element Z (row 0 is unused). known: [104], whether it is the element's own."""

    values: FloatArray
    known: BoolArray
    hash: str


@dataclass(frozen=True)
@typed
class ElementEmbedding:
    """Kind `embedding`: a column of formulas to means and deviations of learned vectors of their elements.

    It stands beside `composition`, or for it: on open tables of formulas it found more of the best twentieth, and the very best
    no sooner.
    """

    kind: ClassVar[BlockKind] = "embedding"
    column: str = "formula"
    version: str = field(default="1", init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The features, `embedding:…`."""
        count = vectors().values.shape[1]
        told = [f"c{k + 1}_{statistic}" for statistic in ("mean", "deviation") for k in range(count)]
        return tuple(f"embedding:{name}" for name in [*told, "unknown"])

    @property
    def requires(self) -> tuple[str, ...]:
        """The column of formulas."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"embedding {self.version} {vectors().hash}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names every row whose formula cannot be read."""
        if not len(rows):
            return np.empty((0, len(self.names)))
        parts = fractions(rows, self.column)
        told = vectors()
        values = told.values[parts.number]
        mean = np.add.reduceat(parts.weight[:, None] * values, parts.starts)
        deviation = np.add.reduceat(parts.weight[:, None] * np.abs(values - mean[parts.row]), parts.starts)
        unknown = np.add.reduceat(parts.weight * ~told.known[parts.number], parts.starts)
        return np.column_stack([mean, deviation, unknown])[parts.place]


@lru_cache(maxsize=1)
def vectors() -> Vectors:
    """The table, read once a process."""
    text = resources.files("discover.features").joinpath("data", FILE).read_text(encoding="utf-8")
    lines = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    rows = list(lines)[1:]
    elements = element_table()
    values = np.zeros((LAST + 1, len(rows[0]) - 1))
    known = np.zeros(LAST + 1, dtype=bool)
    for symbol, *cells in rows:
        if symbol in elements.symbols:
            values[elements.symbols[symbol]] = [float(cell) for cell in cells]
            known[elements.symbols[symbol]] = True
    scale = elements.column("mendeleev_number")
    order = np.flatnonzero(known)[np.argsort(scale[known], kind="stable")]
    gaps = np.flatnonzero(~known[1:]) + 1
    for column in values.T:
        column[gaps] = np.interp(scale[gaps], scale[order], column[order])
    values.flags.writeable = False
    return Vectors(values, known, hashlib.sha256(np.round(values, 9).tobytes()).hexdigest()[:16])
