"""Pairs of one batch that are nearly the same trial, judged by how near each other candidates of the pool usually are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from discover.report.formulas import formulas_of, reduced_formula
from discover.values import FloatArray

NEIGHBOURS = 400
"""Candidates whose distance to their nearest neighbour sets the scale of 'near'; more would say the same."""
ROWS = 4096
"""Rows of a pool that are looked at together: it may be too large for a copy."""
CONSTANT = 1e-12
"""A feature whose deviation is less than this share of its mean is the same everywhere."""


def near_duplicates(campaign: Any) -> pd.DataFrame:
    """Pairs of one batch that are nearly the same trial: same reduced formula, or close in the space of features.

    Close: nearer to each other than half of all candidates are to their own nearest neighbour, in features that are
    standardised over the pool. distance is in units of that median. Columns: iteration, first, second, formulas, distance, why.
    """
    proposals, key = campaign.proposals, campaign.pool.id
    formulas = formulas_of(campaign, proposals[key])
    reduced = {} if formulas is None else {name: reduced_formula(formula) for name, formula in formulas.items()}
    records = []
    several = proposals[proposals.groupby("iteration")["iteration"].transform("size") > 1]
    scaled = Standardised.over(campaign.features.values) if len(several) else None
    usual = scaled.usual_gap() if scaled is not None else 1.0
    for iteration, batch in several.groupby("iteration"):
        assert scaled is not None
        ids = batch[key].astype(str).tolist()
        points = scaled[campaign.pool.rows(ids)]
        for i, first in enumerate(ids):
            for j in range(i + 1, len(ids)):
                distance = float(np.linalg.norm(points[i] - points[j])) / usual
                same = bool(reduced) and reduced[first] is not None and reduced[first] == reduced[ids[j]]
                if not same and distance >= 1.0:
                    continue
                why = "same composition" if same else "close in feature space"
                pair = {"iteration": iteration, "first": first, "second": ids[j]}
                if formulas is not None:
                    pair["formulas"] = f"{formulas[first]}, {formulas[ids[j]]}"
                records.append(pair | {"distance": distance, "why": why})
    columns = ["iteration", "first", "second", *(["formulas"] if formulas is not None else []), "distance", "why"]
    return pd.DataFrame(records, columns=columns)


@dataclass(frozen=True)
class Standardised:
    """Features [N, d] with mean 0 and deviation 1 over the pool, as they are asked for; constant ones are 0."""

    values: FloatArray
    mean: FloatArray
    spread: FloatArray

    @classmethod
    def over(cls, values: FloatArray) -> Standardised:
        """Over all rows, in two looks at them."""
        starts = range(0, len(values), ROWS)
        mean = np.sum([values[i : i + ROWS].sum(axis=0) for i in starts], axis=0) / len(values)
        squares = np.sum([np.square(values[i : i + ROWS] - mean).sum(axis=0) for i in starts], axis=0) / len(values)
        spread = np.sqrt(squares)
        return cls(values, mean, np.where(spread > CONSTANT * np.abs(mean), spread, np.inf))

    def __getitem__(self, rows: Any) -> FloatArray:
        """[m, d] of some rows."""
        found: FloatArray = (self.values[rows] - self.mean) / self.spread
        return found

    def usual_gap(self) -> float:
        """Median distance of a candidate to the nearest one that differs from it, over at most `NEIGHBOURS` evenly taken."""
        count = len(self.values)
        points = self[np.unique(np.linspace(0, count - 1, min(NEIGHBOURS, count)).astype(int))]
        nearest = np.full(len(points), np.inf)
        for start in range(0, count, ROWS):
            part = self[start : start + ROWS]
            squared = np.square(part).sum(axis=1)[:, None] + np.square(points).sum(axis=1) - 2.0 * part @ points.T
            distance = np.sqrt(np.maximum(squared, 0.0))
            nearest = np.minimum(nearest, np.where(distance > 1e-6, distance, np.inf).min(axis=0))
        found = nearest[np.isfinite(nearest)]
        return float(np.median(found)) if len(found) else 1.0
