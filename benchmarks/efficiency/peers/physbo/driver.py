"""PHYSBO: exact Gaussian process, expected improvement; inputs centred, as its manual does.

Hyper-parameters are learned after the starts and then whenever `every` more results have come in, by default 10, which is
the interval of its tutorials; in between the model takes the new results with those it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import physbo
from speaking import Table, serve

LEARN, KEEP = 0, -1


class Physbo:
    """Its discrete policy, asked for one batch at a time."""

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        X = table.common()
        self.policy = physbo.search.discrete.Policy(physbo.misc.centering(X[:, X.std(axis=0) > 0]))
        self.policy.set_seed(seed)
        self.score, self.every = str(options.get("score", "EI")), int(options.get("every", 10))
        self.unlearned = self.every

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        self.policy.write(np.array(rows), np.array(values))
        self.unlearned += len(rows)
        learn = self.unlearned >= self.every
        self.unlearned = 0 if learn else self.unlearned
        chosen = self.policy.bayes_search(
            max_num_probes=1, num_search_each_probe=n, simulator=None, score=self.score, num_rand_basis=0,
            interval=LEARN if learn else KEEP, is_disp=False,
        )  # fmt: skip
        return [int(row) for row in chosen]


if __name__ == "__main__":
    serve(Physbo, ("physbo", "numpy", "scipy"))
