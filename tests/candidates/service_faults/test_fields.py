"""Fields of the wrong type, missing ones, and rows that cannot be judged: told with id, field and value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.candidates.materials.mp_ids import canonical_id
from discover.errors import SourceIntegrityError
from tests.candidates.service_faults.asking import nothing_was_kept, source, wanted
from tests.mp_server import MPServer


def change(server: MPServer, edit: Callable[[dict[str, Any]], Any], rows: slice = slice(20, 21)) -> str:
    """Edit some documents; the id of the first."""
    for row in server.documents[rows]:
        edit(row)
    return canonical_id(server.documents[rows][0]["material_id"])


MISTYPED: dict[str, tuple[dict[str, Any], str]] = {
    "a text for a number": ({"volume": "12.5"}, r"field 'volume' holds \"12.5\", expected a number"),
    "true for a number": ({"volume": True}, "field 'volume' holds true, expected a number"),
    "a list for a number": ({"volume": [1.0]}, "field 'volume' holds .*, expected a number"),
    "a fraction for a count": ({"nsites": 2.5}, "field 'nsites' holds 2.5, expected a whole number"),
    "a text for a flag": ({"theoretical": "no"}, r"field 'theoretical' holds \"no\", expected true or false"),
    "a number for a text": ({"chemsys": 7}, "field 'chemsys' holds 7, expected a text"),
    "a text for a list": ({"elements": "O"}, r"field 'elements' holds \"O\", expected a list"),
    "a text for symmetry": ({"symmetry": "Fm-3m"}, r"field 'symmetry' holds \"Fm-3m\", expected an object"),
    "a text within symmetry": (
        {"symmetry": {"number": "225"}},
        r"field 'symmetry.number' holds \"225\", expected a whole",
    ),
    "negative amounts": ({"composition_reduced": {"O": -1}}, "field .* expected positive amounts"),
    "half a structure": ({"structure": {"sites": []}}, "field 'structure' holds .*not a crystal structure"),
    "atomic numbers": ({"elements": [14, 8]}, r"field 'elements' holds \[14, 8\], expected a list of element symbols"),
    "small letters": ({"elements": ["si", "o"]}, "field 'elements' holds .*, expected a list of element symbols"),
    "null among elements": ({"elements": ["O", None]}, "field 'elements' holds .*null.*, expected a list of element"),
    "objects for elements": ({"elements": [{"O": 1}]}, "field 'elements' holds .*, expected a list of element symbols"),
    "lists within elements": ({"elements": [["O"]]}, "field 'elements' holds .*, expected a list of element symbols"),
    "numbers for species": ({"possible_species": [1]}, "field 'possible_species' holds .*, expected a list of texts"),
    "a text for a modulus": ({"bulk_modulus": {"vrh": "about 20"}}, "field 'bulk_modulus.vrh' holds .*, expected a n"),
    "an object for a modulus": ({"bulk_modulus": {"vrh": {"x": 1}}}, "field 'bulk_modulus.vrh' holds .*, expected a n"),
    "a text for a property": ({"has_props": {"dielectric": "false"}}, "field 'has_props.dielectric' holds .*, expecte"),
    "an odd crystal system": (
        {"symmetry": {"crystal_system": "cubic"}},
        r"field 'symmetry.crystal_system' holds \"cubic\", expected one of Triclinic, .*Cubic",
    ),
    "far too many sites": (
        {"nsites": 1e308},
        r"field 'nsites' holds 1e\+308, expected a whole number, at most 2\*\*53",
    ),
    "more sites than 64 bits": ({"nsites": 10**19}, "field 'nsites' holds 10000000000000000000, expected a whole"),
    "too few elements": ({"nelements": 9}, "field 'nelements' says 9, but there are"),
    "too few sites": ({"nsites": 99}, "field 'nsites' says 99, but there are"),
}
BESIDE = {"nelements": ("elements",), "nsites": ("structure",)}


@pytest.mark.parametrize("name", MISTYPED)
def test_a_mistyped_field_is_told_with_id_field_and_value(name: str, server: MPServer, tmp_path: Path) -> None:
    changes, told = MISTYPED[name]
    owner = change(server, lambda row: row.update(changes))
    with pytest.raises(SourceIntegrityError, match=f"{owner}: {told}"):
        source(server, tmp_path, fields=(*changes, *BESIDE.get(next(iter(changes)), ()))).pull()
    assert nothing_was_kept(tmp_path)


JUDGED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "elements as numbers": ({"elements": ["O"]}, {"elements": [14, 8]}, "field 'elements' holds"),
    "elements in small letters": ({"exclude_elements": ["Si"]}, {"elements": ["si", "o"]}, "field 'elements' holds"),
    "null among elements": ({"elements": ["O"]}, {"elements": ["O", None]}, "field 'elements' holds"),
    "objects for elements": ({"elements": ["O"]}, {"elements": [{}]}, "field 'elements' holds"),
    "a modulus in words": (
        {"k_vrh": [20, 50]},
        {"bulk_modulus": {"vrh": "about 20"}},
        "field 'bulk_modulus.vrh' holds",
    ),
    "a modulus as text": ({"k_vrh": [20, 50]}, {"bulk_modulus": {"vrh": "30"}}, "field 'bulk_modulus.vrh' holds"),
    "a modulus as object": ({"k_vrh": [20, 50]}, {"bulk_modulus": {"vrh": {"x": 1}}}, "field 'bulk_modulus.vrh' holds"),
    "no such modulus": ({"k_vrh": [20, 50]}, {"bulk_modulus": {"voigt": 30.0}}, "field 'bulk_modulus.vrh'.* is absent"),
    "no such property": ({"has_props": ["dielectric"]}, {"has_props": {}}, "field 'has_props.dielectric'.* is absent"),
    "a property in words": (
        {"has_props": ["dielectric"]},
        {"has_props": {"dielectric": "false"}},
        "field 'has_props.dielectric' holds",
    ),
    "a small crystal system": (
        {"crystal_system": ["Cubic"]},
        {"symmetry": {"crystal_system": "cubic"}},
        "field 'symmetry.crystal_system' holds",
    ),
    "no space group": ({"spacegroup_number": 225}, {"symmetry": {}}, "field 'symmetry.number'.* is absent"),
    "a space group too many": (
        {"spacegroup_number": 225},
        {"symmetry": {"number": 231}},
        "'symmetry.number' holds '231'",
    ),
    "half a formula": ({"formula": ["*2O3", "ABO3"]}, {"formula_pretty": "((("}, r"field 'formula' holds '\(\(\('"),
    "a system of questions": ({"chemsys": ["Si-O"]}, {"chemsys": "??"}, "field 'chemsys' holds"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_row_that_cannot_be_judged_is_never_dropped_silently(name: str, server: MPServer, tmp_path: Path) -> None:
    """The service lets the row through, as one does that judges by something else than it serves."""
    query, changes, told = JUDGED[name]
    words = "elements exclude_elements k_vrh_min k_vrh_max has_props crystal_system spacegroup_number formula chemsys"
    server.ignored = frozenset(words.split())
    owner = change(server, lambda row: row.update(changes))
    with pytest.raises(SourceIntegrityError, match=f"{owner}: .*{told}"):
        source(server, tmp_path, query).pull()
    assert nothing_was_kept(tmp_path)


def test_all_mistyped_fields_are_told_at_once(server: MPServer, tmp_path: Path) -> None:
    change(server, lambda row: row.update(volume="x", nsites="y"), slice(10, 40))
    with pytest.raises(SourceIntegrityError) as caught:
        source(server, tmp_path, fields=("volume", "nsites")).pull()
    assert str(caught.value).count("field 'volume'") == 5
    assert "and 50 more" in str(caught.value)


def test_null_and_absent_are_missing_values_that_are_counted(server: MPServer, tmp_path: Path) -> None:
    null = change(server, lambda row: row.update(volume=None, symmetry=None, elements=None))
    absent = change(
        server, lambda row: [row.pop(name) for name in ("volume", "symmetry", "theoretical")], slice(30, 32)
    )
    snapshot = source(server, tmp_path, fields=("volume", "symmetry", "theoretical", "elements", "nsites")).pull()
    assert set(snapshot.ids) == wanted(server)
    assert snapshot.manifest["absent"] == {"volume": 2, "symmetry": 2, "theoretical": 2}
    assert snapshot.manifest["null"] == {"volume": 1, "symmetry": 1, "elements": 1}
    frame = snapshot.frame().set_index("material_id")
    assert frame.loc[[null, absent], "volume"].isna().all()
    assert frame.loc[[null, absent], "symmetry.number"].isna().all()
    assert frame["volume"].isna().sum() == 3
    assert snapshot.manifest["columns"]["symmetry.number"] == "integer"
    assert snapshot.manifest["columns"]["theoretical"] == "flag"


def test_a_field_that_the_first_row_of_a_page_lacks_stays_with_the_others(server: MPServer, tmp_path: Path) -> None:
    first = min((row for row in server.documents if row["band_gap"] >= 0.5), key=lambda row: str(row["material_id"]))
    del first["volume"]
    frame = source(server, tmp_path, fields=("volume",)).pull().frame()
    assert frame["volume"].notna().sum() == len(wanted(server)) - 1


def test_a_field_that_no_row_has_is_an_error(server: MPServer, tmp_path: Path) -> None:
    with pytest.raises(SourceIntegrityError, match="field 'efermi' was asked for and is in none of 52 rows"):
        source(server, tmp_path, fields=("efermi",)).pull()
    with pytest.raises(SourceIntegrityError, match=r"field 'bulk_modulus.hill' was asked for"):
        source(server, tmp_path, fields=("bulk_modulus.hill",)).pull()


def test_a_row_that_lacks_the_field_it_is_judged_by_is_an_error(server: MPServer, tmp_path: Path) -> None:
    server.ignored = frozenset({"band_gap_min"})
    owner = change(server, lambda row: row.pop("band_gap"))
    with pytest.raises(SourceIntegrityError, match=f"{owner}: field 'band_gap', by which the query judges, is absent"):
        source(server, tmp_path).pull()


def test_a_row_that_is_null_where_it_is_judged_is_not_in_the_pool(server: MPServer, tmp_path: Path) -> None:
    server.ignored = frozenset({"band_gap_min"})
    owner = change(server, lambda row: row.update(band_gap=None))
    snapshot = source(server, tmp_path).pull()
    assert owner not in snapshot.ids
    assert len(snapshot) == 51
