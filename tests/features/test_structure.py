from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from discover.errors import InvalidInput
from discover.features.structure import NAMES, StructureFeatures, describe
from discover.protocols import Featurizer

KIND = StructureFeatures("structure")


def crystal(group: str, lattice: Lattice, species: list[str], places: list[list[float]]) -> Structure:
    return Structure.from_spacegroup(group, lattice, species, places)


HALF = [0.5, 0.5, 0.5]
SALT = crystal("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], HALF])
CESIUM = crystal("Pm-3m", Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], HALF])
DIAMOND = crystal("Fd-3m", Lattice.cubic(3.567), ["C"], [[0, 0, 0]])
COPPER = crystal("Fm-3m", Lattice.cubic(3.615), ["Cu"], [[0, 0, 0]])
ZINCITE = crystal("P6_3mc", Lattice.hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]])
LAYERS = crystal("P6_3/mmc", Lattice.hexagonal(2.504, 6.661), ["B", "N"], [[1 / 3, 2 / 3, 0.25], [1 / 3, 2 / 3, 0.75]])
DRY_ICE = crystal("Pa-3", Lattice.cubic(5.62), ["C", "O"], [[0, 0, 0], [0.1185, 0.1185, 0.1185]])
CHAINS = crystal("P3_121", Lattice.hexagonal(4.3662, 4.9536), ["Se"], [[0.2254, 0, 1 / 3]])
EXAMPLES = {
    "salt": SALT,
    "cesium": CESIUM,
    "diamond": DIAMOND,
    "copper": COPPER,
    "zincite": ZINCITE,
    "layers": LAYERS,
    "dry ice": DRY_ICE,
    "chains": CHAINS,
}


def of(structure: Structure, name: str) -> float:
    return float(describe(structure)[NAMES.index(name)])


@pytest.mark.parametrize(
    ("example", "spacegroup", "coordination", "network", "centrosymmetric", "polar", "order"),
    [
        ("salt", 225, 6, 3, 1, 0, 48),
        ("cesium", 221, 11.3, 3, 1, 0, 48),  # 8, and 6 only 15 % farther
        ("diamond", 227, 4, 3, 1, 0, 48),
        ("copper", 225, 12, 3, 1, 0, 48),
        ("zincite", 186, 4, 3, 0, 1, 12),
        ("layers", 194, 3, 2, 1, 0, 24),
        ("dry ice", 205, 4 / 3, 0, 1, 0, 24),
        ("chains", 152, 2, 1, 0, 0, 6),
    ],
)
def test_known_crystals(
    example: str, spacegroup: int, coordination: float, network: int, centrosymmetric: int, polar: int, order: int
) -> None:
    structure = EXAMPLES[example]
    assert of(structure, "spacegroup") == spacegroup
    assert of(structure, "network") == network
    assert of(structure, "centrosymmetric") == centrosymmetric
    assert of(structure, "polar") == polar
    assert of(structure, "point_group_order") == order
    tolerance = 0.4 if example in ("copper", "chains") else 0.05
    assert of(structure, "coordination_mean") == pytest.approx(coordination, abs=tolerance)


def test_numbers_by_hand() -> None:
    assert of(SALT, "volume_per_atom") == pytest.approx(5.64**3 / 8)
    assert of(SALT, "density") == pytest.approx(SALT.density, rel=1e-4)
    assert of(SALT, "bond_min") == pytest.approx(5.64 / 2)
    assert of(SALT, "bond_ratio_min") == pytest.approx(2.82 / (1.66 + 1.02))
    assert of(DIAMOND, "bond_mean") == pytest.approx(3.567 * 3**0.5 / 4, rel=1e-3)
    assert of(DIAMOND, "electrons_per_volume") == pytest.approx(4 * 8 / 3.567**3)
    assert of(DIAMOND, "bond_valence") == pytest.approx(1.0, abs=1e-3)
    assert of(DIAMOND, "bond_alike") == 1
    assert of(SALT, "bond_alike") == pytest.approx(0, abs=0.01)
    assert of(DIAMOND, "bonds_per_volume") == pytest.approx(16 / 3.567**3, rel=1e-3)
    assert of(SALT, "bond_isotropy") == pytest.approx(1)
    assert of(LAYERS, "bond_isotropy") == pytest.approx(0, abs=1e-6)
    assert of(SALT, "off_centre") == pytest.approx(0, abs=1e-9)
    assert of(DRY_ICE, "off_centre") > 0.5
    assert of(SALT, "crystal_system") == 6
    assert of(LAYERS, "crystal_system") == 5
    assert of(CHAINS, "crystal_system") == 4


@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_what_does_not_depend_on_the_choice_of_cell(example: str) -> None:
    """A primitive cell, shifted and turned, and with its sites in another order, is the same crystal."""
    structure = EXAMPLES[example]
    primitive = structure.get_primitive_structure()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    shift = np.array([0.1, 0.2, 0.3])
    turned = Structure(
        Lattice(primitive.lattice.matrix @ turn), primitive.species[::-1], primitive.frac_coords[::-1] + shift
    )
    free = [i for i, name in enumerate(NAMES) if name not in ("sites", "distinct_sites", "cell_ratio")]
    assert np.allclose(describe(turned)[free], describe(structure)[free], rtol=1e-5, atol=1e-5)
    assert of(turned, "cell_ratio") == pytest.approx(of(primitive, "cell_ratio"))


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    lattice = Lattice.from_parameters(
        *(draw(st.floats(2.5, 12.0)) for _ in range(3)), *(draw(st.floats(65.0, 115.0)) for _ in range(3))
    )
    n = draw(st.integers(1, 5))
    species = draw(
        st.lists(st.sampled_from(["H", "O", "Xe", "U", "Fe3+", {"Mg": 0.5, "Zn": 0.5}]), min_size=n, max_size=n)
    )
    return Structure(lattice, species, [[draw(st.floats(0.0, 1.0)) for _ in range(3)] for _ in range(n)])


@given(
    st.lists(structures().filter(lambda found: found.is_valid(0.1)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_a_row_knows_nothing_of_the_others(found: list[Structure], random: object) -> None:
    rows = pd.DataFrame({"structure": pd.Series([s.to_json() for s in found], dtype=object)})
    whole = KIND.transform(rows)
    assert whole.shape == (len(found), len(NAMES))
    assert np.isfinite(whole).all()
    order = list(range(len(found)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert np.array_equal(KIND.transform(rows.iloc[order]), whole[order])


def test_every_spelling_of_a_structure_gives_the_same() -> None:
    rows = pd.DataFrame({"structure": pd.Series([SALT, SALT.as_dict(), SALT.to_json()], dtype=object)})
    table = KIND.transform(rows)
    assert np.array_equal(table[0], table[1])
    assert np.array_equal(table[0], table[2])


def test_a_lonely_atom_is_finite() -> None:
    lonely = Structure(Lattice.cubic(60.0), ["He"], [[0, 0, 0]])
    assert np.isfinite(describe(lonely)).all()
    assert of(lonely, "network") == 0
    assert of(lonely, "bond_min") == 20.0


def test_unreadable_structures_are_named_by_row() -> None:
    dummy = json.loads(SALT.to_json())
    dummy["sites"][0]["species"] = [{"element": "X0+", "occu": 1}]
    apart = json.loads(SALT.to_json())
    apart["sites"][0]["abc"] = apart["sites"][1]["abc"]
    cells = [SALT.to_json(), "{", json.dumps(dummy), None, json.dumps(apart)]
    rows = pd.DataFrame({"structure": pd.Series(cells, dtype=object)}).set_index(pd.Index(list("abcde")))
    with pytest.raises(InvalidInput) as caught:
        KIND.transform(rows)
    assert [(p.row, p.column) for p in caught.value.problems] == [(row, "structure") for row in "bcde"]
    assert "two atoms stand in one place" in str(caught.value)


def test_names_are_unique_and_documented() -> None:
    import discover.features.structure as module

    assert isinstance(KIND, Featurizer)
    assert len(set(NAMES)) == len(NAMES) == len(KIND.names)
    told = module.__doc__ or ""
    assert all(name in told or name.rsplit("_", 1)[0] in told for name in NAMES)


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("SPGLIB_WARNING", "ON")
    describe(SALT)
    assert os.environ["SPGLIB_WARNING"] == "ON"
    monkeypatch.delenv("SPGLIB_WARNING")
    describe(SALT)
    assert "SPGLIB_WARNING" not in os.environ
