"""A reaction in a flow reactor, calculated: a small kinetic model to try campaigns on. Nobody measured it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from discover.errors import ExperimentFailed, Problem
from discover.kinds import typed
from discover.values import FloatArray, Proposal, Result, Value

GAS_CONSTANT = 8.31446261815324
REFERENCE = 363.15
"""Temperature in K at which the rate constants below hold."""


class Rates(NamedTuple):
    """A + B → P (k1) and P + B → S (k2) in L/(mol min), and P → decomposed (k3) in 1/min."""

    k1: float
    k2: float
    k3: float


BARE = Rates(0.25, 0.012, 0.0012)
ENERGIES = Rates(62_000.0, 82_000.0, 115_000.0)
"""Activation energies in J/mol."""
CATALYSTS: Mapping[str, tuple[float, float, float]] = {
    "none": (1.0, 1.0, 0.0),
    "A": (3.5, 2.0, 1.5),
    "B": (9.0, 11.0, 1.0),
    "C": (2.5, 0.7, 3.0),
}
"""By catalyst: how much faster it makes the first and the second reaction, and its mass in g per mol of A."""
FEED = 0.4
"""A in the feed, mol/L."""
MASSES = {"A": 159.0, "B": 87.0, "P": 226.0}
"""Molar masses, g/mol."""
SOLVENT_LOST = 60.0
"""Solvent that is not recovered, in g per L of feed."""
LEAST_YIELD = 5.0
"""Percent below which there is no product to speak of, and no E-factor."""


@dataclass(frozen=True)
@typed
class FlowReactor:
    """A substitution in a plug-flow reactor, by integrating its rate equations; for trying out, not a measurement.

    Reads temperature [degC], residence_time [min], equivalents (of the nucleophile) and catalyst (none, A, B or C). Gives the
    yield [%] and the e_factor [kg/kg], the mass of waste per mass of product. A second substitution and decomposition set
    against long times, heat and excess; where the product precipitates the reactor clogs, and where there is none there is no
    E-factor: such conditions are infeasible. Its constants are invented.
    """

    @property
    def requires(self) -> tuple[str, ...]:
        """The conditions."""
        return ("temperature", "residence_time", "equivalents", "catalyst")

    @property
    def targets(self) -> Mapping[str, str]:
        """What comes out."""
        return {"yield": "%", "e_factor": "kg/kg"}

    @property
    def deterministic(self) -> bool:
        """The same conditions give the same answer."""
        return True

    def located(self, base: Path, files: Path) -> FlowReactor:
        """The same: it needs no place."""
        return self

    def describe(self) -> Mapping[str, Any]:
        """The model and its constants."""
        return {
            "kind": "simulated-flow",
            "method": "plug-flow reactor: A + B -> P, P + B -> S, P -> decomposed, with Arrhenius's law; constants are invented",
            "targets": dict(self.targets),
            "deterministic": True,
            "rate_constants_363K": BARE._asdict(),
            "activation_energies_J_per_mol": ENERGIES._asdict(),
            "catalysts": {name: list(factors) for name, factors in CATALYSTS.items()},
            "feed_mol_per_L": FEED,
        }

    def run(self, proposal: Proposal) -> Result:
        """What leaves the reactor under the conditions of a proposal."""
        if proposal.candidate is None:
            raise ExperimentFailed(f"the proposal of {proposal.candidate_id!r} does not carry its candidate")
        temperature, minutes, equivalents, catalyst = _conditions(proposal.candidate.values)
        a, _, p, s = outlet(rates(temperature, catalyst), FEED, equivalents * FEED, minutes)
        found = 100.0 * p / FEED
        told = {"conversion": 100.0 * (1.0 - a / FEED), "second_substitution": 100.0 * s / FEED}
        if found < LEAST_YIELD:
            return Result("infeasible", reason=f"no product: {found:.2g} % yield", details=told)
        if p > (dissolved := solubility(temperature)):
            reason = f"clogged: {p:.2f} mol/L of product where {dissolved:.2f} dissolve"
            return Result("infeasible", reason=reason, details=told)
        values = {"yield": Value(found), "e_factor": Value(e_factor(p, equivalents, catalyst))}
        return Result("measured", values, details=told)


def rates(temperature: float, catalyst: str) -> Rates:
    """Rate constants at a temperature in degC."""
    inverse = 1.0 / (temperature + 273.15) - 1.0 / REFERENCE
    first, second, third = (k * math.exp(-e / GAS_CONSTANT * inverse) for k, e in zip(BARE, ENERGIES, strict=True))
    faster, also, _ = CATALYSTS[catalyst]
    return Rates(first * faster, second * also, third)


def outlet(k: Rates, a: float, b: float, minutes: float) -> FloatArray:
    """Concentrations [4] of A, B, P and S in mol/L after a time in the reactor, from those of A and B in the feed."""
    from scipy.integrate import solve_ivp

    def slope(_: float, c: FloatArray) -> list[float]:
        first, second, third = k.k1 * c[0] * c[1], k.k2 * c[2] * c[1], k.k3 * c[2]
        return [-first, -first - second, first - second - third, second]

    found = solve_ivp(slope, (0.0, minutes), [a, b, 0.0, 0.0], method="LSODA", rtol=1e-9, atol=1e-12)
    last: FloatArray = np.maximum(found.y[:, -1], 0.0)
    return last


def solubility(temperature: float) -> float:
    """How much of the product dissolves at a temperature in degC, mol/L."""
    return 0.2 * math.exp(0.011 * (temperature - 50.0))


def e_factor(product: float, equivalents: float, catalyst: str) -> float:
    """kg of waste per kg of product, from the product's concentration in mol/L. Sheldon, Green Chem. 9, 1273 (2007)."""
    fed = FEED * (MASSES["A"] + equivalents * MASSES["B"] + CATALYSTS[catalyst][2]) + SOLVENT_LOST
    return fed / (product * MASSES["P"]) - 1.0


def _conditions(values: Mapping[str, Any]) -> tuple[float, float, float, str]:
    problems = []
    for name, least in (("temperature", -100.0), ("residence_time", 0.0), ("equivalents", 0.0)):
        value = values.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not value > least
            or not math.isfinite(value)
        ):
            problems.append(Problem(f"must be a number above {least:g}", column=name, value=value))
    if values.get("catalyst") not in CATALYSTS:
        told = ", ".join(CATALYSTS)
        problems.append(Problem("unknown", column="catalyst", value=values.get("catalyst"), way_out=f"one of {told}"))
    if problems:
        raise ExperimentFailed(f"conditions that cannot be set: {'; '.join(map(str, problems))}", retryable=False)
    return (
        float(values["temperature"]),
        float(values["residence_time"]),
        float(values["equivalents"]),
        values["catalyst"],
    )
