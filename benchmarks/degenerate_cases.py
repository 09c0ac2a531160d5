"""Campaigns as they should not be: constant and contradictory values, repeated and collinear rows, scales far from one.

A case is made of a few words and numbers, each of which may be drawn by a seed or by hypothesis, so that a failure is told
in one line and shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from discover.limits import Limits
from discover.objective import Objective, Target
from discover.policy.bayesian import Bayesian
from discover.policy.random import Random
from discover.policy.space_filling import SpaceFilling
from discover.protocols import Policy, View
from discover.values import Block, FeatureTable, FloatArray, IntArray, Training

LAYOUTS = (
    "random", "constant", "one odd row", "collinear", "repeated rows", "far scales", "nearly constant", "far offset",
    "one-hot", "fingerprint", "grid",
)  # fmt: skip
TARGETS = (
    "random", "constant", "zero", "one outlier", "contradictory", "nearly constant", "two values", "linear", "decades",
)  # fmt: skip
STDS = ("unknown", "some", "zero", "huge", "tiny", "mixed")
BOUNDS = ("none", "some", "all")
OBJECTIVES = ("maximize", "minimize", "value", "band", "constrained", "never kept", "two", "two constrained", "outcome")
STATES = ("free", "pending", "excluded", "infeasible")
ACQUISITIONS = (
    "expected-improvement", "upper-confidence", "probability-of-improvement", "max-value-entropy", "thompson",
    "knowledge-gradient", "top", "uncertainty", "integrated-variance", "straddle", "hits", "hits-ahead",
)  # fmt: skip
SEVERAL = ("hypervolume", "parego")
THRESHOLDED = ("straddle", "hits", "hits-ahead")
POLICIES = (*ACQUISITIONS, *SEVERAL, "random", "farthest", "medoids")
LIMITS = ("none", "at most", "same", "costs", "funds")


@dataclass(frozen=True)
class Case:
    """rows, width: of the pool. observed: observations, of rows drawn with replacement. scale: power of ten of the target.
    state: of what was not observed; a half of it where that is not 'free'. disjoint: whether targets share no row."""

    seed: int
    rows: int
    width: int
    observed: int
    layout: str = "random"
    target: str = "random"
    scale: int = 0
    stds: str = "unknown"
    bounds: str = "none"
    objective: str = "maximize"
    disjoint: bool = False
    state: str = "free"
    all_of_it: bool = False
    policy: str = "expected-improvement"
    model: str = "single"
    n: int = 3
    limits: str = "none"


def drawn(seed: int) -> Case:
    """The case of a seed."""
    g = np.random.default_rng(seed)
    few = g.random() < 0.3
    width = int(g.choice([1, 2, 3, 8, 200], p=[0.25, 0.25, 0.25, 0.2, 0.05]))

    def of(options: tuple[str, ...], usual: float = 0.0) -> str:
        return options[0] if g.random() < usual else str(g.choice(options))

    policy = of(POLICIES, 0.3)
    wanted = of(OBJECTIVES, 0.2)
    if policy in ACQUISITIONS[1:] and wanted not in ("maximize", "minimize", "constrained", "never kept", "outcome"):
        wanted = "band" if policy in THRESHOLDED else "minimize"
    if policy in SEVERAL and not wanted.startswith("two"):
        wanted = "two"
    return Case(
        seed=seed,
        rows=int(g.integers(1, 4) if few else g.integers(4, 30)),
        width=width,
        observed=int(g.integers(0, 4) if few else g.integers(1, 14)),
        layout=of(LAYOUTS),
        target=of(TARGETS),
        scale=0 if g.random() < 0.5 else int(g.integers(-12, 13)),
        stds=of(STDS, 0.5),
        bounds=of(BOUNDS, 0.6),
        objective=wanted,
        disjoint=bool(g.random() < 0.5),
        state=of(STATES, 0.4),
        all_of_it=bool(g.random() < 0.3),
        policy=policy,
        model="evidence" if g.random() < 0.2 else "single",
        n=int(g.choice([1, 2, 3, 5, 40])),
        limits=of(LIMITS, 0.7),
    )


def features_of(case: Case) -> FeatureTable:
    """[rows, width], finite."""
    g = np.random.default_rng([case.seed, 1])
    n, d = case.rows, case.width
    X = g.uniform(-1.0, 1.0, (n, d))
    blocks: tuple[Block, ...] = ()
    if case.layout == "constant":
        X = np.full((n, d), 0.1)
    elif case.layout == "one odd row":
        X = np.zeros((n, d))
        X[0] = 1.0
    elif case.layout == "collinear":
        X = X[:, :1] * np.linspace(1.0, 2.0, d)
    elif case.layout == "repeated rows":
        X = X[g.integers(0, max(1, n // 4), n)]
    elif case.layout == "far scales":
        X = X * 10.0 ** g.integers(-12, 13, d)
    elif case.layout == "nearly constant":
        X = 1.0 + 1e-13 * X
    elif case.layout == "far offset":
        X = 1e12 + X
    elif case.layout in ("one-hot", "fingerprint"):
        X = np.zeros((n, d))
        X[np.arange(n), g.integers(0, d, n)] = 1.0
        kind: Any = "categories" if case.layout == "one-hot" else "fingerprint"
        blocks = (Block("a", kind, 0, d),)
        if case.layout == "fingerprint":
            X = g.integers(0, 2, (n, d)).astype(float)
    elif case.layout == "grid":
        X = np.round(2.0 * X)
    return FeatureTable(tuple(f"f{k}" for k in range(d)), np.ascontiguousarray(X), "made up", blocks)


def values_of(case: Case, X: FloatArray, rows: IntArray, g: np.random.Generator) -> FloatArray:
    """Values [n] of observations of some rows [n]."""
    n = len(rows)
    noise = g.normal(size=n)
    kinds: dict[str, Callable[[], FloatArray]] = {
        "random": lambda: noise,
        "constant": lambda: np.full(n, 0.1),
        "zero": lambda: np.zeros(n),
        "one outlier": lambda: np.where(np.arange(n) == 0, 1e9, noise),
        "contradictory": lambda: np.where(np.arange(n) % 2, 1.0, -1.0),
        "nearly constant": lambda: 1.0 + 1e-15 * noise,
        "two values": lambda: (noise > 0).astype(float),
        "linear": lambda: X[rows, 0] / max(1e-300, float(np.abs(X[:, 0]).max())),
        "decades": lambda: 10.0 ** (3.0 * noise),
    }
    return np.asarray(kinds[case.target]() * 10.0**case.scale, dtype=np.float64)


def training_of(case: Case, X: FloatArray, offered: IntArray, g: np.random.Generator) -> Training:
    """Observations of one target among the offered rows."""
    n = case.observed if len(offered) else 0
    rows = np.sort(g.choice(offered, n)) if n else np.array([], dtype=np.int64)
    values = values_of(case, X, rows, g)
    size = 10.0**case.scale
    pick = g.random(n) < 0.5
    stds = {
        "unknown": np.full(n, np.nan),
        "some": np.where(pick, 0.1 * size, np.nan),
        "zero": np.zeros(n),
        "huge": np.full(n, 1e12 * size),
        "tiny": np.full(n, 1e-200),
        "mixed": np.where(pick, 0.0, 1e6 * size),
    }[case.stds]
    sides = g.choice([-1, 1], n)
    bounds = {"none": np.zeros(n), "some": np.where(pick, sides, 0), "all": sides}[case.bounds]
    return Training(rows.astype(np.int64), values, stds, bounds.astype(np.int64))


def objective_of(case: Case) -> Objective:
    """What is wanted, at the scale of the target."""
    unit = 10.0**case.scale
    kinds: dict[str, Callable[[], Objective]] = {
        "maximize": lambda: Objective("a"),
        "minimize": lambda: Objective("a", "minimize"),
        "value": lambda: Objective("a", "match", value=0.1 * unit),
        "band": lambda: Objective("a", "match", band=(-0.5 * unit, 0.5 * unit)),
        "constrained": lambda: Objective("a", constraints=[f"a <= {0.5 * unit!r}"]),
        "never kept": lambda: Objective("a", constraints=[f"a >= {1e11 * unit!r}"]),
        "two": lambda: Objective([Target("a"), Target("b", "minimize")]),
        "two constrained": lambda: Objective([Target("a"), Target("b", "minimize")], constraints=["b <= 0"]),
        "outcome": lambda: Objective("a", constraints=[f"other <= {0.2 * unit!r}"]),
    }
    return kinds[case.objective]()


def view_of(case: Case) -> View:
    """The campaign as a policy sees it."""
    g = np.random.default_rng([case.seed, 2])
    table, objective = features_of(case), objective_of(case)
    names, every = objective.names, np.arange(case.rows)
    parts = np.array_split(every, len(names)) if case.disjoint else [every] * len(names)
    training = {name: training_of(case, table.values, part, g) for name, part in zip(names, parts, strict=True)}
    seen = np.unique(np.concatenate([t.rows for t in training.values()])).astype(np.int64)
    other = np.setdiff1d(every, seen)
    taken = other if case.all_of_it else other[: len(other) // 2]
    nothing = np.array([], dtype=np.int64)
    blocked = np.zeros(case.rows, dtype=bool)
    blocked[seen[seen % 5 > 0]] = True  # some that were measured may be measured again
    if case.state != "free":
        blocked[taken] = True
    return View(
        objective=objective,
        ids=np.array([f"c{i:05d}" for i in range(case.rows)]),
        features=table,
        training=training,
        blocked=blocked,
        pending=taken if case.state == "pending" else nothing,
        infeasible=taken if case.state == "infeasible" else nothing,
        limits=limits_of(case, g),
        remaining=None if case.seed % 2 else 7,
    )


def limits_of(case: Case, g: np.random.Generator) -> Limits:
    """What holds within a batch."""
    codes = {"plate": g.integers(0, 3, case.rows).astype(np.int64)}
    costs = 10.0 ** g.integers(-3, 4, case.rows)
    kinds = {
        "none": Limits(),
        "at most": Limits(at_most={"plate": 1}, codes=codes),
        "same": Limits(same=("plate",), codes=codes),
        "costs": Limits(costs=costs),
        "funds": Limits(costs=costs, funds=1.0),
    }
    return kinds[case.limits]


def policy_of(case: Case) -> Policy:
    """The policy, with a model from the first observation on."""
    if case.policy == "random":
        return Random()
    if case.policy == "farthest":
        return SpaceFilling("farthest")
    if case.policy == "medoids":
        return SpaceFilling("medoids")
    threshold = 0.3 * 10.0**case.scale if case.policy in THRESHOLDED else None
    if case.objective == "band":
        threshold = None
    per_cost = case.policy not in ("upper-confidence", "straddle", "thompson", "hits-ahead")
    given: dict[str, Any] = {
        "acquisition": case.policy,
        "threshold": threshold,
        "per_cost": per_cost,
        "model": case.model,
    }
    if case.model == "single":
        given |= {"kernel": ("matern", "rbf")[case.seed % 2], "lengths": ("each", "one")[case.seed // 2 % 2]}
    told = np.random.default_rng([case.seed, 3]).random(5) < 0.3  # options that have nothing to do with each other
    given |= {
        "refit": 0.5 if told[0] else 0.0,
        "scale": "evidence" if told[1] else "told",
        "outliers": "keep" if told[2] else "evidence",
        "noise": "evidence" if told[3] else "equal",
        "incumbent": "believed" if told[4] else "measured",
    }
    return Bayesian(start=1, shortlist=20, draws=16, chunk=16, reference=10, **given)
