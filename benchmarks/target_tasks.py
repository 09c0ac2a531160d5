"""The tasks of `targets.py`: tables with several answers, what is sought in each, and how far a list of trials has come.

A task is of the side of `efficiency/split.json` that its table is of; tables outside of it are development. The direct
arylation of EDBO+ is a test pool by another name: its 1,728 yields are those of the pool direct_arylation.

A task is a function from the folder of data to a `Task`, in `TASKS` under its name. To add one, write the function and, where
it needs another measure or other policies, give these to it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from discover.objective import Objective, Target
from discover.pareto import hypervolume, inferred_reference
from discover.values import FloatArray, IntArray

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
Measure = Callable[["Task", IntArray], FloatArray]
Side = Literal["development", "test"]


@dataclass(frozen=True)
class Task:
    """What is sought in a table of N rows.

    X: [N, d], the one encoding that all policies see. values: [N] by name of what is measured. measure: rows in the order of
    trial [k] to how far each trial had come [k], 0 for nothing and 1 for all that the table holds. policies: options of ours
    by name, beside random choice and the peers that can do the task. reference: by target, for hypervolume. closing: what is
    told of a run besides, from its rows. threshold: from which on the only target is a hit, or where the level lies.
    """

    name: str
    kind: str
    objective: Objective
    X: FloatArray
    values: Mapping[str, FloatArray]
    measure: Measure
    policies: Mapping[str, Mapping[str, object]]
    start: int = 10
    batch: int = 4
    budget: int = 42
    reference: Mapping[str, float] | None = None
    threshold: float = math.nan
    closing: Callable[[Task, IntArray], dict[str, float]] = lambda task, rows: {}
    side: Side = "development"

    def __len__(self) -> int:
        return len(self.X)

    @property
    def level(self) -> float:
        """The threshold, turned so that large is good."""
        return float(self.objective.targets[0].utility(np.float64(self.threshold)))

    def utilities(self) -> FloatArray:
        """[N, k], by target, larger is better."""
        return np.stack([np.asarray(t.utility(self.values[t.name])) for t in self.objective.targets], axis=1)

    def feasible(self) -> np.ndarray:
        """[N], which rows keep the constraints."""
        names = list(self.values)
        rows = zip(*(self.values[name] for name in names), strict=True)
        return np.array([self.objective.feasible(dict(zip(names, row, strict=True))) for row in rows])


def share_of_volume(task: Task, rows: IntArray) -> FloatArray:
    """Hypervolume of the feasible trials so far, as a share of that of all feasible rows: [k]."""
    utilities, fine = task.utilities(), task.feasible()
    assert task.reference is not None
    low = np.array([float(t.utility(np.float64(task.reference[t.name]))) for t in task.objective.targets])
    whole = hypervolume(utilities[fine], low)
    curve, last = np.zeros(len(rows)), 0.0
    for place, row in enumerate(rows):
        if fine[row] and (utilities[row] > low).all():
            seen = rows[: place + 1]
            last = hypervolume(utilities[seen[fine[seen]]], low) / whole
        curve[place] = last
    return curve


def best_that_keeps(task: Task, rows: IntArray) -> FloatArray:
    """The best feasible trial so far: 0 for none or the worst feasible row, 1 for the best: [k]."""
    utility, fine = task.utilities()[:, 0], task.feasible()
    low, high = utility[fine].min(), utility[fine].max()
    scores = np.where(fine, (utility - low) / (high - low), 0.0)
    return np.asarray(np.maximum.accumulate(scores[rows]), dtype=np.float64)


SEVERAL = {"hypervolume": {"acquisition": "hypervolume"}, "parego": {"acquisition": "parego"}}
CONSTRAINED: dict[str, dict[str, object]] = {"feasible-improvement": {}}


def _front(
    name: str, targets: list[Target], X: FloatArray, values: Mapping[str, FloatArray], side: Side = "development"
) -> Task:
    """A task whose reference lies a tenth of the front's range below the front of the whole table."""
    objective = Objective(targets)
    utilities = np.stack([np.asarray(t.utility(values[t.name])) for t in targets], axis=1)
    low = inferred_reference(utilities)
    signs = [1.0 if t.direction == "maximize" else -1.0 for t in targets]
    reference = {t.name: sign * float(u) for t, sign, u in zip(targets, signs, low, strict=True)}
    return Task(name, "front", objective, X, values, share_of_volume, SEVERAL, reference=reference, side=side)


def _constrained(
    name: str, objective: Objective, table: tuple[FloatArray, dict[str, FloatArray]], side: Side = "development"
) -> Task:
    return Task(name, "constrained", objective, *table, best_that_keeps, CONSTRAINED, side=side)


def _encoded(frame: pd.DataFrame, categories: list[str], numbers: list[str]) -> FloatArray:
    hot = pd.get_dummies(frame[categories].astype(str)) if categories else pd.DataFrame(index=frame.index)
    return np.ascontiguousarray(np.hstack([frame[numbers].to_numpy(float), hot.to_numpy(float)]))


def _arylation(data: Path) -> tuple[FloatArray, dict[str, FloatArray]]:
    frame = pd.read_csv(data / "edboplus_bms_yield_cost" / "experiments_yield_and_cost.csv")
    X = _encoded(frame, ["base", "ligand", "solvent"], ["concentration", "temperature"])
    return X, {"yield": frame["yield"].to_numpy(float), "price": frame["cost"].to_numpy(float)}


def _couplings(data: Path) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Yields of five aryl halides, a to e, under the same 792 conditions; and a price that is invented.

    The price of a row is the sum of those of its halide, additive, base and ligand, each drawn once from a log-normal law.
    """
    names = ["halide", "additive", "base", "ligand"]
    tables = []
    for letter in "abcde":
        one = pd.read_csv(data / f"olympus_buchwald_{letter}" / "data.csv", header=None, names=[*names, letter])
        one["halide"] = [_halogen(text) for text in one["halide"]]
        tables.append(one.set_index(names))
    frame = pd.concat(tables, axis=1).dropna().reset_index().sort_values(names, ignore_index=True)
    generator, price = np.random.default_rng(0), np.zeros(len(frame))
    for name in names:
        each = {component: generator.lognormal() for component in sorted(frame[name].unique())}
        price += frame[name].map(each).to_numpy(float)
    yields = {f"yield-{letter}": frame[letter].to_numpy(float) for letter in "abcde"}
    return _encoded(frame, names, []), {**yields, "price": price}


def _halogen(halide: str) -> str:
    """Which one an aryl halide has, from its SMILES. ValueError for none."""
    found = re.search("Cl|Br|I", halide)
    if found is None:
        raise ValueError(f"{halide!r} is no aryl halide: it has neither Cl nor Br nor I")
    return found[0]


def _redoxmers(data: Path) -> tuple[FloatArray, dict[str, FloatArray]]:
    names = ["r1", "r3", "r4", "r5", "light", "potential", "solvation"]
    frame = pd.read_csv(data / "olympus_redoxmers" / "data.csv", header=None, names=names)
    return _encoded(frame, names[:4], []), {name: frame[name].to_numpy(float) for name in names[4:]}


def _feconi(data: Path) -> tuple[FloatArray, dict[str, FloatArray]]:
    frame = pd.read_csv(data / "nist_feconi" / "feconi_table.csv").dropna()
    frame = frame.groupby(["Co", "Fe", "Ni"], as_index=False, sort=False).mean()
    values = {"coercivity": frame["Coer_mT"].to_numpy(float), "kerr": frame["Kerr_mrad"].to_numpy(float)}
    return _encoded(frame, [], ["Co", "Fe", "Ni"]), values


def soft_and_bright(data: Path) -> Task:
    """Fe-Co-Ni library, 921 compositions: Kerr rotation up, coercivity down (NIST)."""
    return _front("soft-and-bright", [Target("kerr"), Target("coercivity", "minimize")], *_feconi(data))


def coupling_and_price(data: Path) -> Task:
    """C-N coupling, 792 conditions: yield up, an invented price down (yields of Ahneman et al. 2018, by Olympus)."""
    X, values = _couplings(data)
    return _front("coupling-and-price", [Target("yield-c"), Target("price", "minimize")], X, values)


def redoxmers(data: Path) -> Task:
    """1,408 redox-active molecules: three quantities to be small (Olympus)."""
    X, values = _redoxmers(data)
    return _front("redoxmers", [Target(name, "minimize") for name in values], X, values)


def soft_magnet(data: Path) -> Task:
    """Fe-Co-Ni: the greatest Kerr rotation of compositions with a coercivity of at most 1.75 mT."""
    return _constrained("soft-magnet", Objective("kerr", constraints=["coercivity <= 1.75"]), _feconi(data))


def selective_coupling(data: Path) -> Task:
    """C-N coupling: the greatest yield of one aryl halide where another is left at 20 % or less."""
    objective = Objective("yield-e", constraints=["yield-a <= 20"], outcomes={"yield-a": "%"})
    return _constrained("selective-coupling", objective, _couplings(data))


def cheap_coupling(data: Path) -> Task:
    """C-N coupling: the greatest yield at an invented price that an eighth of the conditions keep."""
    X, values = _couplings(data)
    most = float(np.quantile(values["price"], 0.125))
    return _constrained("cheap-coupling", Objective("yield-c", constraints=[f"price <= {most:.6g}"]), (X, values))


def soluble_redoxmer(data: Path) -> Task:
    """Redoxmers: the lowest potential with an absorption within 25 nm of the wanted one and a solvation below −0.8 eV."""
    objective = Objective("potential", "minimize", constraints=["light <= 25", "solvation <= -0.8"])
    return _constrained("soluble-redoxmer", objective, _redoxmers(data))


def yield_and_price(data: Path) -> Task:
    """Direct arylation, 1,728 conditions: yield up, price down (EDBO+). A test pool's yields."""
    targets = [Target("yield"), Target("price", "minimize")]
    return _front("yield-and-price", targets, *_arylation(data), side="test")


def cheap_yield(data: Path) -> Task:
    """Direct arylation: the greatest yield of conditions that cost at most 0.04. A test pool's yields."""
    objective = Objective("yield", constraints=["price <= 0.04"])
    return _constrained("cheap-yield", objective, _arylation(data), side="test")


def toy_front(data: Path) -> Task:
    """An invented table of 60 rows that needs no data."""
    x = np.random.default_rng(0).random((60, 2))
    values = {"a": np.sin(3 * x[:, 0]) + x[:, 1], "b": np.cos(3 * x[:, 0]) - x[:, 1] ** 2}
    return replace(_front("toy-front", [Target("a"), Target("b")], x, values), budget=18)


def toy_constrained(data: Path) -> Task:
    """The same with a constraint."""
    front = toy_front(data)
    objective = Objective("a", constraints=["b >= 0.2"])
    return replace(_constrained("toy-constrained", objective, (front.X, dict(front.values))), budget=18)


TASKS: dict[str, Callable[[Path], Task]] = {
    "soft-and-bright": soft_and_bright,
    "coupling-and-price": coupling_and_price,
    "redoxmers": redoxmers,
    "soft-magnet": soft_magnet,
    "selective-coupling": selective_coupling,
    "cheap-coupling": cheap_coupling,
    "soluble-redoxmer": soluble_redoxmer,
    "yield-and-price": yield_and_price,
    "cheap-yield": cheap_yield,
}
TOYS = {"toy-front": toy_front, "toy-constrained": toy_constrained}


@functools.cache
def task(name: str, data: Path = DATA) -> Task:
    """The task of that name, read once. KeyError names those there are."""
    known = {**TASKS, **TOYS}
    if name not in known:
        raise KeyError(f"no task is called {name!r}; there are {', '.join(known)}")
    return known[name](data)
