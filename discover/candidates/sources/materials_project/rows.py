"""Documents of the Materials Project as rows: flat columns, one rule for what is missing, none for what is wrong.

- A field that is null has no value; so has a field that a row lacks. Both are counted in the manifest.
- A field that was asked for and that every row lacks is an error: it is misspelt, or the service has withdrawn it.
- A row that lacks a field which the query judges is an error: whether it belongs to the pool cannot be told.
- A value of the wrong type is an error that names the id, the field and the value. Nothing is converted.
Models such as `symmetry` become columns with a dot (`symmetry.number`); compositions and nested lists become JSON text.
"""

from __future__ import annotations

import json
import math
import types
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from discover.candidates.materials.formula import SERVED
from discover.candidates.materials.mp_ids import canonical_id
from discover.candidates.materials.structures import structure_text
from discover.candidates.sources.query import CRYSTAL_SYSTEMS
from discover.errors import InvalidInput, SourceIntegrityError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal[
    "number",
    "whole",
    "flag",
    "text",
    "list",
    "elements",
    "texts",
    "crystal system",
    "mapping",
    "amounts",
    "structure",
    "any",
]

ID = "material_id"
DISPLAY = "display_id"
LICENCE = "builder_meta.license"
ALIASES: Mapping[str, str] = {"formula": "formula_pretty"}
"""Columns under the names that other sources use, by the service's name of the field."""
_MOST_TOLD = 10
_LARGEST_WHOLE = 2**53
_PARTS: Mapping[str, Kind] = {"bulk_modulus": "number", "shear_modulus": "number", "has_props": "flag"}
"""Kinds of the parts of fields whose parts the client's model does not list."""


def root(name: str) -> str:
    """The service's field behind a column: `symmetry` behind `symmetry.number`, `formula_pretty` behind `formula`."""
    first = name.split(".", 1)[0]
    return ALIASES.get(first, first)


@lru_cache(maxsize=1)
def document_fields() -> Mapping[str, tuple[Kind, Mapping[str, Kind]]]:
    """Fields of the client's summary documents, each with its kind and, for a model, the kinds of its parts."""
    from emmet.core.summary import SummaryDoc

    special: dict[str, Kind] = {
        "structure": "structure",
        "composition": "amounts",
        "composition_reduced": "amounts",
        "elements": "elements",
        "possible_species": "texts",
        ID: "text",
    }
    return {
        name: (special[name], {}) if name in special else (_kind(info.annotation), _parts(info.annotation))
        for name, info in SummaryDoc.model_fields.items()
    }


def _bare(annotation: Any) -> Any:
    """The type without Optional and Annotated."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return _bare(inner[0]) if len(inner) == 1 else None
    return annotation


def _kind(annotation: Any) -> Kind:
    bare = _bare(annotation)
    origin = get_origin(bare)
    if origin in (list, tuple, set):
        return "list"
    if origin is dict:
        return "mapping"
    if not isinstance(bare, type):
        return "any"
    kinds: list[tuple[type, Kind]] = [
        (bool, "flag"),
        (int, "whole"),
        (float, "number"),
        (str, "text"),
        (Enum, "text"),
        (datetime, "text"),
    ]
    if hasattr(bare, "model_fields"):
        return "mapping"
    return next((kind for base, kind in kinds if issubclass(bare, base)), "any")


def _parts(annotation: Any) -> Mapping[str, Kind]:
    fields = getattr(_bare(annotation), "model_fields", {})
    special: dict[str, Kind] = {"crystal_system": "crystal system"}
    return {name: special.get(name) or _kind(info.annotation) for name, info in fields.items()}


@dataclass
class Account:
    """How many rows lacked a field, or held null in it; for the manifest."""

    absent: Counter[str] = field(default_factory=Counter)
    null: Counter[str] = field(default_factory=Counter)


def rows_of(
    documents: Sequence[Mapping[str, Any]], columns: Sequence[str], judged: Sequence[str], *, needs_licence: bool
) -> tuple[pd.DataFrame, Account]:
    """Rows [n] with id, display form, licence and the columns, in the order of the documents.

    columns: names as in `fields:`, whole fields or parts of one. judged: fields that the query speaks of.
    SourceIntegrityError collects what is mistyped, absent or contradicts itself.
    """
    account, problems = Account(), list[str]()
    wanted = dict.fromkeys([*columns, LICENCE])
    cells: list[dict[str, Any]] = []
    for document in documents:
        row = {ID: canonical_id(document[ID]), DISPLAY: document[ID]}
        for name in dict.fromkeys(map(root, wanted)):
            if name != ID:
                row |= _cells(document, name, account, problems, row[ID])
        problems += _contradictions(document, row[ID])
        cells.append(row)
    problems += _nowhere(cells, wanted, account, needs_licence=needs_licence)
    problems += _unjudged(documents, judged, account)
    if problems:
        more = f"\n  - and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        listed = "".join(f"\n  - {problem}" for problem in problems[:_MOST_TOLD])
        raise SourceIntegrityError(f"documents that cannot be used; nothing was kept{listed}{more}")
    return _frame(cells, wanted), account


def _cells(document: Mapping[str, Any], name: str, account: Account, problems: list[str], owner: str) -> dict[str, Any]:
    """The cells that one field of one document fills."""
    if name not in document:
        account.absent[name] += 1
        return {name: None}
    value = document[name]
    if value is None:
        account.null[name] += 1
        return {name: None}
    kind, parts = document_fields()[name]
    if kind == "mapping" and isinstance(value, Mapping):
        pairs = {f"{name}.{part}": (inner, parts.get(part, _PARTS.get(name, "any"))) for part, inner in value.items()}
    else:
        pairs = {name: (value, kind)}
    row = {}
    for column, (inner, inner_kind) in pairs.items():
        try:
            row[column] = None if inner is None else _cell(inner, inner_kind)
        except (TypeError, ValueError, InvalidInput) as error:
            told = f"expected {error.args[0]}" if not isinstance(error, InvalidInput) else error.problems[0].message
            problems.append(f"{owner}: field {column!r} holds {_shown(inner)}, {told}")
    return row


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"


def _cell(value: Any, kind: Kind) -> Any:
    """A value of its kind. TypeError says what was expected."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "number":
        if not is_number or not _is_finite(value):
            raise TypeError("a number")
        return float(value)
    if kind == "whole":
        if not is_number or not abs(value) <= _LARGEST_WHOLE or value != int(value):
            raise TypeError("a whole number, at most 2**53")
        return int(value)
    if kind == "flag":
        if not isinstance(value, bool):
            raise TypeError("true or false")
        return value
    if kind == "text":
        return _text(value)
    if kind == "structure":
        return structure_text(value)
    if kind in ("list", "elements", "texts"):
        return _list(value, kind)
    if kind == "crystal system":
        if value not in CRYSTAL_SYSTEMS:
            raise TypeError(f"one of {', '.join(CRYSTAL_SYSTEMS)}")
        return value
    if is_number and not (abs(value) <= _LARGEST_WHOLE if isinstance(value, int) else math.isfinite(value)):
        raise TypeError("a finite number, if whole at most 2**53")
    if kind in ("mapping", "amounts") and not isinstance(value, Mapping):
        raise TypeError("an object")
    if kind == "amounts" and not all(_is_amount(amount) for amount in value.values()):
        raise TypeError("positive amounts of elements")
    return _json(value) if isinstance(value, Mapping | list) else value


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value) and value > 0


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and set(value) == {"$date"}:
        value = value["$date"]
    if not isinstance(value, str):
        raise TypeError("a text")
    return value


def _list(value: Any, kind: Kind) -> Any:
    if not isinstance(value, list):
        raise TypeError("a list")
    if kind == "elements" and not all(isinstance(part, str) and part in SERVED for part in value):
        raise TypeError("a list of element symbols")
    if kind == "texts" and not all(isinstance(part, str) for part in value):
        raise TypeError("a list of texts")
    return value if all(isinstance(part, str) for part in value) else _json(value)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise TypeError("finite numbers") from None


def _contradictions(document: Mapping[str, Any], owner: str) -> list[str]:
    """Counts that a document states twice and differently."""
    structure, elements = document.get("structure"), document.get("elements")
    sites = structure.get("sites") if isinstance(structure, Mapping) else None
    found = []
    for name, parts in (("nsites", sites), ("nelements", elements)):
        told = document.get(name)
        if isinstance(parts, list) and isinstance(told, int) and told != len(parts):
            found.append(f"{owner}: field {name!r} says {told}, but there are {len(parts)}")
    return found


def _nowhere(
    cells: Sequence[Mapping[str, Any]], wanted: Iterable[str], account: Account, *, needs_licence: bool
) -> list[str]:
    """Fields, and parts of fields, that were asked for and that no row has."""
    found = []
    for name in wanted:
        field_name, count = root(name), len(cells)
        absent = account.absent[field_name] == count
        if name == LICENCE:
            if absent and needs_licence:
                found.append(
                    f"none of {count} rows states its licence: rows under BY-NC cannot be left out (include_gnome: true keeps all)"
                )
            continue
        known = document_fields()[field_name][1]
        unfilled = "." in name and not known and all(row.get(_service_name(name)) is None for row in cells)
        if absent or (unfilled and account.absent[field_name] + account.null[field_name] < count):
            found.append(f"field {name!r} was asked for and is in none of {count} rows: leave it out of fields")
    return found if cells else []


def _unjudged(documents: Sequence[Mapping[str, Any]], judged: Sequence[str], account: Account) -> list[str]:
    """Rows that lack a field, or a part of a field, by which the query would judge them."""
    found = []
    for name in dict.fromkeys(map(root, judged)):
        if 0 < account.absent[name] < len(documents):
            lacking = canonical_id(next(document[ID] for document in documents if name not in document))
            found.append(
                f"{lacking}: field {name!r}, by which the query judges, is absent, as in {account.absent[name]} rows"
            )
    for column in dict.fromkeys(judged):
        name, part = root(column), column.partition(".")[2]
        without = [row[ID] for row in documents if isinstance(row.get(name), Mapping) and part not in row[name]]
        if part and without:
            told = f"is absent, as in {len(without)} rows"
            found.append(f"{canonical_id(without[0])}: field {column!r}, by which the query judges, {told}")
    return found


def _frame(cells: Sequence[Mapping[str, Any]], wanted: Iterable[str]) -> pd.DataFrame:
    """The columns that were asked for: whole fields with all their parts, single parts alone."""
    import pandas as pd

    filled = sorted({name for row in cells for name, value in row.items() if value is not None})
    keys = {ID: ID, DISPLAY: DISPLAY}
    for name in wanted:
        service = _service_name(name)
        parts = [key for key in filled if key == service or key.startswith(f"{service}.")]
        keys |= {name + key.removeprefix(service): key for key in parts or [service]}
    columns = {name: _series([row.get(key) for row in cells]) for name, key in keys.items()}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(cells)))


def _service_name(column: str) -> str:
    return ".".join([root(column), *column.split(".")[1:]])


def _series(values: list[Any]) -> pd.Series:
    """A column whose missing cells do not change its type."""
    import pandas as pd

    found = {type(value) for value in values if value is not None}
    if found == {bool}:
        return pd.Series(values, dtype="boolean")
    if found == {int}:
        return pd.Series(values, dtype="Int64")
    if found and found <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series(values, dtype=object)
