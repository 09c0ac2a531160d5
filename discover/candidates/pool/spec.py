"""Which columns of a pool are what: a value that goes into the store beside the pool's hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from discover.errors import InvalidInput, Problem

Descriptors = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class PoolSpec:
    """Roles of a pool's columns.

    id: the column of ids. columns: numeric features, as they are. categorical: features that are names.
    descriptors: {column: {category: {descriptor: number}}} for categories that are described rather than one-hot.
    made_from: {featurizer kind: column}, such as {"composition": "formula", "structure": "structure"}.
    substances: {column: {category: SMILES}} for categories that are molecules, or {column: column of their SMILES}; an empty
    SMILES is no molecule.
    """

    id: str
    columns: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    descriptors: Descriptors = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)
    substances: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)

    @property
    def structure(self) -> str | None:
        """The column of structures that features are made from, or None."""
        return self.made_from.get("structure")

    @property
    def used(self) -> tuple[str, ...]:
        """All columns that features are made from, each once."""
        return tuple(dict.fromkeys([*self.columns, *self.categorical, *self.made_from.values(), *self.smiles]))

    @property
    def smiles(self) -> tuple[str, ...]:
        """Columns that hold the SMILES of another column's categories; their cells may be empty."""
        return tuple(told for told in self.substances.values() if isinstance(told, str))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` reads it back."""
        described = {c: {k: dict(v) for k, v in categories.items()} for c, categories in self.descriptors.items()}
        body = {
            "id": self.id,
            "columns": list(self.columns),
            "categorical": list(self.categorical),
            "descriptors": described,
            "made_from": dict(self.made_from),
        }
        if self.substances:
            body["substances"] = {
                c: told if isinstance(told, str) else dict(told) for c, told in self.substances.items()
            }
        return body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> PoolSpec:
        """Inverse of `to_dict`."""
        return cls(
            body["id"],
            tuple(body.get("columns", ())),
            tuple(body.get("categorical", ())),
            body.get("descriptors", {}),
            body.get("made_from", {}),
            body.get("substances", {}),
        )

    def problems(self) -> list[Problem]:
        """What contradicts itself, whatever the rows are."""
        named = [*self.columns, *self.categorical, *dict.fromkeys(self.made_from.values())]
        twice = sorted({name for name in named if named.count(name) > 1})
        found = [Problem("named for two features", column=name, way_out="name it once") for name in twice]
        if self.id in named:
            found.append(Problem("the id is not a feature", column=self.id))
        found += [
            Problem("descriptors are for categorical columns", column=name, way_out="name it in categorical= too")
            for name in self.descriptors
            if name not in self.categorical
        ]
        found += [
            Problem("substances are for categorical columns", column=name, way_out="name it in categorical= too")
            for name in self.substances
            if name not in self.categorical
        ]
        return found


def read_descriptors(descriptors: Mapping[str, Any] | None) -> Descriptors:
    """Descriptors from frames (index, or the column of the same name: the category) or nested mappings.

    InvalidInput collects categories that stand twice and cells that are not finite numbers.
    """
    problems: list[Problem] = []
    read = {column: _described(column, given, problems) for column, given in (descriptors or {}).items()}
    if problems:
        raise InvalidInput("descriptors", problems)
    return read


def _described(column: str, given: Any, problems: list[Problem]) -> dict[str, dict[str, float]]:
    frame = given if isinstance(given, pd.DataFrame) else pd.DataFrame.from_dict(given, orient="index")
    if column in frame.columns:
        frame = frame.set_index(column)
    categories = [str(category) for category in frame.index]
    doubled = sorted({c for c in categories if categories.count(c) > 1})
    problems += [Problem("this category is described twice", column=column, value=c) for c in doubled]
    if not len(frame.columns) or not len(frame):
        problems.append(Problem("nothing is described", column=column))
        return {}
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    for row, place in np.argwhere(~np.isfinite(values)):
        what = f"descriptor {str(frame.columns[place])!r} is not a finite number"
        problems.append(Problem(what, row=categories[row], column=column, value=frame.iloc[row, place]))
    names: Sequence[str] = [str(name) for name in frame.columns]
    return {c: dict(zip(names, map(float, row), strict=True)) for c, row in zip(categories, values, strict=True)}
