"""Frames of every kind of column, for hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
NUMBER = st.floats(allow_nan=True, allow_infinity=False)
INTEGER = st.integers(-(2**63), 2**63 - 1)
IDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=8)


def _column(cells: st.SearchStrategy[Any], dtype: Any, n: int) -> st.SearchStrategy[pd.Series]:
    return st.lists(cells, min_size=n, max_size=n).map(lambda values: pd.Series(values, dtype=dtype))


def column(n: int) -> st.SearchStrategy[pd.Series]:
    """One column of n cells, in one of the dtypes that pandas may hold it in."""
    return st.one_of(
        _column(NUMBER, float, n),
        _column(INTEGER, "int64", n),
        _column(st.none() | INTEGER, "Int64", n),
        _column(st.booleans(), bool, n),
        _column(st.none() | st.booleans(), "boolean", n),
        _column(st.none() | TEXT, object, n),
        _column(st.none() | TEXT, "string", n),
        _column(st.sampled_from(["x", "y", "z"]), "category", n),
        _column(st.none() | st.lists(TEXT, max_size=3), object, n),
        _column(st.none() | st.lists(NUMBER, max_size=3), object, n),
        _column(st.none() | st.lists(INTEGER, max_size=3), object, n),
    )


@st.composite
def frames(draw: st.DrawFn, min_rows: int = 0) -> pd.DataFrame:
    """A frame with unique text ids under 'id' and up to four columns of any kind."""
    ids = draw(st.lists(IDS, min_size=min_rows, max_size=6, unique=True))
    names = draw(st.lists(st.sampled_from("abcdef"), max_size=4, unique=True))
    return pd.DataFrame({"id": pd.Series(ids, dtype=object), **{name: draw(column(len(ids))) for name in names}})


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows and columns in another order."""
    generator = np.random.default_rng(seed)
    columns = [frame.columns[i] for i in generator.permutation(len(frame.columns))]
    return frame.iloc[generator.permutation(len(frame))][columns]
