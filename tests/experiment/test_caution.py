from __future__ import annotations

import pytest

from discover.errors import InvalidInput
from discover.experiment.caution import flags


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("MgO", []),
        ("La2 Se1 O2", []),
        ("Lu2O3", []),
        ("Mn3(FeO4)2", ["magnetic elements: Fe, Mn"]),
        ("DyCoO3", ["magnetic elements: Co", "f electrons: Dy"]),
        ("UO2", ["f electrons: U"]),
    ],
)
def test_flags(formula: str, expected: list[str]) -> None:
    assert flags(formula) == expected


@pytest.mark.parametrize("formula", ["", "not a formula!", "Xx2O3"])
def test_what_is_no_formula_is_refused(formula: str) -> None:
    with pytest.raises(InvalidInput):
        flags(formula)
