from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import InvalidInput
from discover.features.composition import CONTRASTED, CompositionFeatures
from discover.features.elements import LAST, element_table
from discover.protocols import Featurizer

KIND = CompositionFeatures("formula")
SYMBOLS = sorted(element_table().symbols)
AMOUNTS = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(1, 12), min_size=1, max_size=5)


def spelt(amounts: dict[str, int]) -> str:
    return "".join(f"{symbol}{amount}" for symbol, amount in amounts.items())


def table(*formulas: str) -> np.ndarray:
    return KIND.transform(pd.DataFrame({"formula": list(formulas)}))


def feature(name: str, *formulas: str) -> list[float]:
    return table(*formulas)[:, KIND.names.index(f"composition:{name}")].tolist()


def test_numbers_by_hand() -> None:
    assert isinstance(KIND, Featurizer)
    assert feature("electronegativity_mean", "MgO", "Al2O3") == pytest.approx(
        [(1.31 + 3.44) / 2, (2 * 1.61 + 3 * 3.44) / 5]
    )
    assert feature("electronegativity_deviation", "MgO") == pytest.approx([(3.44 - 1.31) / 2])
    assert feature("row_min", "NaCl", "KI") == [3.0, 4.0]
    assert feature("row_max", "NaCl", "KI") == [3.0, 5.0]
    assert feature("elements", "Fe", "Ba0.5Sr0.5TiO3") == [1.0, 4.0]
    assert feature("norm_2", "Fe", "MgO") == pytest.approx([1.0, 0.5**0.5])
    assert feature("ionicity_max", "CsF", "Fe") == pytest.approx([1 - np.exp(-0.25 * (3.98 - 0.79) ** 2), 0.0])
    assert feature("ionicity_mean", "CsF") == pytest.approx([0.5 * (1 - np.exp(-0.25 * (3.98 - 0.79) ** 2))])
    assert feature("transition_metals", "TiO2", "SrTiO3", "CeO2") == pytest.approx([1 / 3, 1 / 5, 0.0])
    assert feature("f_elements", "CeO2", "LaF3", "HfO2") == pytest.approx([1 / 3, 1 / 4, 0.0])
    assert feature("halogens", "LaF3", "MgO") == [0.75, 0.0]
    assert feature("metals", "MgO", "SiO2") == [0.5, 0.0]
    assert feature("share_d", "Fe") == pytest.approx([6 / 8])


@pytest.mark.parametrize(
    ("one", "other"), [("Fe2O3", "O3Fe2"), ("Ca(OH)2", "CaO2H2"), ("MgO", "Mg2O2"), ("Na Cl", "NaCl")]
)
def test_spellings_of_one_composition_are_one(one: str, other: str) -> None:
    assert table(one)[0] == pytest.approx(table(other)[0], rel=1e-12)


@given(st.lists(AMOUNTS.map(spelt), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_a_row_knows_nothing_of_the_others(formulas: list[str], random: object) -> None:
    whole = table(*formulas)
    assert whole.shape == (len(formulas), len(KIND.names))
    assert np.isfinite(whole).all()
    order = list(range(len(formulas)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert np.array_equal(table(*(formulas[i] for i in order)), whole[order])
    for i, formula in enumerate(formulas):
        assert np.array_equal(table(formula)[0], whole[i])


@given(AMOUNTS)
@settings(max_examples=80, deadline=None)
def test_means_lie_between_the_extremes(amounts: dict[str, int]) -> None:
    row = dict(zip(KIND.names, table(spelt(amounts))[0], strict=True))
    for name in CONTRASTED:
        low, mean, high = (row[f"composition:{name}_{statistic}"] for statistic in ("min", "mean", "max"))
        assert low - 1e-9 <= mean <= high + 1e-9
        assert 0 <= row[f"composition:{name}_deviation"] <= (high - low) / 2 + 1e-9
    assert sum(row[f"composition:share_{shell}"] for shell in "spdf") == pytest.approx(1.0)


def test_every_unreadable_formula_is_named() -> None:
    rows = pd.DataFrame({"formula": ["MgO", "Xx2O", "", None, "Fe2+*"]}, index=["a", "b", "c", "d", "e"])
    with pytest.raises(InvalidInput) as caught:
        KIND.transform(rows)
    assert [(p.row, p.column) for p in caught.value.problems] == [(row, "formula") for row in "bcde"]
    assert "value 'Xx2O'" in str(caught.value)


def test_no_rows_are_no_rows() -> None:
    assert KIND.transform(pd.DataFrame({"formula": []})).shape == (0, len(KIND.names))


def test_names_are_unique_and_documented() -> None:
    import discover.features.composition as module

    assert len(set(KIND.names)) == len(KIND.names) == 52
    assert KIND.requires == ("formula",)
    told = module.__doc__ or ""
    for name in KIND.names:
        tail = name.removeprefix("composition:").split("_")
        assert any(word in told for word in (name, "_" + tail[-1], tail[0])), name


def test_every_element_has_every_property() -> None:
    elements = element_table()
    assert np.isfinite(elements.values[1:]).all()
    assert elements.values.shape == (LAST + 1, len(elements.names))
    import discover.features.elements as module

    documented = re.findall(r"^([a-z_]+(?:, _?[a-z]+)*)", module.__doc__ or "", flags=re.MULTILINE)
    words = " ".join(documented)
    for name in elements.names:
        assert name in words or name.startswith("valence_") or name in ("row", "group"), name


def test_gaps_are_filled_from_chemically_similar_elements() -> None:
    """Zirconium's elemental bulk modulus is missing; it lies between actinium's and hafnium's neighbours on Pettifor's scale."""
    elements = element_table()
    assert elements.filled["bulk_modulus"] == 34
    assert elements.filled["atomic_mass"] == 0
    modulus = elements.column("bulk_modulus")
    thorium, zirconium, hafnium = (modulus[elements.symbols[symbol]] for symbol in ("Th", "Zr", "Hf"))
    assert thorium < zirconium < hafnium
