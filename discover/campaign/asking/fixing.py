"""What is given at `ask`: this substrate, this reactor. A batch is then chosen among the candidates that have these values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from discover.candidates.pool.pool import CandidatePool
from discover.candidates.space.points import Points, Pool
from discover.errors import InvalidInput, Problem, nearest
from discover.store.canonical import plain
from discover.values import BoolArray


def fixed_values(fixed: Mapping[str, Any] | None, pool: Pool) -> dict[str, Any]:
    """The values that a batch is to have, as plain JSON in their one form. InvalidInput for what no candidate has."""
    if not fixed:
        return {}
    if not isinstance(fixed, Mapping):
        hint = "write fixed={'base': 'KOH'}"
        raise InvalidInput(
            "fixed values", [Problem("must be a mapping of columns to values", value=fixed, way_out=hint)]
        )
    if isinstance(pool, Points):
        return dict(sorted(pool.space.region(fixed).fixed.items()))
    given = {str(column): plain(value) for column, value in sorted(fixed.items())}
    others_than(given, pool)
    return given


def others_than(fixed: Mapping[str, Any], pool: CandidatePool) -> BoolArray:
    """Candidates [N] that do not have these values. InvalidInput where none has them."""
    problems = [
        Problem("no such column in the candidates", column=column, value=value, way_out=nearest(column, pool.columns))
        for column, value in fixed.items()
        if column not in pool.columns
    ]
    if not problems:
        frame = pool.frame(columns=list(fixed))
        others = np.zeros(len(pool), dtype=bool)
        for column, value in fixed.items():
            here = ~(frame[column] == value).fillna(False).to_numpy(dtype=bool)
            if here.all():
                hint = nearest(str(value), sorted(set(frame[column].astype(str)))[:1000])[:300]
                problems.append(Problem("no candidate has this value", column=column, value=value, way_out=hint))
            others |= here
        if not problems and others.all():
            problems.append(Problem("no candidate has all of these values", value=dict(fixed)))
    if problems:
        raise InvalidInput("fixed values", problems)
    return others
