"""Features of a formula: statistics of element properties, weighted by amount.

Over the elements of a formula with fractions w, after Ward et al., npj Computational Materials 2, 16028 (2016): for each
property p of `discover.features.elements`

    composition:<p>_mean             sum of w·p

and for electronegativity, row, valence, covalent_radius and melting_point also

    composition:<p>_deviation        mean absolute deviation from the mean, sum of w·|p − mean|
    composition:<p>_min, _max        smallest and largest value of any element

and of the formula as a whole:

    composition:elements             how many
    composition:norm_2, _norm_3      (sum of w²)^½, (sum of w³)^⅓: 1 for an element, small for many equal parts
    composition:share_s, _p, _d, _f  valence electrons of a shell, as a share of all valence electrons
    composition:ionicity_mean, _max  Pauling's ionic character 1 − exp(−ΔX²/4), over all pairs by amount; of the most unlike pair
    composition:metals, …            fraction of metals, transition_metals, f_elements, halogens, chalcogens
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from discover.errors import InvalidInput, Problem
from discover.features.elements import LAST, element_table
from discover.kinds import typed
from discover.values import BlockKind, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

CONTRASTED = ("electronegativity", "row", "valence", "covalent_radius", "melting_point")
"""Properties whose spread is told too. Spreads of all of them, 129 features, made a Gaussian process with one length
scale worse or no better on open tables of bulk and shear moduli, Debye temperatures, gaps and conductivities."""
SHELLS = ("s", "p", "d", "f")
CLASSES = ("metals", "transition_metals", "f_elements", "halogens", "chalcogens")
_SHOWN = 50


@dataclass(frozen=True)
@typed
class CompositionFeatures:
    """Kind `composition`: a column of formulas to named statistics. One formula's numbers do not depend on other rows."""

    kind: ClassVar[BlockKind] = "composition"
    column: str = "formula"
    version: str = field(default="1", init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The features, `composition:…`."""
        statistics = [f"{name}_mean" for name in element_table().names]
        for statistic in ("deviation", "min", "max"):
            statistics += [f"{name}_{statistic}" for name in CONTRASTED]
        whole = [
            "elements",
            "norm_2",
            "norm_3",
            *(f"share_{shell}" for shell in SHELLS),
            "ionicity_mean",
            "ionicity_max",
            *CLASSES,
        ]
        return tuple(f"composition:{name}" for name in [*statistics, *whole])

    @property
    def requires(self) -> tuple[str, ...]:
        """The column of formulas."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"composition {self.version} elements {element_table().hash}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names every row whose formula cannot be read."""
        if not len(rows):
            return np.empty((0, len(self.names)))
        parts = fractions(rows, self.column)
        return describe(parts)[parts.place]


@dataclass(frozen=True)
class Fractions:
    """Different formulas as runs of elements, one run after the other.

    number, weight, row: [m] atomic number, fraction by amount, and formula of each. starts: [k], where the run of each
    formula begins. place: [n], the formula of each cell.
    """

    number: IntArray
    weight: FloatArray
    row: IntArray
    starts: IntArray
    place: IntArray


def fractions(rows: pd.DataFrame, column: str) -> Fractions:
    """Of a column of formulas, not empty. InvalidInput names every row whose formula cannot be read."""
    cells = rows[column].tolist()
    unique = list(dict.fromkeys(cell if isinstance(cell, str) else repr(cell) for cell in cells))
    parsed = {text: _parse(text) for text in unique}
    wrong = [i for i, cell in enumerate(cells) if not isinstance(cell, str) or isinstance(parsed[cell], Exception)]
    if wrong:
        raise InvalidInput("formulas", [_problem(rows, i, column, cells[i], parsed) for i in wrong[:_SHOWN]])
    parts = [sorted(amount.items()) for amount in parsed.values() if not isinstance(amount, Exception)]
    starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
    row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    number = np.array([z for part in parts for z, _ in part], dtype=np.int64)
    weight = np.array([w for part in parts for _, w in part], dtype=np.float64)
    weight = weight / np.add.reduceat(weight, starts)[row]
    place = {text: i for i, text in enumerate(unique)}
    return Fractions(number, weight, row, starts, np.array([place[cell] for cell in cells], dtype=np.int64))


def _problem(rows: pd.DataFrame, i: int, column: str, cell: object, parsed: Mapping[str, object]) -> Problem:
    told = f": {parsed[cell]}" if isinstance(cell, str) else ""
    return Problem(
        f"not a chemical formula{told}",
        row=rows.index[i],
        column=column,
        value=cell,
        way_out="write it like 'Fe2O3' or 'Ba0.5Sr0.5TiO3'",
    )


def describe(parts: Fractions) -> FloatArray:
    """Features [k, d] of k formulas."""
    elements = element_table()
    number, weight, row, starts = parts.number, parts.weight, parts.row, parts.starts
    values = elements.values[number]
    mean = np.add.reduceat(weight[:, None] * values, starts)
    contrasted = [elements.names.index(name) for name in CONTRASTED]
    few = values[:, contrasted]
    deviation = np.add.reduceat(weight[:, None] * np.abs(few - mean[:, contrasted][row]), starts)
    spread = [deviation, np.minimum.reduceat(few, starts), np.maximum.reduceat(few, starts)]
    electrons = mean[:, [elements.names.index(f"valence_{shell}") for shell in SHELLS]]
    whole = [
        np.diff([*starts, len(row)]),
        np.sqrt(np.add.reduceat(weight**2, starts)),
        np.cbrt(np.add.reduceat(weight**3, starts)),
        *(electrons / electrons.sum(axis=1, keepdims=True)).T,
        *_ionicity(weight, elements.column("electronegativity")[number], starts, len(row)),
        *(np.add.reduceat(weight * member[number], starts) for member in _classes()),
    ]
    return np.column_stack([mean, *spread, *whole])


def _ionicity(
    weight: FloatArray, electronegativity: FloatArray, starts: IntArray, end: int
) -> tuple[FloatArray, FloatArray]:
    """Mean over pairs (by amount; like pairs count as 0) and maximum of Pauling's ionic character."""
    mean, largest = np.zeros(len(starts)), np.zeros(len(starts))
    for i, (first, last) in enumerate(zip(starts, [*starts[1:], end], strict=True)):
        difference = electronegativity[first:last, None] - electronegativity[None, first:last]
        character = 1.0 - np.exp(-0.25 * difference**2)
        share = weight[first:last]
        mean[i] = (share[:, None] * share[None, :] * character).sum()
        largest[i] = character.max()
    return mean, largest


def _classes() -> list[FloatArray]:
    """[104] membership by atomic number, in the order of CLASSES."""
    number = np.arange(LAST + 1)
    group = element_table().column("group")
    f_element = ((number >= 57) & (number <= 71)) | (number >= 89)
    nonmetal = np.isin(
        number, [1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 33, 34, 35, 36, 51, 52, 53, 54, 85, 86]
    )
    transition = (group >= 3) & (group <= 12) & ~f_element
    members = (~nonmetal & (number > 0), transition, f_element, group == 17, (group == 16) & (number < 84))
    return [member.astype(float) for member in members]


def _parse(text: str) -> dict[int, float] | Exception:
    """{atomic number: amount}, or why there is none."""
    from pymatgen.core import Composition, Element

    try:
        composition = Composition(text)
    except Exception as error:
        return ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__)
    amounts: dict[int, float] = {}
    for species, amount in composition.items():
        element = getattr(species, "element", species)
        if not isinstance(element, Element) or element.Z > LAST:
            return ValueError(f"{species} is not one of the elements 1 to {LAST}")
        amounts[element.Z] = amounts.get(element.Z, 0.0) + float(amount)
    if not amounts or any(amount <= 0 for amount in amounts.values()):
        return ValueError("it holds nothing")
    return amounts
