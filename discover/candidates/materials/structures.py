"""Crystal structures as text: one canonical spelling, read without pymatgen, hashed by content.

At the public edge a structure may be a pymatgen `Structure`, its `as_dict()` or either as JSON text. Inside it is always
compact JSON with sorted keys that `pymatgen.core.Structure.from_dict` reads: lattice matrix [3, 3] in ångström,
fractional coordinates, species with occupancies, and site properties. What follows from these (cell lengths and angles,
volume, Cartesian coordinates, default labels) is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from pymatgen.core import Structure

_WAY_OUT = "give a pymatgen Structure, its as_dict() or that as JSON text"


class _Unusable(Exception):
    """Why something is not a structure."""


def structure_text(structure: Any) -> str:
    """The canonical JSON text of a structure (a pymatgen Structure, its `as_dict()`, or JSON text).

    The text of a canonical text is itself. InvalidInput says what is wrong with anything else.
    """
    try:
        return json.dumps(_canonical(_body(structure)), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (_Unusable, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        told = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        shown = repr(structure)[:80]
        raise InvalidInput(
            "structure", [Problem(f"not a crystal structure: {told}", value=shown, way_out=_WAY_OUT)]
        ) from error


def as_structure(text: str) -> Structure:
    """The pymatgen Structure behind a canonical text. InvalidInput where pymatgen refuses it."""
    from pymatgen.core import Structure

    try:
        return Structure.from_dict(json.loads(text))
    except Exception as error:
        raise InvalidInput(
            "structure", [Problem(f"pymatgen cannot read it: {error}", value=text[:80], way_out=_WAY_OUT)]
        ) from error


def structure_hash(structure: Any) -> str:
    """SHA-256 (64 hex digits) of a structure's canonical text: the same for every spelling of the same numbers."""
    return hashlib.sha256(structure_text(structure).encode()).hexdigest()


def _body(structure: Any) -> Mapping[str, Any]:
    if isinstance(structure, str):
        structure = json.loads(structure)
    elif not isinstance(structure, Mapping):
        if not (hasattr(structure, "as_dict") and hasattr(structure, "lattice")):
            raise _Unusable(f"it is a {type(structure).__name__}")
        structure = structure.as_dict()
    if not isinstance(structure, Mapping):
        raise _Unusable(f"the JSON text holds a {type(structure).__name__}")
    return structure


def _canonical(body: Mapping[str, Any]) -> dict[str, Any]:
    matrix = np.asarray(body["lattice"]["matrix"], dtype=float)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise _Unusable("the lattice matrix is not 3 × 3 finite numbers")
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise _Unusable("the cell has no volume")
    if not body["sites"]:
        raise _Unusable("it has no sites")
    lattice: dict[str, Any] = {
        "matrix": [[_number(x) for x in row] for row in matrix],
        "pbc": [bool(x) for x in body["lattice"].get("pbc") or (True, True, True)],
    }
    text: dict[str, Any] = {
        "@class": "Structure",
        "@module": "pymatgen.core.structure",
        "lattice": lattice,
        "sites": [_site(site, matrix) for site in body["sites"]],
    }
    if body.get("charge"):
        text["charge"] = _number(body["charge"])
    if body.get("properties"):
        text["properties"] = _plain(body["properties"])
    return text


def _site(site: Mapping[str, Any], matrix: np.ndarray) -> dict[str, Any]:
    abc = (
        site["abc"] if site.get("abc") is not None else np.linalg.solve(matrix.T, np.asarray(site["xyz"], dtype=float))
    )
    if len(abc) != 3:
        raise _Unusable("a site does not have three coordinates")
    species = sorted(
        (_species(entry) for entry in site["species"]), key=lambda entry: json.dumps(entry, sort_keys=True)
    )
    if not species:
        raise _Unusable("a site has no species")
    text: dict[str, Any] = {"abc": [_number(x) for x in abc], "species": species}
    usual = species[0]["element"] if len(species) == 1 else None
    if site.get("label") and site["label"] != usual:
        text["label"] = str(site["label"])
    if site.get("properties"):
        text["properties"] = _plain(site["properties"])
    return text


def _species(entry: Mapping[str, Any]) -> dict[str, Any]:
    species: dict[str, Any] = {"element": str(entry["element"]), "occu": _number(entry.get("occu", 1))}
    if not 0 < species["occu"] <= 1 + 1e-6:
        raise _Unusable(f"an occupancy is {species['occu']}")
    for name in ("oxidation_state", "spin"):
        if entry.get(name) is not None:
            species[name] = _number(entry[name])
    if entry.get("properties"):
        species["properties"] = _plain(entry["properties"])
    return species


def _number(value: Any) -> float:
    """A finite float without a negative zero."""
    number = float(value)
    if not math.isfinite(number):
        raise _Unusable(f"it holds {number}")
    return number + 0.0


def _plain(value: Any) -> Any:
    """JSON for site properties, whose types are the user's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, (np.bool_, np.integer, int)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (float, np.floating)):
        return _number(value)
    if isinstance(value, (Sequence, np.ndarray)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "as_dict"):
        return _plain(value.as_dict())
    raise _Unusable(f"a property is a {type(value).__name__}")
