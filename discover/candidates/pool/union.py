"""A campaign's candidates after its source was pulled again: what is new comes in, and nothing that was tried is lost.

The rows of the new pull take the place of those of the same id. Beside them stay the rows that the source no longer has,
and, under a name of its own, the former version of each row that changed in a column that counts after it had been tried:
what was measured of it goes on to train with the row that was measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.rows.canonical import kind_of
from discover.candidates.snapshots.difference import Difference, differ
from discover.errors import InvalidInput, Problem
from discover.values import IntArray

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
    """All rows of a campaign's candidates, and what came of the new pull.

    names: columns of the canonical table, the id first. counting: ids of the rows that changed in a column that counts,
    tried or not.
    """

    names: tuple[str, ...]
    structure: str | None
    difference: Difference
    superseded: Mapping[str, Superseded]
    counting: frozenset[str]
    rows: _Rows

    def __len__(self) -> int:
        return len(self.rows.order)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of all rows, in ascending order of id; made when it is asked for."""
        return _column(name, self.rows, []).take(pa.array(self.rows.order))

    @property
    def table(self) -> pa.Table:
        """All of it, in memory."""
        return pa.table({name: self.column(name) for name in self.names}).combine_chunks()


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
    experiment reads; a change in another one replaces the row. Columns are looked at one after the other.
    """
    _check(old, new, kept, counts)
    live = np.setdiff1d(old.ids, np.array(sorted(kept), dtype=np.str_))
    common = np.intersect1d(live, new.ids)
    changed, counting = _changes(old, new, common, counts)
    superseded = _superseded(old, new, [i for i in counting if i in tried], kept)
    lost = np.setdiff1d(live, new.ids)
    rows = _Rows.of(old, new, sorted({*lost.tolist(), *kept}), superseded, kept)
    names = _joined(rows)
    structure = next((name for name in (old.structure, new.structure) if name in names), None)
    before, after = _names(old), _names(new)
    still = old.rows(common)
    difference = Difference(
        added=tuple(np.setdiff1d(new.ids, old.ids).tolist()),
        removed=tuple(i for i in lost.tolist() if i not in gone),
        changed=tuple(changed),
        columns_added=tuple(c for c in after if c not in before),
        columns_removed=tuple(c for c in before if c not in after and _taken(old, c, still).null_count < len(still)),
        returned=tuple(np.intersect1d(new.ids, np.array(sorted(gone), dtype=np.str_)).tolist()),
        superseded=tuple(superseded),
    )
    return Union(names, structure, difference, superseded, frozenset(counting), rows)


@dataclass(frozen=True)
class _Rows:
    """Which rows make the union: all of the new pull, some of the old ones (stay [s]), and former versions (versions [v], under
    ids of their own). order: where each row of the union stands among these, one below the other.
    """

    old: CandidatePool
    new: CandidatePool
    stay: IntArray
    versions: IntArray
    version_ids: tuple[str, ...]
    order: IntArray

    @classmethod
    def of(
        cls,
        old: CandidatePool,
        new: CandidatePool,
        stay: Sequence[str],
        superseded: Mapping[str, Superseded],
        kept: Collection[str],
    ) -> _Rows:
        """superseded: former versions; those that are kept already are among the rows that stay."""
        fresh = {candidate: one.kept_as for candidate, one in superseded.items() if one.kept_as not in kept}
        ids = pa.chunked_array(
            [pa.array(part, type=pa.large_string()) for part in (new.ids, stay, list(fresh.values()))]
        )
        order = pc.sort_indices(ids).to_numpy().astype(np.int64)
        return cls(old, new, old.rows(stay), old.rows(list(fresh)), tuple(fresh.values()), order)

    def pieces(self, name: str) -> list[pa.Array | None]:
        """One column of the three parts; None where a part has no such column."""
        if name == self.old.id:
            renamed = pa.array(self.version_ids, type=pa.large_string())
            return [self.new.column(name), _taken(self.old, name, self.stay), renamed]
        there = name in _names(self.old)
        found = [_taken(self.old, name, part) if there else None for part in (self.stay, self.versions)]
        return [self.new.column(name) if name in _names(self.new) else None, *found]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows of each part."""
        return len(self.new), len(self.stay), len(self.versions)


def _names(pool: CandidatePool) -> tuple[str, ...]:
    """All columns of a pool: the id, those by name, the structure."""
    return (pool.id, *pool.columns, *([pool.structure] if pool.structure else []))


def _taken(pool: CandidatePool, name: str, rows: IntArray) -> pa.Array:
    return pool.column(name).take(pa.array(rows))


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
    old: CandidatePool, new: CandidatePool, common: NDArray[np.str_], counts: Collection[str]
) -> tuple[list[str], list[str]]:
    """Ids of common rows that differ in any column that both have, and in one that counts."""
    at_old, at_new = old.rows(common), new.rows(common)
    anywhere, counting = np.zeros(len(common), dtype=bool), np.zeros(len(common), dtype=bool)
    for name in _names(old):
        if name == old.id or name not in _names(new):
            continue
        found = differ(_taken(old, name, at_old), _taken(new, name, at_new))
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


def _joined(rows: _Rows) -> tuple[str, ...]:
    """The union's columns: the new pull's, and those in which a row that stays has a value. InvalidInput where kinds do not mix."""
    old, new = rows.old, rows.new
    structure = old.structure or new.structure
    stays = {
        name for name in _names(old) if any(p is not None and p.null_count < len(p) for p in rows.pieces(name)[1:])
    }
    there = {*_names(new), *stays}
    names = sorted(there - {old.id, *([structure] if structure else [])})
    found = (old.id, *names, *([structure] if structure in there and structure is not None else []))
    problems: list[Problem] = []
    for name in found:
        _column(name, rows, problems)
    if problems:
        raise InvalidInput("new candidates", problems)
    return found


def _column(name: str, rows: _Rows, problems: list[Problem]) -> pa.ChunkedArray:
    """One column of the parts of a union in their common type; missing where a part has none."""
    pieces = rows.pieces(name)
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
                pa.nulls(size, wanted) if piece is None or len(piece) == piece.null_count else pc.cast(piece, wanted)
                for size, piece in zip(rows.sizes, pieces, strict=True)
            ],
            type=wanted,
        )
    except pa.ArrowInvalid as error:
        hint = "give the column the kind that it had"
        problems.append(Problem(str(error), column=name, way_out=hint))
        return pa.chunked_array([pa.nulls(sum(rows.sizes), pa.float64())])


def _speaks(column: pa.Array) -> bool:
    """Whether a column's values tell its kind: lists that are all empty do not."""
    return not pa.types.is_large_list(column.type) or len(column.flatten()) > 0
