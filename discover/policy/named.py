"""Columns of candidates that a policy reads as they stand: names of conditions and of substrates, and not numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from discover.errors import InvalidInput, Problem, nearest

if TYPE_CHECKING:
    from discover.candidates.space.points import Pool


def read_by(policy: Any) -> tuple[str, ...]:
    """The columns that a policy names in its attribute `columns`; () for one that has none."""
    return tuple(dict.fromkeys(str(name) for name in getattr(policy, "columns", ())))


def check_named(policy: Any, pool: Pool) -> None:
    """InvalidInput with every column that a policy reads and the candidates lack."""
    problems = [
        Problem("no such column in the candidates", column=name, way_out=nearest(name, pool.columns))
        for name in read_by(policy)
        if name not in pool.columns
    ]
    if problems:
        raise InvalidInput("policy", problems)


def named_columns(policy: Any, pool: Pool) -> Mapping[str, NDArray[np.str_]]:
    """What a policy reads, by column: [N] texts in the order of the pool. InvalidInput where the candidates lack a column."""
    names = read_by(policy)
    if not names:
        return {}
    check_named(policy, pool)
    frame = pool.frame(columns=list(names))
    return {name: frame[name].astype(str).to_numpy(dtype=str) for name in names}
