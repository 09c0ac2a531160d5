"""Optuna's TPE with its defaults, over the columns of the pool; a suggestion is moved to the nearest free row.

It suggests points of a box, and the pool is a list: nearest is by Euclidean distance with every column scaled to [0, 1].
What it learns from is the row that was tried. Several at once: suggestions with the constant liar, as its manual advises.
On the same encoding every column is a number. On its own, categories and molecules are categorical.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from speaking import Table, serve


class Optuna:
    """An ask-and-tell study in memory."""

    def begin(self, table: Table, encoding: str, q: int, seed: int, options: dict[str, Any]) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=q > 1)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        X = table.common()
        low, high = X.min(axis=0), X.max(axis=0)
        self.X = (X - low) / np.where(high > low, high - low, 1.0)
        self.free = np.ones(len(X), dtype=bool)
        self.space: dict[str, Any] = {}
        self.values_of: dict[str, list[Any]] = {}
        self.place: dict[str, Any] = {}
        for column in table.columns if encoding == "own" else ():
            if column["kind"] in ("category", "smiles"):
                self._categorical(column, table.names)
        within = {k for places in self.place.values() for k in places.values()}
        for k, name in enumerate(table.names):
            if k not in within and high[k] > low[k]:
                self.space[name] = optuna.distributions.FloatDistribution(0.0, 1.0)
                self.values_of[name] = self.X[:, k].tolist()
                self.place[name] = k

    def _categorical(self, column: dict[str, Any], names: Sequence[str]) -> None:
        name, categories = column["name"], sorted(set(column["cells"]))
        self.space[name] = optuna.distributions.CategoricalDistribution(categories)
        self.values_of[name] = column["cells"]
        self.place[name] = {category: list(names).index(f"{name}={category}") for category in categories}

    def step(self, rows: Sequence[int], values: Sequence[float], n: int) -> list[int]:
        for row, value in zip(rows, values):
            params = {name: cells[row] for name, cells in self.values_of.items()}
            self.study.add_trial(optuna.trial.create_trial(params=params, distributions=self.space, value=value))
            self.free[row] = False
        chosen: list[int] = []
        trials = []
        for _ in range(min(n, int(self.free.sum()))):
            trial = self.study.ask(self.space)
            trials.append(trial)
            distance = np.square(self.X - self._point(trial.params)).sum(axis=1)
            row = int(np.where(self.free, distance, np.inf).argmin())
            self.free[row] = False
            chosen.append(row)
        for trial in trials:
            # What was suggested is not what is tried: the row itself comes in as a trial of its own.
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return chosen

    def _point(self, params: dict[str, Any]) -> Any:
        point = np.zeros(self.X.shape[1])
        for name, value in params.items():
            place = self.place[name]
            if isinstance(place, dict):
                point[place[value]] = 1.0
            else:
                point[place] = value
        return point


if __name__ == "__main__":
    serve(Optuna, ("optuna", "numpy", "scipy"))
