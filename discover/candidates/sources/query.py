"""The words of `query:` in a campaign file, and what they mean for rows on this machine.

They are the search words of the Materials Project's client (`band_gap: [0.5, null]`, `num_sites: [1, 12]`,
`elements: [O]`, ...). A row is judged by the column that a word speaks of, so that the same query filters a shipped
snapshot, a table, and once more what a service has already filtered. Sources with columns of their own also accept a
column's own name: with `[low, high]` (null is an open end), a list of values, or one value.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from discover.candidates.materials.formula import (
    ELEMENTS,
    SERVED,
    SYMBOLS,
    WILD,
    chemsys_matches,
    formula_matches,
    parse_formula,
)
from discover.errors import InvalidInput, Problem, SourceQueryError, nearest
from discover.values import BoolArray

if TYPE_CHECKING:
    import pandas as pd

Form = Literal["range", "whole", "flag", "elements", "species", "formula", "chemsys", "ids", "props", "choice"]

CRYSTAL_SYSTEMS = ("Triclinic", "Monoclinic", "Orthorhombic", "Tetragonal", "Trigonal", "Hexagonal", "Cubic")
_ID = re.compile(r"[a-z]+-([a-z]+|\d+)")
ORDERINGS = ("FM", "AFM", "FiM", "NM", "Unknown")


class InvalidQuery(InvalidInput, SourceQueryError):
    """A query that no service needs to be asked about; `problems` holds every reason."""


@dataclass(frozen=True)
class Word:
    """One search word: the form of its value, the columns that answer it (the first present one counts), choices."""

    form: Form
    columns: tuple[str, ...]
    choices: tuple[Any, ...] = ()


def _words() -> dict[str, Word]:
    plain = (
        "band_gap density e_electronic e_ionic e_total efermi energy_above_hull n shape_factor total_magnetization "
        "total_magnetization_normalized_formula_units total_magnetization_normalized_vol volume weighted_surface_energy "
        "weighted_work_function"
    )
    renamed = {
        "elastic_anisotropy": "universal_anisotropy",
        "equilibrium_reaction_energy": "equilibrium_reaction_energy_per_atom",
        "formation_energy": "formation_energy_per_atom",
        "piezoelectric_modulus": "e_ij_max",
        "poisson_ratio": "homogeneous_poisson",
        "surface_energy_anisotropy": "surface_anisotropy",
        "total_energy": "energy_per_atom",
        "uncorrected_energy": "uncorrected_energy_per_atom",
    }
    moduli = {
        f"{short}_{kind}": f"{name}.{kind}"
        for short, name in (("k", "bulk_modulus"), ("g", "shear_modulus"))
        for kind in ("reuss", "voigt", "vrh")
    }
    words = {name: Word("range", (name,)) for name in plain.split()}
    words |= {name: Word("range", (name, column)) for name, column in (renamed | moduli).items()}
    words |= {
        name: Word("whole", (name, column))
        for name, column in {"num_elements": "nelements", "num_sites": "nsites"}.items()
    }
    words |= {name: Word("whole", (name,)) for name in ("num_magnetic_sites", "num_unique_magnetic_sites")}
    flags = ("deprecated", "has_reconstructed", "is_gap_direct", "is_metal", "is_stable", "theoretical")
    words |= {name: Word("flag", (name,)) for name in flags}
    return words | {
        "elements": Word("elements", ("elements", "chemsys", "formula", "formula_pretty")),
        "exclude_elements": Word("elements", ("elements", "chemsys", "formula", "formula_pretty")),
        "chemsys": Word("chemsys", ("chemsys", "elements", "formula", "formula_pretty")),
        "formula": Word("formula", ("formula", "formula_pretty")),
        "possible_species": Word("species", ("possible_species",)),
        "has_props": Word("props", ("has_props",)),
        "material_ids": Word("ids", ("material_id",)),
        "crystal_system": Word("choice", ("crystal_system", "symmetry.crystal_system"), CRYSTAL_SYSTEMS),
        "spacegroup_number": Word("choice", ("spacegroup_number", "symmetry.number"), tuple(range(1, 231))),
        "spacegroup_symbol": Word("choice", ("spacegroup_symbol", "symmetry.symbol")),
        "magnetic_ordering": Word("choice", ("magnetic_ordering", "ordering"), ORDERINGS),
    }


WORDS: Mapping[str, Word] = _words()


def narrows(word: str, value: Any) -> bool:
    """Whether a condition can leave a row out at all: not null, not an empty list, not open at both ends."""
    if value is None or (isinstance(value, Sequence) and not isinstance(value, str) and not len(value)):
        return False
    return not (isinstance(value, Sequence) and not isinstance(value, str) and all(part is None for part in value))


def check_query(query: Mapping[str, Any], columns: Sequence[str] | None = None) -> None:
    """Refuse a query with every problem at once (InvalidQuery).

    columns: names that may be used besides the search words. None leaves unknown words to be judged when the columns
    are known; () accepts search words only.
    """
    problems: list[Problem] = []
    for word, value in query.items():
        if word in WORDS:
            problems += _value_problems(word, value)
        elif columns is not None and word not in columns:
            known = [*WORDS, *columns]
            problems.append(Problem("unknown query word", column=word, value=value, way_out=_meant(word, known)))
    problems += _contradictions(query)
    if problems:
        raise InvalidQuery("query", problems)


def _meant(word: object, known: Sequence[str]) -> str:
    """The nearest word. A document's own column name ('nsites') leads to the word that asks for it ('num_sites')."""
    for name, entry in WORDS.items():
        if word in entry.columns:
            return f"did you mean {name!r}?"
    text = str(word)
    close = difflib.get_close_matches(text.lower(), known, n=1)
    return f"did you mean {close[0]!r}?" if close else nearest(text, known)


def _contradictions(query: Mapping[str, Any]) -> list[Problem]:
    wanted, refused = (_listed(query.get(word) or []) for word in ("elements", "exclude_elements"))
    both = [part for part in wanted if part in refused]
    return [
        Problem("asked for in 'elements' and left out in 'exclude_elements'", column="exclude_elements", value=part)
        for part in both
    ]


def _value_problems(word: str, value: Any) -> list[Problem]:
    if not narrows(word, value):
        return []
    entry = WORDS[word]
    if entry.form in ("range", "whole"):
        return _range_problems(word, value, whole=entry.form == "whole")
    if entry.form == "flag":
        return [] if isinstance(value, bool) else [Problem("must be true or false", column=word, value=value)]
    check: Callable[[Any], str | None] = {
        "elements": _element_problem,
        "chemsys": _chemsys_problem,
        "formula": _formula_problem,
        "ids": _id_problem,
    }.get(entry.form, _text_problem)
    if entry.choices:
        choices = entry.choices
        check = lambda part: None if part in choices and not isinstance(part, bool) else _choice_problem(part, choices)  # noqa: E731
    found = ((part, check(part)) for part in _listed(value))
    return [Problem("not a value of this word", column=word, value=part, way_out=hint) for part, hint in found if hint]


def _range_problems(word: str, value: Any, *, whole: bool) -> list[Problem]:
    shape = f"give [low, high], null for an open end, or one {'whole ' if whole else ''}number"
    ends = _listed(value)
    numbers = [end for end in ends if end is not None]
    if isinstance(value, str) or len(ends) != (2 if isinstance(value, Sequence) else 1):
        return [Problem("not a range", column=word, value=value, way_out=shape)]
    for end in numbers:
        if (
            isinstance(end, bool)
            or not isinstance(end, int | float)
            or not math.isfinite(end)
            or (whole and end != int(end))
        ):
            return [Problem("not a range", column=word, value=value, way_out=shape)]
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        return [Problem("the low end is above the high end", column=word, value=value, way_out=f"{numbers[::-1]}?")]
    return []


def _element_problem(part: Any) -> str | None:
    if isinstance(part, bool):
        return "a bare NO or No is read as false: put the symbol in quotes"
    if isinstance(part, str) and part in ELEMENTS:
        return None
    text = str(part).capitalize()
    return f"did you mean {text!r}?" if text in ELEMENTS else nearest(str(part), SYMBOLS)


def _chemsys_problem(part: Any) -> str | None:
    if not isinstance(part, str):
        return "give a text such as 'Li-Fe-O' or 'Si-*'"
    hints = (_element_problem(symbol) for symbol in part.split("-") if symbol != WILD)
    return next((hint for hint in hints if hint), None)


def _formula_problem(part: Any) -> str | None:
    try:
        parse_formula(part)
    except (ValueError, TypeError):
        return "give a formula such as 'Fe2O3', '*2O3' or 'ABO3'"
    return None


def _id_problem(part: Any) -> str | None:
    spelt = isinstance(part, str) and _ID.fullmatch(part)
    return None if spelt else "give an id such as 'mp-149' or 'mp-aaaaaaft'"


def _text_problem(part: Any) -> str | None:
    return None if isinstance(part, str) and part else "give a text or a list of texts"


def _choice_problem(part: Any, choices: Sequence[Any]) -> str:
    if isinstance(choices[0], int):
        return f"give a whole number from {choices[0]} to {choices[-1]}"
    text = str(part).capitalize()
    return f"did you mean {text!r}?" if text in choices else nearest(str(part), choices)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str) else [value]


def matches(frame: pd.DataFrame, query: Mapping[str, Any]) -> BoolArray:
    """Which rows of `frame` satisfy every condition: bool [n]. A missing value satisfies none.

    InvalidQuery when a word or a column is unknown, or when the frame lacks the column that a word speaks of.
    """
    names = [str(name) for name in frame.columns]
    check_query(query, names)
    keep = np.ones(len(frame), dtype=bool)
    problems = []
    for word, value in query.items():
        if not narrows(word, value):
            continue
        if word == "has_props":
            keep &= _has_props(frame, _listed(value))
            continue
        column = _column(word, names)
        if column is None:
            columns = " or ".join(map(repr, WORDS[word].columns))
            problems.append(
                Problem(
                    "these rows cannot be judged by it",
                    column=word,
                    value=value,
                    way_out=f"it needs a column {columns}",
                )
            )
            continue
        keep &= _judge(frame[column], word, value)
    if problems:
        raise InvalidQuery("query", problems)
    return keep


def unreadable(frame: pd.DataFrame, query: Mapping[str, Any]) -> list[tuple[int, str, Any]]:
    """Cells that are there and that `matches` cannot read as what a word speaks of: place of the row, column, cell."""
    names = [str(name) for name in frame.columns]
    found: dict[tuple[int, str], Any] = {}
    for word, value in query.items():
        if word not in WORDS or not narrows(word, value):
            continue
        props = [f"has_props.{prop}" for prop in _listed(value)] if word == "has_props" else [_column(word, names)]
        for column in props:
            if column is None or column not in names:
                continue
            for place, cell in enumerate(frame[column]):
                if not _missing(cell) and not _reads(WORDS[word], cell):
                    found[place, column] = cell
    return [(place, column, cell) for (place, column), cell in sorted(found.items(), key=lambda pair: pair[0])]


def _reads(word: Word, cell: Any) -> bool:
    """Whether a cell is a value of the word's form."""
    is_flag = isinstance(cell, bool | np.bool_)
    try:
        if word.form in ("range", "whole"):
            return isinstance(cell, int | float | np.number) and not is_flag and math.isfinite(cell)
        if word.form in ("flag", "props"):
            return is_flag
        if word.form in ("elements", "chemsys"):
            return bool(symbols(cell)) and symbols(cell) <= SERVED
        if word.form == "formula":
            return {symbol for symbol, _ in parse_formula(cell)} <= SERVED
        if word.form == "species":
            return all(_texts(cell))
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return cell in word.choices if word.choices else isinstance(cell, str)


def _column(word: str, names: Sequence[str]) -> str | None:
    columns = WORDS[word].columns if word in WORDS else (word,)
    return next((column for column in columns if column in names), None)


def _judge(cells: pd.Series, word: str, value: Any) -> BoolArray:
    form = WORDS[word].form if word in WORDS else None
    if form in ("range", "whole"):
        return _in_range(cells, value)
    if form in ("elements", "species"):
        wanted = frozenset(_listed(value))
        read = symbols if form == "elements" else _texts
        if word == "exclude_elements":
            return _each(cells, lambda cell: wanted.isdisjoint(read(cell)))
        return _each(cells, lambda cell: wanted <= read(cell))
    if form == "chemsys":
        return _each(cells, lambda cell: any(chemsys_matches(part, symbols(cell)) for part in _listed(value)))
    if form == "formula":
        return _each(cells, lambda cell: any(formula_matches(part, cell) for part in _listed(value)))
    if form == "ids":
        from discover.candidates.materials.mp_ids import canonical_id

        ids = {canonical_id(part) for part in _listed(value)}
        return _each(cells, lambda cell: canonical_id(cell) in ids)
    if form is None and _is_range(cells, value):
        return _in_range(cells, value)
    wanted_values = _listed(value)
    return _each(cells, lambda cell: any(_same(cell, part) for part in wanted_values))


def _same(cell: Any, part: Any) -> bool:
    """Equal, and true is not 1."""
    return bool(isinstance(cell, bool | np.bool_) == isinstance(part, bool) and cell == part)


def _each(cells: pd.Series, test: Callable[[Any], bool]) -> BoolArray:
    return np.fromiter((not _missing(cell) and test(cell) for cell in cells), dtype=bool, count=len(cells))


def _missing(cell: Any) -> bool:
    import pandas as pd

    return cell is None or cell is pd.NA or (isinstance(cell, float) and math.isnan(cell))


def _is_range(cells: pd.Series, value: Any) -> bool:
    import pandas as pd

    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    if not pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return False
    return all(end is None or isinstance(end, int | float) for end in value)


def _in_range(cells: pd.Series, value: Any) -> BoolArray:
    import pandas as pd

    low, high = value if isinstance(value, Sequence) else (value, value)
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    keep = ~np.isnan(numbers)
    if low is not None:
        keep &= numbers >= low
    if high is not None:
        keep &= numbers <= high
    return keep


def _has_props(frame: pd.DataFrame, props: Sequence[str]) -> BoolArray:
    columns = [f"has_props.{prop}" for prop in props]
    missing = [
        Problem("these rows cannot be judged by it", column="has_props", value=c, way_out=f"it needs a column {c!r}")
        for c in columns
        if c not in frame
    ]
    if missing:
        raise InvalidQuery("query", missing)
    keep = np.ones(len(frame), dtype=bool)
    for column in columns:
        keep &= _each(frame[column], bool)
    return keep


def _texts(cell: Any) -> frozenset[str]:
    if isinstance(cell, str):
        return frozenset(json.loads(cell)) if cell.startswith("[") else frozenset(cell.split())
    return frozenset(map(str, cell))


def symbols(cell: Any) -> frozenset[str]:
    """Elements of a cell: a list, its JSON text, a chemical system such as `O-Si`, or a formula."""
    if not isinstance(cell, str):
        return frozenset(map(str, cell))
    if cell.startswith("["):
        return frozenset(json.loads(cell))
    if "-" in cell:
        return frozenset(cell.split("-"))
    return frozenset(symbol for symbol, _ in parse_formula(cell))
