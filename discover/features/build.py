"""All features of a pool: which featurizers its columns call for, and the table of numbers, cached by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, get_args

import numpy as np

from discover import sizes
from discover.errors import InvalidInput, Problem
from discover.features.encoding import Described, Numeric, OneHot, categories_of
from discover.features.files import ROWS, discarded, finished, room_for, stored
from discover.features.molecule import encoded
from discover.protocols import Featurizer
from discover.registry import load
from discover.values import Block, BlockKind, FeatureTable, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    import pandas as pd

GROUP = "discover.features"
_CHUNK = 256
"""Rows that are read and transformed at once where structures are among them."""
_LOOK = 131_072
"""Rows whose names are looked at together."""


class Spec(Protocol):
    """Roles of columns: what of a pool's specification features are made from."""

    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def categorical(self) -> tuple[str, ...]: ...
    @property
    def descriptors(self) -> Mapping[str, Mapping[str, Mapping[str, float]]]: ...
    @property
    def made_from(self) -> Mapping[str, str]: ...
    @property
    def substances(self) -> Mapping[str, str | Mapping[str, str]]: ...


class Pool(Protocol):
    """Rows in a fixed order, with their roles and a content hash."""

    @property
    def spec(self) -> Any: ...
    @property
    def hash(self) -> str: ...
    @property
    def ids(self) -> Any: ...
    def __len__(self) -> int: ...
    def frame(self, rows: Any = None, columns: Sequence[str] | None = None) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Features:
    """Featurizers side by side; itself a Featurizer. Numbers are as they come: scaling belongs to the surrogate."""

    parts: tuple[Featurizer, ...]

    def __post_init__(self) -> None:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            hint = "rename the pool's column"
            raise InvalidInput(
                "features", [Problem("two features have this name", value=name, way_out=hint) for name in twice]
            )

    @classmethod
    def from_spec(
        cls,
        spec: Spec,
        categories: Mapping[str, Sequence[str]] | None = None,
        molecules: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Features:
        """The featurizers that a specification calls for: numeric columns, categories, then kinds by name.

        categories: {column: all categories of the pool}, for the categorical columns without descriptors. molecules:
        {column: {category: SMILES}} for those whose SMILES stand in another column. A column of substances is encoded in three
        ways, between which the evidence may decide: by its descriptors, its names and its fingerprints. Where descriptors are
        the same for two categories the names stand beside them. UnknownKind for a kind that is not installed, with the
        nearest one.
        """
        told = {c: s for c, s in spec.substances.items() if not isinstance(s, str)} | dict(molecules or {})
        known = {c: sorted(told[c]) for c in told} | dict(categories or {})
        missing = [name for name in spec.categorical if name not in spec.descriptors and name not in known]
        if missing:
            hint = "use Features.of(pool), or give categories={column: [...]}"
            raise InvalidInput(
                "features", [Problem("its categories are not known", column=name, way_out=hint) for name in missing]
            )
        parts: list[Featurizer] = [Numeric(tuple(spec.columns))] if spec.columns else []
        for name in spec.categorical:
            one_hot: list[Featurizer] = [OneHot(name, tuple(known[name]))] if name in known else []
            described = _described(name, spec.descriptors.get(name), named=bool(one_hot))
            if name in told:
                printed, worked_out = encoded(name, told[name])
                parts += [*(described or [worked_out]), *one_hot, printed]
            else:
                parts += described or one_hot
        parts += [load(GROUP, kind)(column=column) for kind, column in spec.made_from.items()]
        return cls(tuple(parts))

    @classmethod
    def of(cls, pool: Pool) -> Features:
        """The features of a pool; one-hot categories are those that stand in it."""
        spec = pool.spec
        plain = [c for c in spec.categorical if c not in spec.descriptors and c not in spec.substances]
        smiles = {c: told for c, told in spec.substances.items() if isinstance(told, str)}
        if not plain and not smiles:
            return cls.from_spec(spec)
        categories: dict[str, set[str]] = {name: set() for name in plain}
        molecules: dict[str, dict[str, str]] = {name: {} for name in smiles}
        for start in range(0, len(pool), _LOOK):
            places = np.arange(start, min(start + _LOOK, len(pool)))
            cells = pool.frame(places, list(dict.fromkeys([*plain, *smiles, *smiles.values()])))
            for name, known in categories.items():
                known.update(categories_of(cells[name]))
            for name, told in smiles.items():
                molecules[name] |= {str(cell): _text(text) for cell, text in zip(cells[name], cells[told])}
        return cls.from_spec(spec, {name: tuple(sorted(known)) for name, known in categories.items()}, molecules)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the d features."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def requires(self) -> tuple[str, ...]:
        """Columns that `transform` reads."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.requires))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Which features each part made, of what kind: the part's own `kind`, else descriptors."""
        found, start = [], 0
        for part in self.parts:
            stop = start + len(part.names)
            if stop > start:
                found.append(Block(str(getattr(part, "column", "numbers")), _kind(part), start, stop))
            start = stop
        return tuple(found)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows: versions, settings and names of the parts."""
        told = [[type(part).__name__, str(getattr(part, "fingerprint", "")), list(part.names)] for part in self.parts]
        return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d], finite. InvalidInput collects what every part says of its cells."""
        absent = [
            Problem("a feature needs this column", column=name) for name in self.requires if name not in rows.columns
        ]
        if absent:
            raise InvalidInput("features", absent)
        tables: list[FloatArray] = [np.empty((len(rows), 0))]
        problems: list[Problem] = []
        for part in self.parts:
            try:
                tables.append(part.transform(rows))
            except InvalidInput as error:
                problems += error.problems
        if problems:
            raise InvalidInput("features", problems)
        return np.ascontiguousarray(np.hstack(tables))


def _text(cell: Any) -> str:
    """A cell as text, "" where it is empty."""
    return "" if cell is None or cell != cell else str(cell).strip()


def _described(column: str, table: Mapping[str, Mapping[str, float]] | None, *, named: bool) -> list[Featurizer]:
    """A column by its descriptors, if it has any; and by its names, where these do not tell all categories apart.

    named: its names are features anyhow.
    """
    if table is None:
        return []
    described = Described.of(column, table)
    told: list[Featurizer] = [described] if described.descriptors else []
    if named or (told and len(set(described.values)) == len(described.categories)):
        return told
    return [*told, OneHot(column, described.categories)]


def _kind(part: Featurizer) -> BlockKind:
    told = getattr(part, "kind", "descriptors")
    kinds: tuple[BlockKind, ...] = get_args(BlockKind)
    return next((kind for kind in kinds if kind == told), "descriptors")


@dataclass(frozen=True)
class Known:
    """Rows whose features are known from another pool: `rows` [m] are positions in the new one, `values` [n, d] those of the
    other by `names`, and `places` [m] where each row stands among these."""

    names: tuple[str, ...]
    rows: IntArray
    values: FloatArray
    places: IntArray


def feature_table(
    pool: Pool, cache: Path | None = None, progress: Progress | None = None, known: Known | None = None
) -> FeatureTable:
    """All features of a pool, [N, d] in its order; made once for the same content, if there is a folder for them.

    progress is called with (rows done, rows). known: rows that need not be made again; they are made all the same where the
    features' names are others now. A cached table that does not match its hash is made again.
    """
    features = Features.of(pool)
    key = hashlib.sha256(f"{pool.hash} {features.fingerprint}".encode()).hexdigest()[:40]
    kept = stored(cache, key, features.names, len(pool)) if cache else None
    if kept is None:
        values = room_for(cache, key, len(pool), len(features.names))
        try:
            _transform(pool, features, progress, known, values)
        except BaseException:
            discarded(cache, key, values)
            raise
        kept = finished(cache, key, features.names, values)
    elif progress:
        progress(len(pool), len(pool))
    return replace(kept, blocks=features.blocks)


def _transform(
    pool: Pool, features: Features, progress: Progress | None, known: Known | None, values: FloatArray
) -> None:
    """Fill the features of a pool, [N, d]."""
    todo = np.arange(len(pool))
    if known is not None and known.names == features.names:
        for start in range(0, len(known.rows), ROWS):
            part = slice(start, start + ROWS)
            values[known.rows[part]] = known.values[known.places[part]]
        todo = np.setdiff1d(todo, known.rows)
    columns = list(features.requires)
    step = ROWS if sizes.large(*values.shape) else max(1, len(pool))
    step = _CHUNK if "structure" in pool.spec.made_from else step
    for start in range(0, len(todo), step):
        places = todo[start : start + step]
        rows = pool.frame(places, columns)
        rows.index = pool.ids[places]
        values[places] = features.transform(rows)
        if progress:
            progress(len(pool) - len(todo) + start + len(places), len(pool))
