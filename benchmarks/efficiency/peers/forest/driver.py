"""Random forest and confidence bound: scikit-learn's forest with its defaults, mean plus `kappa` standard deviations.

The deviation is that over the trees. Several at once: the best by the same bound, without diversity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from speaking import Table, serve


class Forest:
    """100 trees, as the library grows them."""

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        self.X = table.common()
        self.seed, self.kappa = seed, float(options.get("kappa", 1.0))
        self.rows: list[int] = []
        self.values: list[float] = []

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        self.rows += rows
        self.values += values
        forest = RandomForestRegressor(random_state=self.seed * 1000 + len(self.rows))
        forest.fit(self.X[self.rows], self.values)
        free = np.setdiff1d(np.arange(len(self.X)), self.rows)
        guesses = np.stack([tree.predict(self.X[free]) for tree in forest.estimators_])
        score = guesses.mean(axis=0) + self.kappa * guesses.std(axis=0)
        # Many rows share a leaf: ties are drawn, not taken in the order of the table.
        order = np.lexsort((np.random.default_rng([self.seed, len(self.rows)]).permutation(len(free)), -score))
        return [int(row) for row in free[order[:n]]]


if __name__ == "__main__":
    serve(Forest, ("scikit-learn", "numpy"))
