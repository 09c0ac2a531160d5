"""The options of the Bayesian policy, and the surrogate that they ask for. What each means stands with the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from discover.protocols import View

if TYPE_CHECKING:
    from discover.surrogate.evidence.evidence import Evidence
    from discover.surrogate.gaussian.process import GaussianProcess
    from discover.surrogate.targets.reading import Reader

Acquisition = Literal[
    "expected-improvement",
    "hypervolume",
    "parego",
    "upper-confidence",
    "probability-of-improvement",
    "max-value-entropy",
    "thompson",
    "knowledge-gradient",
    "top",
    "uncertainty",
    "integrated-variance",
    "straddle",
    "hits",
    "hits-ahead",
]
FEW = 10
"""Features up to which `auto` compares models: on open tables that paid with 3 or 4 numbers, and not with 25 or more."""


@dataclass(frozen=True)
class Options:
    """What can be chosen about a Bayesian policy: see `discover.policy.bayesian.Bayesian`."""

    start: int = 10
    model: Literal["auto", "single", "evidence"] = "auto"
    kernel: Literal["matern", "rbf"] = "matern"
    lengths: Literal["one", "each"] = "each"
    filling: Literal["farthest", "medoids", "random"] = "farthest"
    incumbent: Literal["measured", "believed"] = "measured"
    shortlist: int = 300
    draws: int = 256
    chunk: int = 2048
    acquisition: Acquisition = "expected-improvement"
    beta: float = 4.0
    threshold: float | None = None
    top: int = 10
    reference: int | float = 500
    horizon: int = 50
    reference_point: Mapping[str, float] | None = None
    scale: Literal["told", "evidence"] = "told"
    outliers: Literal["keep", "evidence"] = "evidence"
    noise: Literal["equal", "evidence"] = "equal"
    per_cost: bool = True
    feasibility: Literal["learned", "none"] = "learned"
    refit: float = 0.0
    at: Mapping[str, str | float] | None = None

    def filled(self, view: View, n: int) -> int:
        """How many of a batch of n are spread out, for the model waits for observations."""
        usable = usable_observations(view)
        return n if 2 * usable < self.start else min(n, max(0, self.start - usable))

    def surrogate(self, view: View | None = None) -> GaussianProcess | Evidence:
        """The surrogate as the policy fits it on the features of a view; without one, on many of them."""
        from discover.surrogate.evidence.evidence import Evidence
        from discover.surrogate.gaussian.process import GaussianProcess

        if (between := self._compared(view)) is not None:
            return Evidence(between=between, chunk=self.chunk, keep=self.refit)
        return GaussianProcess(kernel=self.kernel, lengths=self.lengths, chunk=self.chunk, keep=self.refit)

    def reader(self) -> Reader:
        """How the policy reads observations."""
        from discover.surrogate.targets.reading import Reader

        return Reader(self.scale, self.outliers, self.noise)

    def _compared(self, view: View | None) -> Literal["models", "encodings"] | None:
        """What the evidence decides between; None for a single model."""
        if self.model == "evidence":
            return "models"
        if self.model == "single" or self.asks_for_one or view is None:
            return None
        if _few_numbers(view):
            return "models"
        return "encodings" if _told_twice(view) else None

    @property
    def asks_for_one(self) -> bool:
        """Whether a kernel or its lengths were chosen by hand."""
        return (self.kernel, self.lengths) != ("matern", "each")


def _few_numbers(view: View) -> bool:
    """Whether a candidate is told by at most FEW numbers, and by nothing else."""
    return view.features.values.shape[1] <= FEW and all(block.kind == "numbers" for block in view.features.blocks)


def _told_twice(view: View) -> bool:
    """Whether a column is told in more than one way, by name and by descriptors say."""
    from discover.surrogate.inputs.layout import told_twice

    return bool(told_twice(view.features.blocks))


def usable_observations(view: View) -> int:
    """Candidates with an observation, in the target that has fewest."""
    counts = [len(np.unique(view.training[t].rows)) if t in view.training else 0 for t in view.objective.names]
    return min(counts)
