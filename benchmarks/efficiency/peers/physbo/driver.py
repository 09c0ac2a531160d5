"""PHYSBO: exact Gaussian process, expected improvement, hyper-parameters learned before every proposal; inputs centred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import physbo
from speaking import Table, serve


class Physbo:
    """Its discrete policy, asked for one batch at a time."""

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        X = table.common()
        self.policy = physbo.search.discrete.Policy(physbo.misc.centering(X[:, X.std(axis=0) > 0]))
        self.policy.set_seed(seed)
        self.score = str(options.get("score", "EI"))

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        self.policy.write(np.array(rows), np.array(values))
        chosen = self.policy.bayes_search(
            max_num_probes=1, num_search_each_probe=n, simulator=None, score=self.score, interval=0, num_rand_basis=0,
            is_disp=False,
        )  # fmt: skip
        return [int(row) for row in chosen]


if __name__ == "__main__":
    serve(Physbo, ("physbo", "numpy", "scipy"))
