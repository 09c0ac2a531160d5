from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from discover.candidates.materials.structures import as_structure, structure_hash, structure_text
from discover.errors import InvalidInput

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    edges = [draw(st.floats(2.0, 9.0)) for _ in range(3)]
    angles = [draw(st.floats(70.0, 110.0)) for _ in range(3)]
    n = draw(st.integers(1, 4))
    species = draw(st.lists(st.sampled_from(["H", "O", "Fe", {"Mg": 0.5, "Zn": 0.5}, "Ti4+"]), min_size=n, max_size=n))
    places = [[draw(st.floats(-1.0, 2.0)) for _ in range(3)] for _ in range(n)]
    return Structure(Lattice.from_parameters(*edges, *angles), species, places, to_unit_cell=False)


@given(structures())
@settings(max_examples=80, deadline=None)
def test_every_spelling_has_one_text_and_reads_back_the_same(structure: Structure) -> None:
    text = structure_text(structure)
    again = as_structure(text)
    assert np.array_equal(again.lattice.matrix, structure.lattice.matrix)
    assert np.array_equal(again.frac_coords, structure.frac_coords)
    assert again.species_and_occu == structure.species_and_occu
    spellings = [
        text,
        again,
        structure.as_dict(),
        structure.as_dict(verbosity=1),
        structure.to_json(),
        json.loads(text),
    ]
    assert {structure_text(spelling) for spelling in spellings} == {text}
    assert {structure_hash(spelling) for spelling in spellings} == {structure_hash(text)}


def test_the_text_is_compact_and_sorted() -> None:
    body = json.loads(structure_text(SALT))
    assert structure_text(SALT) == json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert set(body["sites"][0]) == {"abc", "species"}
    assert set(body["lattice"]) == {"matrix", "pbc"}


def test_site_properties_and_labels_are_kept() -> None:
    magnetic = Structure(SALT.lattice, ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]], charge=0, labels=["Fe1", "O"])
    magnetic.add_site_property("magmom", [np.float64(4.0), 0.0])
    magnetic.add_site_property("frozen", [[True, False, True], [True] * 3])
    again = as_structure(structure_text(magnetic))
    assert structure_text(again) == structure_text(magnetic)
    assert again.labels == ["Fe1", "O"]
    assert again.site_properties == {"magmom": [4.0, 0.0], "frozen": [[True, False, True], [True, True, True]]}
    assert structure_hash(magnetic) != structure_hash(magnetic.copy(site_properties={"magmom": [0.0, 4.0]}))


def test_cartesian_coordinates_serve_where_there_are_no_fractional_ones() -> None:
    body = SALT.as_dict()
    for site in body["sites"]:
        del site["abc"]
    assert np.allclose(as_structure(structure_text(body)).frac_coords, SALT.frac_coords)


def test_negative_zeros_and_integers_are_the_same_numbers() -> None:
    body = json.loads(structure_text(SALT))
    body["sites"][0]["abc"] = [-0.0, 0, 0.0]
    assert structure_text(body) == structure_text(SALT)


def _broken(change: str) -> object:
    body = json.loads(structure_text(SALT))
    match change:
        case "no lattice":
            del body["lattice"]
        case "flat":
            body["lattice"]["matrix"][2] = body["lattice"]["matrix"][1]
        case "nan":
            body["lattice"]["matrix"][0][0] = float("nan")
        case "no sites":
            body["sites"] = []
        case "two coordinates":
            body["sites"][0]["abc"] = [0, 0]
        case "infinite":
            body["sites"][0]["abc"] = [0, 0, float("inf")]
        case "no species":
            body["sites"][0]["species"] = []
        case "too full":
            body["sites"][0]["species"][0]["occu"] = 1.5
    return body


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("no lattice", "lacks 'lattice'"),
        ("flat", "no volume"),
        ("nan", "finite"),
        ("no sites", "no sites"),
        ("two coordinates", "three coordinates"),
        ("infinite", "inf"),
        ("no species", "no species"),
        ("too full", "occupancy"),
    ],
)
def test_what_is_no_structure_is_refused_with_the_reason(change: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        structure_text(_broken(change))


@pytest.mark.parametrize("cell", [None, 7, "NaCl", "[1]", {"lattice": 3}, float("nan"), SALT.lattice, SALT.composition])
def test_anything_else_is_refused_with_a_way_out(cell: object) -> None:
    with pytest.raises(InvalidInput, match="give a pymatgen Structure"):
        structure_text(cell)


def test_unknown_elements_are_refused_when_pymatgen_reads_them() -> None:
    body = json.loads(structure_text(SALT))
    body["sites"][0]["species"][0]["element"] = "Qq"
    with pytest.raises(InvalidInput, match="pymatgen cannot read it"):
        as_structure(structure_text(body))
