"""Learned vectors of elements as features of formulas."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import InvalidInput
from discover.features.build import Features
from discover.features.elements import LAST, element_table
from discover.features.embedding import ElementEmbedding, vectors
from discover.protocols import Featurizer
from discover.registry import load

KIND = ElementEmbedding("formula")
SYMBOLS = sorted(element_table().symbols)
AMOUNTS = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(1, 12), min_size=1, max_size=5)
WIDTH = vectors().values.shape[1]


def table(*formulas: str) -> np.ndarray:
    return KIND.transform(pd.DataFrame({"formula": list(formulas)}))


def test_numbers_by_hand() -> None:
    assert isinstance(KIND, Featurizer)
    assert load("discover.features", "embedding") is ElementEmbedding
    magnesium, oxygen = vectors().values[12], vectors().values[8]
    one, two = table("MgO", "MgO2")
    assert one[:WIDTH] == pytest.approx((magnesium + oxygen) / 2)
    assert one[WIDTH : 2 * WIDTH] == pytest.approx(np.abs(magnesium - oxygen) / 2)
    assert two[:WIDTH] == pytest.approx((magnesium + 2 * oxygen) / 3)
    assert two[WIDTH : 2 * WIDTH] == pytest.approx(4 / 9 * np.abs(magnesium - oxygen))
    assert one[-1] == 0.0


def test_every_element_has_finite_numbers_and_what_is_interpolated_is_flagged() -> None:
    told = table(*SYMBOLS)
    assert told.shape == (LAST, len(KIND.names))
    assert np.isfinite(told).all()
    flags = dict(zip(SYMBOLS, told[:, -1]))
    assert flags["O"] == flags["Pu"] == 0.0
    assert flags["Po"] == flags["Lr"] == 1.0
    assert 80 <= sum(flag == 0.0 for flag in flags.values()) < LAST
    assert table("PoO")[0, -1] == pytest.approx(0.5)


def test_elements_that_behave_alike_are_near_each_other() -> None:
    Z = element_table().symbols
    values = vectors().values

    def apart(a: str, b: str) -> float:
        return float(np.linalg.norm(values[Z[a]] - values[Z[b]]))

    for near, other, far in (("Zr", "Hf", "S"), ("K", "Rb", "W"), ("Cl", "Br", "Fe"), ("La", "Ce", "O")):
        assert apart(near, other) < 0.6 * apart(near, far), (near, other, far)


@settings(max_examples=40, deadline=None)
@given(AMOUNTS, st.integers(2, 5))
def test_only_fractions_matter_and_no_other_row_does(amounts: dict[str, int], times: int) -> None:
    formula = "".join(f"{s}{a}" for s, a in amounts.items())
    more = "".join(f"{s}{times * a}" for s, a in reversed(amounts.items()))
    alone, together = table(formula), table("NaCl", more, formula)
    assert together[1] == pytest.approx(alone[0], abs=1e-12)
    assert np.array_equal(together[2], alone[0])


def test_it_stands_beside_others_as_a_block_of_its_own_and_refuses_what_is_no_formula() -> None:
    both = Features((load("discover.features", "composition")(column="formula"), KIND))
    assert [block.kind for block in both.blocks] == ["composition", "embedding"]
    assert len(both.fingerprint) == 64
    with pytest.raises(InvalidInput, match="not a chemical formula") as caught:
        both.transform(pd.DataFrame({"formula": ["NaCl", "water"]}, index=["a", "b"]))
    assert {problem.row for problem in caught.value.problems} == {"b"}
    assert KIND.transform(pd.DataFrame({"formula": []})).shape == (0, len(KIND.names))


def test_a_hundred_thousand_cells_of_a_thousand_formulas_are_quick() -> None:
    some = [f"{a}{i}O{i + 1}" for a in SYMBOLS[:100] for i in range(1, 11)]
    begun = time.process_time()
    assert len(table(*(100 * some))) == 100_000
    assert time.process_time() - begun < 10.0
