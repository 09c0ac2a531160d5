"""What a pull from the Materials Project asks for: checked, in one spelling, and in the client's words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from discover.candidates.materials.mp_ids import canonical_id
from discover.candidates.sources.materials_project.rows import ID, LICENCE, document_fields, root
from discover.candidates.sources.query import WORDS, InvalidQuery, check_query, narrows
from discover.errors import Problem, nearest

_SETS = ("elements", "species", "props", "formula", "chemsys", "choice", "ids")
_ALWAYS = ("formula", "deprecated")


@dataclass(frozen=True)
class Request:
    """One query in one spelling. `columns` are what the rows will hold, `roots` the fields that the service is asked for."""

    query: Mapping[str, Any]
    columns: tuple[str, ...]
    roots: tuple[str, ...]
    include_gnome: bool
    endpoint: str

    @classmethod
    def of(cls, query: Mapping[str, Any], columns: Iterable[str], endpoint: str, *, include_gnome: bool) -> Request:
        """InvalidQuery reports every word and field that the installed client does not know, all at once."""
        problems = _word_problems(query) + _column_problems(columns)
        if problems:
            raise InvalidQuery("query", problems)
        spelt = _spelt(query)
        needed = [_answering(word) for word, value in spelt.items() if narrows(word, value)]
        names = sorted({*_ALWAYS, *columns, *needed} - {ID})
        roots = sorted({ID, *map(root, [*names, LICENCE])})
        return cls(spelt, tuple(names), tuple(roots), include_gnome, endpoint)

    @property
    def judged(self) -> tuple[str, ...]:
        """Columns by which the query judges rows."""
        found: list[str] = []
        for word, value in self.query.items():
            if narrows(word, value):
                column = _answering(word)
                found += [f"{column}.{prop}" for prop in value] if word == "has_props" else [column]
        return tuple(found)

    @property
    def hash(self) -> str:
        """Identity of the request: the same question is answered from the same snapshot."""
        body = {
            "query": self.query,
            "columns": self.columns,
            "endpoint": self.endpoint,
            "include_gnome": self.include_gnome,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    @property
    def ids_alone(self) -> frozenset[str]:
        """The ids asked for, if nothing else narrows the query: all of them must come."""
        others = [
            word
            for word, value in self.query.items()
            if word not in ("material_ids", "deprecated") and narrows(word, value)
        ]
        return frozenset() if others else frozenset(self.query.get("material_ids") or ())

    def arguments(self, page_size: int) -> dict[str, Any]:
        """Keyword arguments for the client's `summary.search`. Sorted by id: the service has no order of its own."""
        words = {word: _argument(word, value) for word, value in self.query.items() if narrows(word, value)}
        return words | {
            "fields": list(self.roots),
            "all_fields": False,
            "include_gnome": self.include_gnome,
            "chunk_size": page_size,
            "_sort_fields": ID,
        }


def check_filtered(query: Mapping[str, Any]) -> None:
    """InvalidQuery for unknown words and for a query that would pull the whole database."""
    check_query(query, ())
    if not any(narrows(word, value) for word, value in query.items() if word != "deprecated"):
        hint = "narrow it, for instance with elements: [O] and num_sites: [1, 12]"
        raise InvalidQuery(
            "query", [Problem("an unfiltered pull of the whole database is refused", value=dict(query), way_out=hint)]
        )


def _word_problems(query: Mapping[str, Any]) -> list[Problem]:
    """Words that the installed client does not know, whatever we know."""
    import inspect

    from emmet.core.summary import HasProps
    from mp_api.client.routes.materials.summary import SummaryRester

    known = inspect.signature(SummaryRester.search).parameters
    props = [prop.value for prop in HasProps]
    asked = query.get("has_props") or []
    found = [
        Problem("the installed mp-api does not know this word", column=word, way_out=nearest(word, known))
        for word in query
        if word not in known
    ]
    return found + [
        Problem("no such property", column="has_props", value=prop, way_out=nearest(prop, props))
        for prop in ([asked] if isinstance(asked, str) else asked)
        if prop not in props
    ]


def _column_problems(columns: Iterable[str]) -> list[Problem]:
    fields = document_fields()
    found = []
    for name in columns:
        if root(name) not in fields:
            hint = nearest(name, fields)
            found.append(Problem("the Materials Project has no such field", column="fields", value=name, way_out=hint))
            continue
        part, parts = name.partition(".")[2], fields[root(name)][1]
        if part and parts and part not in parts:
            hint = nearest(part, parts)
            found.append(Problem(f"field {root(name)!r} has no such part", column="fields", value=name, way_out=hint))
    return found


def _answering(word: str) -> str:
    """The column of a summary document that answers a word."""
    return next(column for column in WORDS[word].columns if root(column) in document_fields())


def _spelt(query: Mapping[str, Any]) -> dict[str, Any]:
    """One spelling: no idle words, lists sorted where their order says nothing, ids in digits, current rows only."""
    spelt: dict[str, Any] = {"deprecated": False} if "deprecated" not in query else {}
    for word, value in sorted(query.items()):
        if not narrows(word, value):
            continue
        if WORDS[word].form in _SETS:
            parts = {value} if isinstance(value, str | int) else set(value)
            value = sorted({canonical_id(part) for part in parts} if word == "material_ids" else parts)
        elif isinstance(value, Sequence):
            value = list(value)
        spelt[word] = value
    return spelt


def _argument(word: str, value: Any) -> Any:
    if word == "magnetic_ordering":
        from pymatgen.analysis.magnetism import Ordering

        return Ordering(value[0])
    form = WORDS[word].form
    if form == "choice" and len(value) == 1:
        return value[0]
    if form in ("range", "whole"):
        ends = value if isinstance(value, list) else [value, value]
        return tuple(int(end) if form == "whole" and end is not None else end for end in ends)
    return value
