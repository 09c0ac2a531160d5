"""A campaign's candidates after its source was pulled again: what is new comes in, and nothing that was tried is lost.

The rows of the new pull take the place of those of the same id. Beside them stay the rows that the source no longer has,
and, under a name of its own, the former version of each row that changed in a column that counts after it had been tried:
what was measured of it goes on to train with the row that was measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from discover.candidates.canonical import kind_of, sorted_by_id
from discover.candidates.difference import Difference, differ
from discover.candidates.pool import CandidatePool
from discover.errors import InvalidInput, Problem

_WIDER = {
    frozenset({"integer", "number"}): "number",
    frozenset({"integers", "numbers"}): "numbers",
}
_PREFIXES = (8, 16, 32)


@dataclass(frozen=True)
class Superseded:
    """The former version of a row that was tried: its content hash, and the id under which it is kept."""

    version: str
    kept_as: str


@dataclass(frozen=True)
class Union:
    """All rows of a campaign's candidates as a canonical table, and what came of the new pull.

    counting: ids of the rows that changed in a column that counts, tried or not.
    """

    table: pa.Table
    structure: str | None
    difference: Difference
    superseded: Mapping[str, Superseded]
    counting: frozenset[str]


def union(
    old: CandidatePool,
    new: CandidatePool,
    *,
    gone: Collection[str] = (),
    kept: Collection[str] = (),
    tried: Collection[str] = (),
    counts: Collection[str] = (),
) -> Union:
    """The candidates of a campaign after a new pull. InvalidInput, with every reason, where the two do not fit together.

    old: all rows so far. gone: those among them that the source had already withdrawn. kept: former versions. tried:
    candidates of which something was proposed or found out. counts: columns that features are made from or that the
    experiment reads; a change in another one replaces the row.
    """
    _check(old, new, kept, counts)
    before, after = old.table(), new.table()
    live = np.array([i for i in old.ids.tolist() if i not in kept], dtype=np.str_)
    common = np.intersect1d(live, new.ids)
    changed, counting = _changes(old, new, before, after, common, counts)
    superseded = _superseded(old, new, [i for i in counting if i in tried], kept)
    lost = np.setdiff1d(live, new.ids)
    stay = sorted({*lost.tolist(), *kept})
    rest = before.take(pa.array(old.rows(stay)))
    versions = _renamed(before.take(pa.array(old.rows(list(superseded)))), old.id, superseded, kept)
    table = sorted_by_id(_joined([after, rest, versions], old, new), old.id)
    structure = next((name for name in (old.structure, new.structure) if name in table.column_names), None)
    still = before.take(pa.array(old.rows(common)))
    difference = Difference(
        added=tuple(np.setdiff1d(new.ids, old.ids).tolist()),
        removed=tuple(i for i in lost.tolist() if i not in gone),
        changed=tuple(changed),
        columns_added=tuple(c for c in after.column_names if c not in before.column_names),
        columns_removed=tuple(
            c for c in before.column_names if c not in after.column_names and still[c].null_count < len(still)
        ),
        returned=tuple(i for i in new.ids.tolist() if i in gone),
        superseded=tuple(superseded),
    )
    return Union(table, structure, difference, superseded, frozenset(counting))


def _check(old: CandidatePool, new: CandidatePool, kept: Collection[str], counts: Collection[str]) -> None:
    have = {new.id, *new.columns, *([new.structure] if new.structure else [])}
    problems = []
    if new.id != old.id:
        problems.append(Problem("the candidates' id is another column now", column=new.id, way_out=f"it was {old.id}"))
    problems += [
        Problem("the candidates no longer have a column that features or the experiment read", column=column)
        for column in dict.fromkeys([*old.spec.used, *counts])
        if column not in have and (column in old.columns or column == old.structure)
    ]
    if old.structure and new.structure and old.structure != new.structure:
        problems.append(Problem("the structures are in another column now", column=new.structure))
    clash = sorted(set(kept).intersection(new.ids.tolist()))
    problems += [
        Problem("a new candidate has the id under which the former version of another one is kept", value=i)
        for i in clash
    ]
    if problems:
        raise InvalidInput("new candidates", problems)


def _changes(
    old: CandidatePool,
    new: CandidatePool,
    before: pa.Table,
    after: pa.Table,
    common: NDArray[np.str_],
    counts: Collection[str],
) -> tuple[list[str], list[str]]:
    """Ids of common rows that differ in any column that both have, and in one that counts."""
    at_old, at_new = pa.array(old.rows(common)), pa.array(new.rows(common))
    anywhere, counting = np.zeros(len(common), dtype=bool), np.zeros(len(common), dtype=bool)
    for name in before.column_names:
        if name == old.id or name not in after.column_names:
            continue
        found = differ(before[name].combine_chunks().take(at_old), after[name].combine_chunks().take(at_new))
        anywhere |= found
        if name in old.spec.used or name in counts:
            counting |= found
    return common[anywhere].tolist(), common[counting].tolist()


def _superseded(old: CandidatePool, new: CandidatePool, ids: list[str], kept: Collection[str]) -> dict[str, Superseded]:
    """The versions that are to be kept, each under a free id; one that is kept already is found again."""
    found: dict[str, Superseded] = {}
    for candidate in old.candidates(old.rows(ids)):
        for length in _PREFIXES:
            name = f"{candidate.id}@{candidate.version[:length]}"
            same = name in kept and _content(old, name) == {**candidate.values, old.id: name}
            if same or (name not in old and name not in new):
                found[candidate.id] = Superseded(candidate.version, name)
                break
        else:
            raise InvalidInput("new candidates", [Problem("its former version finds no free id", value=candidate.id)])
    return found


def _content(pool: CandidatePool, id: str) -> Mapping[str, Any]:
    return pool.candidate(int(pool.rows([id])[0])).values


def _renamed(table: pa.Table, id: str, superseded: Mapping[str, Superseded], kept: Collection[str]) -> pa.Table:
    """Former versions under their own ids, without those that are kept already."""
    names = [one.kept_as for one in superseded.values()]
    place = table.column_names.index(id)
    renamed = table.set_column(place, id, pa.array(names, type=pa.large_string()))
    return renamed.filter(pa.array([name not in kept for name in names], type=pa.bool_()))


def _joined(parts: list[pa.Table], old: CandidatePool, new: CandidatePool) -> pa.Table:
    """Rows below each other: the new pull's columns, and those in which a row that stays has a value."""
    structure = old.structure or new.structure
    leading, *staying = parts
    kept = {name for part in staying for name in part.column_names if part[name].null_count < len(part)}
    names = sorted({*leading.column_names, *kept} - {old.id, *([structure] if structure else [])})
    problems: list[Problem] = []
    columns = {
        name: _column(name, parts, problems)
        for name in [old.id, *names, *([structure] if structure in {*leading.column_names, *kept} else [])]
        if name is not None
    }
    if problems:
        raise InvalidInput("new candidates", problems)
    return pa.table(columns)


def _column(name: str, parts: list[pa.Table], problems: list[Problem]) -> pa.ChunkedArray:
    """One column of all parts in their common type; missing where a part has none."""
    pieces = [part[name].combine_chunks() if name in part.column_names else None for part in parts]
    there = [piece for piece in pieces if piece is not None and len(piece) > piece.null_count]
    kinds = {kind_of(p): p.type for p in there if _speaks(p)} or {kind_of(p): p.type for p in there}
    wanted = pa.float64() if not kinds else next(iter(kinds.values()))
    if len(kinds) > 1 and frozenset(kinds) in _WIDER:
        wanted = kinds[_WIDER[frozenset(kinds)]]
    try:
        if len(kinds) > 1 and frozenset(kinds) not in _WIDER:
            raise pa.ArrowInvalid(f"the column holds {' and '.join(sorted(kinds))} now, which do not mix")
        return pa.chunked_array(
            [
                pa.nulls(len(part), wanted)
                if piece is None or len(piece) == piece.null_count
                else pc.cast(piece, wanted)
                for part, piece in zip(parts, pieces, strict=True)
            ],
            type=wanted,
        )
    except pa.ArrowInvalid as error:
        hint = "give the column the kind that it had"
        problems.append(Problem(str(error), column=name, way_out=hint))
        return pa.chunked_array([pa.nulls(sum(len(part) for part in parts), pa.float64())])


def _speaks(column: pa.Array) -> bool:
    """Whether a column's values tell its kind: lists that are all empty do not."""
    return not pa.types.is_large_list(column.type) or len(column.flatten()) > 0
