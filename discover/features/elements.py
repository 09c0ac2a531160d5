"""Properties of the chemical elements as one dense table, for features of compositions and structures.

The numbers are those that pymatgen carries, for elements 1 to 103:

========================  =======  ==========================================================================
property                  unit     what
========================  =======  ==========================================================================
atomic_number             1
mendeleev_number          1        Pettifor's chemical scale: neighbours are chemically alike
atomic_mass               u
row, group                1        of the periodic table; lanthanides and actinides have group 3
electronegativity         1        Pauling
atomic_radius             Å        Slater's empirical radius
covalent_radius           Å        Cordero 2008
ionic_radius              Å        mean over the common charge states
ionization_energy         eV       first
electron_affinity         eV
melting_point             K        of the elemental solid
boiling_point             K        of the element
molar_volume              cm³/mol  of the elemental solid
bulk_modulus              GPa      of the elemental solid
valence_s, _p, _d, _f     1        electrons outside the noble-gas core
valence                   1        electrons that take part in bonds: the group for s, p and d blocks (a filled d shell
                                   counts as core from group 12 on), 3 for f elements
unfilled                  1        empty places in the open shells
highest_oxidation         1        of the common oxidation states
lowest_oxidation          1        of the common oxidation states
========================  =======  ==========================================================================

A number that pymatgen lacks is interpolated linearly along the Mendeleev number, between chemically similar elements; at
either end the nearest known value is taken. So every feature is finite for every element, and no element is singled
out by a gap in a table. `filled` counts what was interpolated.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from discover.values import FloatArray

LAST = 103
_SHELLS = {"s": 2, "p": 6, "d": 10, "f": 14}
_SHELL = re.compile(r"\d([spdf])(\d+)")


@dataclass(frozen=True)
class ElementTable:
    """values: [104, p], row Z for element Z (row 0 is NaN); symbols: symbol to Z; filled: interpolated cells by property."""

    names: tuple[str, ...]
    values: FloatArray
    symbols: Mapping[str, int]
    filled: Mapping[str, int]
    hash: str

    def column(self, name: str) -> FloatArray:
        """[104] one property by atomic number."""
        column: FloatArray = self.values[:, self.names.index(name)]
        return column


@lru_cache(maxsize=1)
def element_table() -> ElementTable:
    """The table, read once a process."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
    from pymatgen.core import Element

    elements = [Element.from_Z(number) for number in range(1, LAST + 1)]
    records = [_record(element, CovalentRadius.radius) for element in elements]
    names = tuple(records[0])
    values = np.full((LAST + 1, len(names)), math.nan)
    values[1:] = [[record[name] for name in names] for record in records]
    order = np.argsort(values[1:, names.index("mendeleev_number")], kind="stable") + 1
    filled = {}
    for place, name in enumerate(names):
        column = values[order, place]
        known = np.isfinite(column)
        values[order, place] = np.interp(np.arange(LAST), np.flatnonzero(known), column[known])
        filled[name] = int((~known).sum())
    values.flags.writeable = False
    digest = hashlib.sha256(repr(names).encode() + np.round(values, 9).tobytes()).hexdigest()[:16]
    return ElementTable(names, values, {element.symbol: element.Z for element in elements}, filled, digest)


def _record(element: Any, covalent: Mapping[str, float]) -> dict[str, float]:
    data = element.data
    shells = dict.fromkeys(_SHELLS, 0)
    for shell, count in _SHELL.findall(element.electronic_structure.split("]")[-1]):
        shells[shell] += int(count)
    states = element.common_oxidation_states
    radii = list((data.get("Ionic radii") or {}).values())
    energies = data.get("Ionization energies") or [None]
    return {
        "atomic_number": float(element.Z),
        "mendeleev_number": _number(data.get("Mendeleev no")),
        "atomic_mass": _number(data.get("Atomic mass")),
        "row": float(element.row),
        "group": float(element.group),
        "electronegativity": _number(data.get("X")),
        "atomic_radius": _number(data.get("Atomic radius")),
        "covalent_radius": _number(covalent.get(element.symbol)),
        "ionic_radius": float(np.mean(radii)) if radii else math.nan,
        "ionization_energy": _number(energies[0]),
        "electron_affinity": _number(data.get("Electron affinity")),
        "melting_point": _number(data.get("Melting point")),
        "boiling_point": _number(data.get("Boiling point")),
        "molar_volume": _number(data.get("Molar volume")),
        "bulk_modulus": _number(data.get("Bulk modulus")),
        **{f"valence_{shell}": float(count) for shell, count in shells.items()},
        "valence": _valence(element),
        "unfilled": float(sum(_SHELLS[shell] - count for shell, count in shells.items() if count)),
        "highest_oxidation": float(max(states)) if states else 0.0,
        "lowest_oxidation": float(min(states)) if states else 0.0,
    }


def _valence(element: Any) -> float:
    if element.Z == 2:
        return 2.0
    if element.block == "f":
        return 3.0
    return float(element.group if element.group < 12 else element.group - 10)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
