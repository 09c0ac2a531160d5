"""The points of a search space that a campaign knows: proposed, told or asked about. They stand in for a pool."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.pool.spec import PoolSpec
from discover.candidates.rows.frames import unknown_ids
from discover.candidates.snapshots.place import Place
from discover.candidates.snapshots.snapshot import Snapshot
from discover.candidates.space.space import SearchSpace
from discover.errors import InvalidInput, Problem
from discover.values import Candidate, FeatureTable, IntArray


class Points:
    """Points in ascending order of id, with the properties of a `CandidatePool`; `space` says what else could be tried."""

    structure: str | None = None

    def __init__(self, space: SearchSpace, known: Iterable[Candidate] = ()):
        """known: candidates in any order, each perhaps several times."""
        self.space = space
        by_id = {candidate.id: candidate for candidate in known}
        self._candidates = [by_id[name] for name in sorted(by_id)]
        self._places = {candidate.id: place for place, candidate in enumerate(self._candidates)}

    def grown(self, further: Iterable[Candidate]) -> Points:
        """These points, and after them further ones in the order in which they come; none twice."""
        found = Points(self.space)
        found._candidates, found._places = list(self._candidates), dict(self._places)
        for candidate in further:
            if candidate.id not in found._places:
                found._places[candidate.id] = len(found._candidates)
                found._candidates.append(candidate)
        return found

    @cached_property
    def spec(self) -> PoolSpec:
        """The id's column; what features are made from is the space's own affair."""
        return PoolSpec(self.space.id)

    @property
    def id(self) -> str:
        """Name of the id column."""
        return self.space.id

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """[N] ids, ascending but for those that were added."""
        ids = np.array([candidate.id for candidate in self._candidates], dtype=np.str_)
        ids.flags.writeable = False
        return ids

    @property
    def columns(self) -> tuple[str, ...]:
        """The parameters' columns."""
        return self.space.columns

    @property
    def hash(self) -> str:
        """SHA-256 of the space's declaration."""
        return self.space.hash

    @property
    def provenance(self) -> Mapping[str, Any]:
        """That it is a space."""
        return {"kind": "space", "hash": self.hash}

    def __len__(self) -> int:
        return len(self._candidates)

    def counts(self, blocked: Iterable[str]) -> tuple[int, int]:
        """How many points there are, and how many besides some that are known: exactly where they can be listed, and otherwise
        as if every combination of settings were one."""
        listing = self.space.whole.listing
        names = [name for name in blocked if name in self]
        if listing is None:
            return self.space.count, self.space.count - len(names)
        codes = (self.space.codes_of(one.values) for one in self.candidates(self.rows(names)))
        settable = [row for row in codes if row is not None]
        fine = self.space.feasible(np.array(settable, dtype=np.int64).reshape(-1, listing.shape[1]))
        return len(listing), len(listing) - int(fine.sum())

    def __contains__(self, candidate: object) -> bool:
        return str(candidate) in self._places

    def rows(self, ids: Sequence[str] | NDArray[np.str_] | pd.Series) -> IntArray:
        """Positions [n] of ids, in their order. UnknownCandidate for points that were neither proposed nor told."""
        wanted = [str(i) for i in ids]
        unknown = [i for i in dict.fromkeys(wanted) if i not in self._places]
        if unknown:
            raise unknown_ids("the points that were proposed or told", unknown, self.ids)
        return np.array([self._places[i] for i in wanted], dtype=np.int64)

    def frame(
        self,
        rows: IntArray | Sequence[int] | None = None,
        columns: Sequence[str] | None = None,
        *,
        structure: bool = False,
    ) -> pd.DataFrame:
        """DataFrame [n, 1 + columns], the id first, rows in the order asked for (default: all)."""
        names = list(self.columns) if columns is None else [name for name in columns if name != self.id]
        hint = f"columns: {', '.join(self.columns)}"
        missing = [
            Problem("the space has no such column", column=n, way_out=hint) for n in names if n not in self.columns
        ]
        if missing:
            raise InvalidInput("search space", missing)
        places = range(len(self)) if rows is None else [int(row) for row in rows]
        records = [self._candidates[place].values for place in places]
        frame = pd.DataFrame({name: [record[name] for record in records] for name in [self.id, *names]})
        numeric = {slot.name for slot in self.space.slots if slot.kind == "number"}
        return frame if len(frame) else frame.astype({name: float for name in names if name in numeric})

    def candidate(self, row: int) -> Candidate:
        """The candidate at a position."""
        return self._candidates[row]

    def candidates(self, rows: IntArray | Sequence[int]) -> list[Candidate]:
        """Candidates at some positions."""
        return [self._candidates[int(row)] for row in rows]

    def table(self) -> pa.Table:
        """All rows."""
        return pa.Table.from_pandas(self.frame(), preserve_index=False)

    @cached_property
    def features(self) -> FeatureTable:
        """The points as numbers, [N, d]."""
        numbers = [self.space.numbers_of(candidate.values) for candidate in self._candidates]
        slots = len(self.space.slots)
        return self.space.encoding.table(self.space.encode(np.array(numbers, dtype=np.float64).reshape(-1, slots)))

    def save(self, folder: Place | str) -> Snapshot:
        """The space's declaration as a snapshot."""
        return save_space(self.space, folder)

    def __repr__(self) -> str:
        return f"Points({len(self):,} known of {self.space!r})"


Pool = CandidatePool | Points
"""What a campaign chooses from: a list, or the points that are known of a space."""


def save_space(space: SearchSpace, folder: Any) -> Snapshot:
    """The declaration as a snapshot, one row a parameter or constraint, so that it is kept, checked and carried as a pool is."""
    rows = [(f"parameter {place:03d}", one.kind, _text(one.to_dict())) for place, one in enumerate(space.parameters)]
    rows += [(f"constraint {place:03d}", "constraint", text) for place, text in enumerate(space.constraints)]
    rows += [(f"rule {place:03d}", "batch constraint", text) for place, text in enumerate(space.batch_constraints)]
    frame = pd.DataFrame(rows, columns=["part", "kind", "declaration"])
    return Snapshot.write(frame, folder, id="part", provenance={"kind": "space", "space": space.hash})


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, ensure_ascii=False)
