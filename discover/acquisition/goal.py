"""What is to be made large: outcomes of one or several targets to one utility of order one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.improvement import log_probability_between
from discover.objective import Objective, Target
from discover.pareto import inferred_reference

if TYPE_CHECKING:
    from torch import Tensor

    from discover.values import FloatArray

AUGMENTATION = 0.05
"""Share of the plain weighted sum in the augmented Chebyshev scalarisation (Knowles 2006)."""
SOFTNESS = 1e-3
"""Width, in deviations of the target, over which a sampled constraint goes from broken to kept."""

Parts = Sequence["tuple[float, Tensor, Tensor]"]
"""A belief about each of m candidates as a mixture of normals: weight, mean [m] and deviation [m] of each."""
Marginals = Mapping[str, Parts]
"""Such beliefs by the name of what is measured."""


@dataclass(frozen=True)
class Goal:
    """Utility of outcomes under an objective, for one batch.

    One target: its own utility divided by `spans`. Several: utilities above `reference` in units of `spans`, of which the
    hypervolume counts; or without a reference ParEGO, the augmented Chebyshev scalarisation of utilities measured downwards
    from the best seen, with weights [k] drawn anew for each batch (Knowles, IEEE Trans. Evol. Comput. 2006). spans, tops,
    reference: [k], of the utilities seen: their range, the best, and the point above which volume is counted.
    """

    objective: Objective
    scales: Mapping[str, float]
    weights: tuple[float, ...] = (1.0,)
    tops: tuple[float, ...] = (0.0,)
    spans: tuple[float, ...] = (1.0,)
    reference: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        objective: Objective,
        observed: Mapping[str, Tensor],
        scales: Mapping[str, float],
        generator: np.random.Generator,
        *,
        scalarised: bool = True,
        reference: Mapping[str, float] | None = None,
    ) -> Goal:
        """From posterior means at the observed rows [k], by target, and the scale of each target.

        scalarised: whether several targets become one by weights, or count by hypervolume above `reference` (a value by
        target, in its unit; inferred where it is not given).
        """
        if len(objective.targets) == 1:
            return cls(objective, scales, spans=(scales[objective.names[0]],))
        utilities = [target.utility(observed[target.name]) for target in objective.targets]
        tops = tuple(float(u.max()) for u in utilities)
        ranges = [float(u.max() - u.min()) for u in utilities]
        spans = tuple(r if r > 0 else scales[name] for r, name in zip(ranges, objective.names))
        if scalarised:
            weights = generator.dirichlet(np.ones(len(objective.targets)))
            return cls(objective, scales, tuple(float(w) for w in weights), tops, spans)
        kept = cls(objective, scales).feasible(observed)
        seen = torch.stack(utilities, dim=1)
        point = reference_point(objective, (seen[kept] if bool(kept.any()) else seen).numpy(), reference)
        return cls(objective, scales, (), tops, spans, tuple(point.tolist()))

    @property
    def single(self) -> Target | None:
        """The target, where there is only one."""
        return self.objective.targets[0] if len(self.objective.targets) == 1 else None

    def utility(self, values: Mapping[str, Tensor]) -> Tensor:
        """Outcomes by target, all of one shape, to utilities of that shape."""
        if (target := self.single) is not None:
            return target.utility(values[target.name]) / self.spans[0]
        parts = [
            weight * (target.utility(values[target.name]) - top) / span
            for target, weight, top, span in zip(self.objective.targets, self.weights, self.tops, self.spans)
        ]
        stacked = torch.stack(parts)
        return stacked.amin(dim=0) + AUGMENTATION * stacked.sum(dim=0)

    def above_reference(self, values: Mapping[str, Tensor]) -> Tensor:
        """Outcomes by target, of one shape, to utilities above the reference in spans: one dimension more, of k."""
        parts = [
            (target.utility(values[target.name]) - low) / span
            for target, low, span in zip(self.objective.targets, self.reference, self.spans)
        ]
        return torch.stack(parts, dim=-1)

    def feasible(self, values: Mapping[str, Tensor]) -> Tensor:
        """Whether outcomes keep every constraint, of the shape of the outcomes."""
        kept = torch.ones_like(values[self.objective.names[0]], dtype=torch.bool)
        for c in self.objective.constraints:
            kept &= (values[c.target] >= c.low) & (values[c.target] <= c.high)
        return kept

    def log_softly_feasible(self, values: Mapping[str, Tensor]) -> Tensor:
        """Logarithm of a smooth indicator of `feasible`: 0 well inside, falling steadily outside."""
        total = torch.zeros_like(values[self.objective.names[0]])
        for c in self.objective.constraints:
            width = SOFTNESS * self.scales[c.target]
            for margin in (values[c.target] - c.low, c.high - values[c.target]):
                total += torch.nn.functional.logsigmoid((margin / width).clamp_max(1e6))
        return total

    def log_feasibility(self, marginals: Marginals) -> Tensor:
        """Logarithm of the probability that candidates keep every constraint, outcomes taken as independent; [m].

        Two limits of one outcome are one interval, and not independent.
        """
        total = torch.zeros_like(next(iter(marginals.values()))[0][1])
        for name, (low, high) in self.objective.limits.items():
            total += over_parts(marginals[name], partial(log_probability_between, low=low, high=high))
        return total


def over_parts(belief: Parts, log_value: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Logarithm of an expectation [m] under a mixture, from that under each of its normals (means, deviations [m])."""
    found = [log_value(mean, deviation) + math.log(weight) for weight, mean, deviation in belief]
    return found[0] if len(found) == 1 else torch.logsumexp(torch.stack(found), dim=0)


def moments(parts: Parts) -> tuple[Tensor, Tensor]:
    """Mean [m] and deviation [m] of a mixture."""
    if len(parts) == 1:
        return parts[0][1], parts[0][2]
    mean = sum((weight * m for weight, m, _ in parts), torch.zeros_like(parts[0][1]))
    square = sum((weight * (d.square() + (m - mean).square()) for weight, m, d in parts), torch.zeros_like(mean))
    return mean, square.sqrt()


def reference_point(objective: Objective, seen: FloatArray, given: Mapping[str, float] | None) -> FloatArray:
    """Utilities [k] above which hypervolume counts: of the values given by target; else a little below the front of `seen`.

    seen: [n, k] utilities. The rule: `discover.pareto.inferred_reference`.
    """
    found = inferred_reference(seen)
    for k, target in enumerate(objective.targets):
        if given is not None and target.name in given:
            found[k] = float(target.utility(np.float64(given[target.name])))
    return found
