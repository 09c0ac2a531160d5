"""The one encoding that all peers get, frozen here so that it does not move with the library; and molecules' descriptors.

- numbers: as they stand.
- formulas: 25 statistics. Of electronegativity, row, group, atomic mass, atomic radius and Mendeleev number of the elements:
  the mean by amount, mean absolute deviation, smallest and largest; and how many elements there are. Element data are
  pymatgen's; where an element has none (the electronegativity of He, Ne, Ar; a few radii), 0 and 1.5 stand for it.
- structures: the same of their formula, and volume per atom, density, number of sites, number of the space group.
- categories, molecules among them: one-hot.

Rounded to ten digits, so that a last bit does not make another table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from discover.values import FloatArray

_MISSING_RADIUS = 1.5
STATISTICS = ("mean", "deviation", "min", "max")
PROPERTIES = ("electronegativity", "row", "group", "mass", "radius", "mendeleev")


def composition_names() -> list[str]:
    """Names of the 25 statistics."""
    return [*(f"{p}_{s}" for p in PROPERTIES for s in STATISTICS), "elements"]


def compositions(formulas: Sequence[str]) -> FloatArray:
    """[N, 25] statistics of formulas."""
    return rounded(np.array([_statistics(formula) for formula in formulas]))


def _statistics(formula: str) -> list[float]:
    from pymatgen.core import Composition

    amounts = Composition(formula).get_el_amt_dict()
    weights = np.array(list(amounts.values())) / sum(amounts.values())
    table = np.array([_element(symbol) for symbol in amounts])
    mean = weights @ table
    spread = weights @ np.abs(table - mean)
    columns = np.stack([mean, spread, table.min(axis=0), table.max(axis=0)], axis=1)
    return [*columns.ravel().tolist(), float(len(amounts))]


@cache
def _element(symbol: str) -> tuple[float, ...]:
    import warnings

    from pymatgen.core import Element

    element = Element(symbol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = float(element.X)
    radius = float(element.atomic_radius) if element.atomic_radius is not None else _MISSING_RADIUS
    mass, mendeleev = float(element.atomic_mass), float(element.mendeleev_no)
    return (0.0 if math.isnan(x) else x, float(element.row), float(element.group), mass, radius, mendeleev)


def one_hot(cells: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Categories in ascending order, and [N, categories] of 0 and 1."""
    categories = sorted(set(cells))
    return categories, np.array([[float(cell == category) for category in categories] for cell in cells])


def decorrelated(columns: dict[str, FloatArray], limit: float = 0.7) -> dict[str, FloatArray]:
    """Columns [k] that vary, each kept only if |r| with every one kept before is at most `limit`."""
    kept: dict[str, FloatArray] = {}
    for name, values in columns.items():
        if not np.isfinite(values).all() or values.std() <= 1e-9 * max(1.0, float(np.abs(values).max())):
            continue
        centred = (values - values.mean()) / values.std()
        if all(abs(float(centred @ other)) / len(values) <= limit for other in kept.values()):
            kept[name] = centred
    return {name: columns[name] for name in kept}


def descriptors(frame: Any, column: Callable[[str], str] = str) -> dict[str, dict[str, float]]:
    """{category: {descriptor: value}} from a frame whose first column is the category; what correlates above 0.7 is left out.

    The same threshold as the chemical encodings of the peer that has them. Two categories that the kept descriptors
    cannot tell apart get the first dropped column that does.
    """
    names = [str(cell) for cell in frame.iloc[:, 0]]
    numbers = {str(name): frame[name].to_numpy(dtype=np.float64) for name in frame.columns[1:]}
    kept = decorrelated(numbers)
    for name, values in numbers.items():
        if name not in kept and _told_apart({**kept, name: values}) > _told_apart(kept):
            kept[name] = values
    return {c: {column(n): float(v[row]) for n, v in kept.items()} for row, c in enumerate(names)}


def _told_apart(columns: dict[str, FloatArray]) -> int:
    return len(np.unique(np.stack(list(columns.values()), axis=1), axis=0)) if columns else 1


def rounded(values: FloatArray) -> FloatArray:
    """To ten significant digits, column by column."""
    size = np.abs(values).max(axis=0)
    digits = 10.0 ** (9 - np.floor(np.log10(np.where(size > 0, size, 1.0))))
    return np.round(values * digits) / digits
