"""What the iteration before knew of the models, and the weights that follow from it and from how they predict now.

The weights of before count as so many further observations, so that a campaign does not flip from one model to another and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from discover.surrogate.gaussian.process import GaussianProcess

if TYPE_CHECKING:
    from torch import Tensor

JOINT = "joint"
"""The model that other targets enter, too."""
INERTIA = 8.0
"""Observations that the weights before count as; at first all models weigh the same."""
RETURN = 0.1
"""The share of those weights that goes to all models alike, so that one that had lost may come back."""
NEGLIGIBLE = 0.02
"""A model of less weight is left out of the mixture."""
REST = 5
"""Models that were left out are compared again in one of so many iterations,"""
ALWAYS = 40
"""and always up to so many observations."""


@dataclass(frozen=True)
class Before:
    """What the iteration before knew. weights: of models that exist still. age: iterations since all were compared."""

    models: Mapping[str, GaussianProcess]
    weights: Mapping[str, float]
    fits: Mapping[str, Any]
    age: int
    n: int

    @classmethod
    def of(cls, memory: Mapping[str, Any] | None, models: Mapping[str, GaussianProcess], n: int) -> Before:
        memory = memory or {}
        weights = {name: float(memory.get("weights", {}).get(name, 0.0)) for name in models}
        known = in_shares(weights) if sum(weights.values()) > 0 else {}
        return cls(models, known, memory.get("models", {}), int(memory.get("age", 0)), n)

    @property
    def names(self) -> list[str]:
        """All models."""
        return list(self.models)

    @property
    def whole(self) -> bool:
        """Whether all are compared this time."""
        return not self.weights or self.n <= ALWAYS or self.age + 1 >= REST

    @property
    def compared(self) -> list[str]:
        """Those that are compared this time."""
        return [name for name in self.models if self.whole or self.weights[name] >= NEGLIGIBLE]

    @property
    def compared_alone(self) -> list[str]:
        """Those of them that know one target only; all such models where none of them is, for the joint one is made from
        the best of these."""
        return [name for name in self.compared if name != JOINT] or [name for name in self.models if name != JOINT]

    def memory(self, name: str) -> Mapping[str, Any] | None:
        """Where the fit of a model may start."""
        return self.fits.get(name)

    def renewed(self, densities: Tensor | None, names: tuple[str, ...]) -> dict[str, float]:
        """Weights of all models after log densities [n, k] of those that were compared."""
        flat = 1.0 / len(self.models)
        prior = {
            name: (1.0 - RETURN) * self.weights[name] + RETURN * flat if self.weights else flat for name in self.models
        }
        if densities is None:
            return {name: (self.weights.get(name, 0.0) if self.weights else float(name == names[0])) for name in prior}
        share = sum(prior[name] for name in names)
        start = torch.tensor([prior[name] / share for name in names], dtype=torch.float64)
        found = dict(zip(names, stacked(densities, start).tolist(), strict=True))
        return {name: found.get(name, 0.0) for name in prior}

    def left(self, weights: Mapping[str, float], fits: Mapping[str, Any], few: bool) -> dict[str, Any]:
        """What the next iteration takes from this one; plain JSON."""
        known = {} if few and not self.weights else (weights or self.weights)
        age = 0 if self.whole else self.age + 1
        return {"weights": dict(known), "models": {**self.fits, **fits}, "age": age}


def stacked(densities: Tensor, prior: Tensor, inertia: float = INERTIA, steps: int = 500) -> Tensor:
    """Weights [k] that make Σ log Σ weight·density + inertia Σ prior·log weight greatest: log densities [n, k], prior [k].

    By expectation maximisation, which never descends; the objective is concave.
    """
    weights = prior.clone()
    for _ in range(steps):
        owned = (densities + weights.log()).softmax(dim=1).sum(dim=0)
        fresh = (owned + inertia * prior) / (len(densities) + inertia)
        if float((fresh - weights).abs().max()) < 1e-10:
            break
        weights = fresh
    return weights


def in_shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights that sum to one."""
    total = sum(weights.values())
    return {name: w / total for name, w in weights.items()}
