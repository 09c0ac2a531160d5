"""What is to be made large: outcomes of one or several targets to one utility of order one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from discover.acquisition.improvement import log_probability_between
from discover.objective import Objective, Target

if TYPE_CHECKING:
    from torch import Tensor

    from discover.protocols import FloatArray

AUGMENTATION = 0.05
"""Share of the plain weighted sum in the augmented Chebyshev scalarisation (Knowles 2006)."""
SOFTNESS = 1e-3
"""Width, in deviations of the target, over which a sampled constraint goes from broken to kept."""

Marginals = Mapping[str, "tuple[Tensor, Tensor]"]
"""Mean [m] and deviation [m] by target."""


@dataclass(frozen=True)
class Goal:
    """Utility of outcomes under an objective, for one batch.

    One target: its own utility divided by `spans`. Several: ParEGO, the augmented Chebyshev scalarisation of utilities
    measured downwards from the best seen in units of their range, with weights [k] drawn anew for each batch
    (Knowles, IEEE Trans. Evol. Comput. 2006). spans, tops: [k], scales of the utilities and the best seen.
    """

    objective: Objective
    scales: Mapping[str, float]
    weights: tuple[float, ...] = (1.0,)
    tops: tuple[float, ...] = (0.0,)
    spans: tuple[float, ...] = (1.0,)

    @classmethod
    def of(
        cls,
        objective: Objective,
        observed: Mapping[str, Tensor],
        scales: Mapping[str, float],
        generator: np.random.Generator,
    ) -> Goal:
        """From posterior means at the observed rows [k], by target, and the scale of each target."""
        if len(objective.targets) == 1:
            return cls(objective, scales, spans=(scales[objective.names[0]],))
        weights = generator.dirichlet(np.ones(len(objective.targets)))
        utilities = [target.utility(observed[target.name]) for target in objective.targets]
        tops = tuple(float(u.max()) for u in utilities)
        ranges = [float(u.max() - u.min()) for u in utilities]
        spans = tuple(r if r > 0 else scales[name] for r, name in zip(ranges, objective.names))
        return cls(objective, scales, tuple(float(w) for w in weights), tops, spans)

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
        """Logarithm of the probability that candidates keep every constraint, targets taken as independent; [m]."""
        first = next(iter(marginals.values()))[0]
        total = torch.zeros_like(first)
        for c in self.objective.constraints:
            total += log_probability_between(*marginals[c.target], c.low, c.high)
        return total


def to_tensors(predictions: Mapping[str, tuple[FloatArray, FloatArray]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Numpy means and deviations by target to tensors."""
    return {name: (torch.from_numpy(mean), torch.from_numpy(std)) for name, (mean, std) in predictions.items()}
