"""Chemistry that calls for caution with a density-functional number, or with a model trained on such numbers."""

from __future__ import annotations

from discover.candidates.materials.formula import ELEMENTS, parse_formula
from discover.errors import InvalidInput, Problem

MAGNETIC = frozenset(("V", "Cr", "Mn", "Fe", "Co", "Ni"))
"""3d metals whose compounds are often magnetic: the number belongs to one magnetic order among several."""
F_ELECTRONS = frozenset(
    {
        *("Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"),
        *("Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No"),
    }
)
"""Lanthanides and actinides with open or chemically active f shells; La, Lu and Ac are not among them."""


def flags(formula: str) -> list[str]:
    """Words of caution for a formula, each with its elements; an empty list where there is none.

    'magnetic elements: Fe, Mn', 'f electrons: Dy'. InvalidInput if the text is not a formula.
    """
    try:
        symbols = {symbol for symbol, _ in parse_formula(formula.replace(" ", ""))}
    except ValueError as error:
        raise InvalidInput("formula", [Problem(str(error), value=formula)]) from error
    strange = sorted(symbols - ELEMENTS)
    if strange:
        raise InvalidInput("formula", [Problem(f"no such element: {', '.join(strange)}", value=formula)])
    found = []
    if magnetic := sorted(symbols & MAGNETIC):
        found.append(f"magnetic elements: {', '.join(magnetic)}")
    if f_electrons := sorted(symbols & F_ELECTRONS):
        found.append(f"f electrons: {', '.join(f_electrons)}")
    return found
