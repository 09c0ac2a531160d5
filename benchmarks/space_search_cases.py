"""Search spaces whose every point can be scored, so that what a search finds can be held against what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from discover import Categorical, Continuous, Discrete, Integer, Mixture, Objective, SearchSpace, Substance
from discover.candidates.space.ground import Ground
from discover.candidates.space.points import Points
from discover.protocols import View
from discover.values import FloatArray, IntArray, Training

PHOSPHINES = {
    "PMe3": "CP(C)C",
    "PBu3": "CCCCP(CCCC)CCCC",
    "PtBu3": "CC(C)(C)P(C(C)(C)C)C(C)(C)C",
    "PCy3": "C1CCC(CC1)P(C1CCCCC1)C1CCCCC1",
    "PPh3": "c1ccc(cc1)P(c1ccccc1)c1ccccc1",
    "P(o-Tol)3": "Cc1ccccc1P(c1ccccc1C)c1ccccc1C",
    "P(fur)3": "c1coc(c1)P(c1ccco1)c1ccco1",
    "SPhos": "COc1cccc(OC)c1-c1ccccc1P(C1CCCCC1)C1CCCCC1",
    "XPhos": "CC(C)c1cc(C(C)C)c(c(c1)C(C)C)-c1ccccc1P(C1CCCCC1)C1CCCCC1",
    "dppe": "c1ccc(cc1)P(CCP(c1ccccc1)c1ccccc1)c1ccccc1",
}
SOLVENTS = {
    "water": "O",
    "methanol": "CO",
    "ethanol": "CCO",
    "tBuOH": "CC(C)(C)O",
    "MeCN": "CC#N",
    "DMF": "CN(C)C=O",
    "DMSO": "CS(C)=O",
    "THF": "C1CCOC1",
    "dioxane": "C1COCCO1",
    "toluene": "Cc1ccccc1",
}


@dataclass(frozen=True)
class Case:
    """A space, and how many of its points have been measured. plain: whether BoTorch's searches know such spaces."""

    name: str
    space: SearchSpace
    observations: int
    plain: bool = True

    def points(self) -> IntArray:
        """Every point that keeps the constraints, as codes [N, slots]."""
        space = self.space
        parts = [one.listing() for one in space.parameters]
        found, rest = [], np.arange(int(np.prod([len(part) for part in parts])))
        for part in reversed(parts):
            found.append(part[rest % len(part)])
            rest = rest // len(part)
        codes = space.settled(np.concatenate(found[::-1], axis=1))
        return codes[space.feasible(codes)]


def labels(name: str, count: int) -> Categorical:
    """So many names."""
    return Categorical(name, [f"{name} {k:02d}" for k in range(count)])


def cases() -> Mapping[str, Case]:
    """The cases by name, the smallest first."""
    numbers = [Discrete(name, list(range(1, 11))) for name in ("time", "loading", "equivalents")]
    warm = Integer("temperature", 30, 120, step=10, unit="degC")
    found = [
        Case(
            "reagents",
            SearchSpace([labels("ligand", 12), labels("base", 5), labels("solvent", 8), labels("additive", 6),
                         Continuous("temperature", 20, 130, step=10, unit="degC")]),
            150,
        ),
        Case(
            "mixtures",
            SearchSpace(
                [Mixture("solvent", ["water", "ethanol", "toluene", "DMF"], step=0.1, at_most=2), labels("base", 4),
                 Continuous("temperature", 20, 120, step=2.5, unit="degC"), Discrete("loading", list(range(1, 11)))],
                constraints=["temperature <= 77.5 if solvent.ethanol > 0.5", "loading >= 3 if solvent.water > 0.7"],
            ),
            150, plain=False,
        ),
        Case("numbers", SearchSpace([Integer(f"x{k}", 0, 9) for k in range(5)]), 150),
        Case(
            "million", SearchSpace([labels("ligand", 10), labels("base", 10), labels("solvent", 10), warm, *numbers[:2]]),
            200,
        ),
        Case(
            "million molecules",
            SearchSpace([Substance("ligand", PHOSPHINES, from_smiles=["molecule", "fingerprint"]), labels("base", 10),
                         Substance("solvent", SOLVENTS, from_smiles=["molecule", "fingerprint"]), warm, *numbers[:2]]),
            200,
        ),
    ]  # fmt: skip
    return {case.name: case for case in found}


@dataclass(frozen=True)
class Truth:
    """What experiments would give: an effect of each label and pair of labels, bumps of numbers, and labels that move these."""

    effects: Mapping[int, FloatArray]
    pairs: Mapping[tuple[int, int], FloatArray]
    tops: FloatArray
    shifts: Mapping[int, FloatArray]

    @classmethod
    def of(cls, space: SearchSpace, generator: np.random.Generator) -> Truth:
        """Drawn for a space."""
        named = [k for k, slot in enumerate(space.slots) if slot.kind == "label"]
        effects = {k: generator.normal(size=space.slots[k].levels.count) for k in named}
        shifts = {k: 0.2 * generator.normal(size=space.slots[k].levels.count) for k in named}
        pairs = {
            (j, k): 0.3 * generator.normal(size=(len(effects[j]), len(effects[k]))) for j, k in combinations(named, 2)
        }
        return cls(effects, pairs, generator.uniform(0.1, 0.9, size=len(space.slots)), shifts)

    def __call__(self, space: SearchSpace, codes: IntArray) -> FloatArray:
        """[m], about 0 to 100."""
        total, moved = np.zeros(len(codes)), np.zeros(len(codes))
        for k, effect in self.effects.items():
            total += effect[codes[:, k]]
            moved += self.shifts[k][codes[:, k]]
        for (j, k), together in self.pairs.items():
            total += together[codes[:, j], codes[:, k]]
        for k, slot in enumerate(space.slots):
            if k not in self.effects:
                share = codes[:, k] / max(1, slot.top)
                total -= 4.0 * np.square(share - self.tops[k] - moved)
        return 100.0 / (1.0 + np.exp(-total))


def measured(case: Case, seed: int) -> View:
    """What is known of a case late in a campaign: half of the points drawn evenly, half the best of many that were drawn."""
    generator = np.random.default_rng([seed, 7])
    truth = Truth.of(case.space, generator)
    region, half = case.space.region(), case.observations // 2
    drawn = region.draw(40 * case.observations, generator)
    best = np.argsort(-truth(case.space, drawn[half:]), kind="stable")[: case.observations - half]
    codes = np.concatenate([drawn[:half], drawn[half:][best]])
    values = truth(case.space, codes) + generator.normal(0.0, 2.0, size=len(codes))
    points = Points(case.space, candidates := case.space.candidates(codes))
    rows = points.rows([candidate.id for candidate in candidates])
    order = np.argsort(rows)
    told = Training(
        rows[order], values[order], np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64)
    )  # fmt: skip
    none = np.empty(0, dtype=np.int64)
    return View(
        Objective("yield", "maximize", unit="%"), points.ids, points.features, {"yield": told},
        np.ones(len(points), dtype=bool), none, none, seen=f"{case.name} {seed}", ground=Ground(region, points),
    )  # fmt: skip
