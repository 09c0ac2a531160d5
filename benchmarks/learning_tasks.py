"""Tasks of `targets.py` that seek no single best: all hits, the ten best, a level set, the whole table.

Hits are the best twentieth of a table; the measure is how many were found, as a share of what the budget could find. The ten
best: the share of them that was found.
A level set is measured by the balanced accuracy with which the rows that were not tried are told to lie above or below the level,
0 for a guess; the whole table by 1 − root mean square error ÷ deviation over those rows, 0 for the mean. Both come from one and
the same model for all policies, BoTorch's default, fitted to the trials after each batch. At the end of a run F1 of the upper
side, or the mean negative log density of the rest, are told too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from target_tasks import Task

from discover.objective import Direction, Objective
from discover.values import FloatArray, IntArray

if TYPE_CHECKING:
    from botorch_by_hand import DefaultModel

SHARE = 0.05
"""Of a table that counts as hits."""
TOP = 10
"""Rows that count as the best, where the ten best are sought."""


def share_of_hits(task: Task, rows: IntArray) -> FloatArray:
    """Hits found, as a share of all that the budget could find: [k]."""
    hits = task.utilities()[:, 0] >= task.level
    return np.asarray(np.cumsum(hits[rows]) / min(task.budget, int(hits.sum())), dtype=np.float64)


def share_of_top(task: Task, rows: IntArray) -> FloatArray:
    """How many of the ten best were found, as a share: [k]."""
    top = np.argsort(-task.utilities()[:, 0], kind="stable")[:TOP]
    return np.asarray(np.cumsum(np.isin(rows, top)) / TOP, dtype=np.float64)


def side_of_level(task: Task, rows: IntArray) -> FloatArray:
    """Balanced accuracy over the rows that were not tried, 0 for a guess and 1 for no error: [k], after each batch."""
    return _after_each_batch(task, rows, _balanced)


def whole_table(task: Task, rows: IntArray) -> FloatArray:
    """1 − root mean square error over the rows that were not tried ÷ the table's deviation, at least 0: [k], after each batch."""
    return _after_each_batch(task, rows, _explained)


def _balanced(task: Task, rest: IntArray, mean: FloatArray) -> float:
    above, told = task.utilities()[rest, 0] >= task.level, mean >= task.level
    sides = [float((told == above)[side].mean()) for side in (above, ~above) if side.any()]
    return 2.0 * float(np.mean(sides)) - 1.0


def _explained(task: Task, rest: IntArray, mean: FloatArray) -> float:
    truth = task.utilities()[:, 0]
    return 1.0 - float(np.sqrt(np.mean((mean - truth[rest]) ** 2)) / truth.std())


def _after_each_batch(task: Task, rows: IntArray, score: Callable[[Task, IntArray, FloatArray], float]) -> FloatArray:
    curve, last = np.zeros(len(rows)), 0.0
    for k in range(task.start, len(rows) + 1):
        rest = np.setdiff1d(np.arange(len(task)), rows[:k])
        if len(rest) and ((k - task.start) % task.batch == 0 or k == len(rows)):
            last = max(0.0, score(task, rest, _model(task, rows[:k]).marginals()[0][rest]))
        curve[k - 1] = last
    return curve


def f1(task: Task, rows: IntArray) -> dict[str, float]:
    """How well the rest above the level is told in the end: the harmonic mean of precision and recall."""
    rest = np.setdiff1d(np.arange(len(task)), rows)
    above = task.utilities()[rest, 0] >= task.level
    told = _model(task, rows).marginals()[0][rest] >= task.level
    return {"f1": 2.0 * float((above & told).sum()) / max(1.0, float(above.sum() + told.sum()))}


def log_density(task: Task, rows: IntArray) -> dict[str, float]:
    """Mean negative log density of the rest in the end, in nats, of the table divided by its deviation."""
    from scipy.stats import norm

    rest, truth = np.setdiff1d(np.arange(len(task)), rows), task.utilities()[:, 0]
    held = _model(task, rows)
    mean, deviation = held.marginals()
    deviation = np.sqrt(deviation[rest] ** 2 + held.noise)
    return {"nlpd": float(-norm.logpdf(truth[rest], mean[rest], deviation).mean() - np.log(truth.std()))}


def _model(task: Task, rows: IntArray) -> DefaultModel:
    from botorch_by_hand import DefaultModel

    return DefaultModel(task, rows)


Table = tuple[FloatArray, FloatArray]
"""Features [N, d] and values [N]."""


def _hits(name: str, table: Table, direction: Direction = "maximize") -> Task:
    threshold = float(np.quantile(table[1], SHARE if direction == "minimize" else 1.0 - SHARE))
    played = {
        "hits": {"acquisition": "hits", "threshold": threshold},
        "hits-ahead": {"acquisition": "hits-ahead", "threshold": threshold},
    }
    values = {"y": table[1]}
    return Task(
        name, "hits", Objective("y", direction), table[0], values, share_of_hits, played, budget=90, threshold=threshold
    )


def _top(name: str, table: Table, direction: Direction = "maximize") -> Task:
    played = {"top": {"acquisition": "top", "top": TOP}, "best": {}}
    return Task(name, "top", Objective("y", direction), table[0], {"y": table[1]}, share_of_top, played, budget=58)


def _level(name: str, table: Table, level: float) -> Task:
    played = {
        "straddle": {"acquisition": "straddle", "threshold": level},
        "uncertainty": {"acquisition": "uncertainty"},
    }
    return Task(
        name, "level", Objective("y"), table[0], {"y": table[1]}, side_of_level, played, threshold=level, closing=f1
    )


def _whole(name: str, table: Table) -> Task:
    played = {
        "integrated-variance": {"acquisition": "integrated-variance"},
        "uncertainty": {"acquisition": "uncertainty"},
    }
    return Task(name, "whole", Objective("y"), table[0], {"y": table[1]}, whole_table, played, closing=log_density)


def _olympus(data: Path, name: str) -> Table:
    frame = pd.read_csv(data / name / "data.csv", header=None)
    inputs = frame.iloc[:, :-1]
    text = [column for column in inputs if not pd.api.types.is_numeric_dtype(inputs[column])]
    hot = pd.get_dummies(inputs[text]) if text else pd.DataFrame(index=frame.index)
    X = np.hstack([inputs.drop(columns=text).to_numpy(float), hot.to_numpy(float)])
    return np.ascontiguousarray(X), frame.iloc[:, -1].to_numpy(float)


def _liquidus(data: Path, system: str) -> Table:
    frame = pd.read_csv(data / "nimo_liquidus" / f"{system}_352.csv")
    return np.ascontiguousarray(frame.iloc[:, :-1].to_numpy(float)), frame.iloc[:, -1].to_numpy(float)


def _feconi(data: Path, column: str) -> Table:
    frame = pd.read_csv(data / "nist_feconi" / "feconi_table.csv").dropna()
    frame = frame.groupby(["Co", "Fe", "Ni"], as_index=False, sort=False).mean()
    return np.ascontiguousarray(frame[["Co", "Fe", "Ni"]].to_numpy(float)), frame[column].to_numpy(float)


def _pool(data: Path, name: str) -> Table:
    """A pool of the efficiency benchmark in its common encoding."""
    from efficiency.pools import load

    found = load(name, data)
    return found.common, found.truth


def _toy() -> Table:
    X = np.random.default_rng(1).random((60, 2))
    return X, np.sin(4 * X[:, 0]) + X[:, 1]


LEARNING: dict[str, Callable[[Path], Task]] = {
    "stable-blends": lambda data: _hits("stable-blends", _olympus(data, "olympus_photo_wf3"), "minimize"),
    "good-couplings": lambda data: _hits("good-couplings", _olympus(data, "olympus_buchwald_a")),
    "stiff-compounds": lambda data: _hits("stiff-compounds", _pool(data, "bulk_modulus")),
    "wide-gaps": lambda data: _hits("wide-gaps", _pool(data, "band_gap")),
    "ten-best-blends": lambda data: _top("ten-best-blends", _olympus(data, "olympus_photo_pce10"), "minimize"),
    "ten-best-couplings": lambda data: _top("ten-best-couplings", _olympus(data, "olympus_buchwald_b")),
    "molten-at-900-K": lambda data: _level("molten-at-900-K", _liquidus(data, "cu-mg-zn"), 900.0),
    "hard-magnets": lambda data: _level("hard-magnets", _feconi(data, "Coer_mT"), 3.0),
    "half-coupled": lambda data: _level("half-coupled", _olympus(data, "olympus_buchwald_e"), 50.0),
    "liquidus": lambda data: _whole("liquidus", _liquidus(data, "al-si-zn")),
    "coercivity": lambda data: _whole("coercivity", _feconi(data, "Coer_mT")),
    "couplings": lambda data: _whole("couplings", _olympus(data, "olympus_buchwald_d")),
}
"""All of them of development tables, or tables outside of the split."""
LEARNING_TOYS: dict[str, Callable[[Path], Task]] = {
    "toy-hits": lambda data: replace(_hits("toy-hits", _toy()), budget=18),
    "toy-top": lambda data: replace(_top("toy-top", _toy()), budget=18),
    "toy-level": lambda data: replace(_level("toy-level", _toy(), 0.5), budget=18),
    "toy-whole": lambda data: replace(_whole("toy-whole", _toy()), budget=18),
}
