"""Features that are columns as they stand: numbers, and names turned into numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from discover.descriptors import decorrelated
from discover.errors import InvalidInput, Problem, nearest
from discover.values import BlockKind, FloatArray

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 50


@dataclass(frozen=True)
class Numeric:
    """Numeric columns as themselves, unscaled."""

    kind: ClassVar[BlockKind] = "numbers"
    columns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return self.columns

    @property
    def requires(self) -> tuple[str, ...]:
        """The columns."""
        return self.columns

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return "numeric 1"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names every cell that is not a finite number."""
        table = np.empty((len(rows), len(self.columns)))
        problems: list[Problem] = []
        for place, name in enumerate(self.columns):
            table[:, place], found = _finite(rows[name], name)
            problems += found
        if problems:
            raise InvalidInput("numeric features", problems[:_SHOWN])
        return table


@dataclass(frozen=True)
class OneHot:
    """One column of 0 and 1 for each category: `solvent=DMF`. The categories are fixed, those of the whole pool."""

    kind: ClassVar[BlockKind] = "categories"
    column: str
    categories: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """`column=category`."""
        return tuple(f"{self.column}={category}" for category in self.categories)

    @property
    def requires(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return "one-hot 1"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names rows with a category that is not among those of the pool."""
        table = np.zeros((len(rows), len(self.categories)))
        table[np.arange(len(rows)), places(rows, self.column, self.categories)] = 1.0
        return table


@dataclass(frozen=True)
class Described:
    """A column of categories as their descriptors: `solvent:polarity`. values: [categories, descriptors], as they were given."""

    kind: ClassVar[BlockKind] = "descriptors"
    column: str
    categories: tuple[str, ...]
    descriptors: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, column: str, table: Mapping[str, Mapping[str, float]]) -> Described:
        """From {category: {descriptor: number}}, without descriptors that are the same for all categories or say nearly the same
        as one before them by name (`discover.descriptors`). InvalidInput if not every category has every descriptor.
        """
        categories = tuple(sorted(table))
        descriptors = sorted({name for category in categories for name in table[category]})
        problems = [
            Problem(f"the category has no descriptor {name!r}", column=column, value=category)
            for category in categories
            for name in descriptors
            if name not in table[category]
        ]
        if problems:
            raise InvalidInput("descriptors", problems)
        told = np.array([[float(table[category][name]) for name in descriptors] for category in categories])
        kept = decorrelated(told.reshape(len(categories), len(descriptors)))[0].tolist()
        values = tuple(tuple(row) for row in told[:, kept].tolist())
        return cls(column, categories, tuple(descriptors[place] for place in kept), values)

    @property
    def names(self) -> tuple[str, ...]:
        """`column:descriptor`."""
        return tuple(f"{self.column}:{name}" for name in self.descriptors)

    @property
    def requires(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on besides the rows."""
        return f"described 1 {self.categories} {self.values}"

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d]. InvalidInput names rows with a category that is not described."""
        table: FloatArray = np.array(self.values, dtype=np.float64).reshape(len(self.categories), len(self.descriptors))
        return table[places(rows, self.column, self.categories)]


def categories_of(cells: pd.Series) -> tuple[str, ...]:
    """The categories in a column, as text, in alphabetical order."""
    return tuple(sorted({str(cell) for cell in cells.unique()}))


def _finite(column: pd.Series, name: str) -> tuple[FloatArray, list[Problem]]:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        numbers: FloatArray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        kept = [x if isinstance(x, (int, float, np.number, np.bool_)) else np.nan for x in column]
        numbers = np.array(kept, dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    problems = [
        Problem("not a finite number", row=column.index[i], column=name, value=column.iloc[i]) for i in wrong[:_SHOWN]
    ]
    return numbers, problems


def places(rows: pd.DataFrame, column: str, categories: Sequence[str]) -> np.ndarray:
    """Where each cell of a column stands among the categories, [n]. InvalidInput names rows with another one."""
    place = {category: i for i, category in enumerate(categories)}
    cells = [str(cell) for cell in rows[column]]
    unknown = [i for i, cell in enumerate(cells) if cell not in place]
    if unknown:
        problems = [
            Problem(
                "unknown category",
                row=rows.index[i],
                column=column,
                value=cells[i],
                way_out=nearest(cells[i], categories),
            )
            for i in unknown[:_SHOWN]
        ]
        raise InvalidInput("categorical features", problems)
    return np.array([place[cell] for cell in cells], dtype=np.int64)
