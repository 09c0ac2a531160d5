"""Canonical rows as frames, and ids that are not among them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from discover.errors import UnknownCandidate
from discover.values import IntArray


def places_of(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> IntArray:
    """Where each of some ids [n] would stand among the ascending `ids` [N >= 1]: [n], within them.

    Longer ones than any of `ids` are looked for by what they begin with: numpy would copy all ids to the greater width.
    """
    short = wanted.astype(ids.dtype) if wanted.dtype.itemsize > ids.dtype.itemsize else wanted
    return np.minimum(np.searchsorted(ids, short), len(ids) - 1).astype(np.int64)


def unknown_ids(where: str, unknown: Sequence[str], ids: NDArray[np.str_]) -> UnknownCandidate:
    """The error for ids that are not among the ascending `ids`: each with the nearest one, sought nearby in large pools."""
    told = []
    for name in unknown[:5]:
        spot = int(np.searchsorted(ids, name))
        choices = ids if len(ids) <= 20_000 else ids[max(0, spot - 100) : spot + 100]
        close = difflib.get_close_matches(name, choices.tolist(), n=1)
        told.append(f"{name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    example = f"; ids look like {str(ids[0])!r}" if len(ids) else ""
    return UnknownCandidate(f"{where} has no {', '.join(told)}{more}{example}")


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A canonical table as a DataFrame that `canonical_table` turns into the same table again."""
    series = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_large_list(column.type) or pa.types.is_list(column.type):
            series[name] = pd.Series(column.to_pylist(), dtype=object)
        elif column.null_count and pa.types.is_integer(column.type):
            series[name] = pd.Series(column.to_pylist(), dtype="Int64")
        elif column.null_count and pa.types.is_boolean(column.type):
            series[name] = pd.Series(column.to_pylist(), dtype="boolean")
        else:
            series[name] = column.to_pandas()
    return pd.DataFrame(series, columns=table.column_names, index=pd.RangeIndex(table.num_rows))
