"""The contracts between rooms, and what a policy may know of a campaign.

A row of data visits the rooms in this order, once per iteration:
candidates, features, surrogate, acquisition, policy, experiment, store. What passes through their doors is in
`values.py`, and handed on here, so that a kind of one's own needs one import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from discover.limits import Limits
from discover.objective import Objective
from discover.values import (
    Advice,
    Batch,
    Block,
    BlockKind,
    BoolArray,
    Candidate,
    FeatureTable,
    FloatArray,
    Handle,
    IntArray,
    Observation,
    Prediction,
    Progress,
    Proposal,
    Result,
    Spending,
    Status,
    Training,
    Value,
)

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from discover.candidates.snapshots.snapshot import Snapshot
    from discover.candidates.space.ground import Ground


__all__ = [
    "Advice",
    "Batch",
    "Block",
    "BlockKind",
    "BoolArray",
    "Candidate",
    "CandidateSource",
    "Experiment",
    "FeatureTable",
    "Featurizer",
    "FloatArray",
    "Handle",
    "IntArray",
    "Measures",
    "Observation",
    "OutsideExperiment",
    "Policy",
    "Posterior",
    "Prediction",
    "Progress",
    "Proposal",
    "Result",
    "Spending",
    "Status",
    "StoppingRule",
    "Surrogate",
    "Training",
    "Value",
    "View",
]


@dataclass(frozen=True)
class View:
    """All that a policy may know of a campaign. Positions are rows of the pool.

    ids: [N]. features: [N, d]. training: by target. blocked: [N], candidates that must not be proposed (pending,
    finished or excluded). pending: [p], rows under trial. infeasible: rows that were tried and cannot give a number,
    or failed for good.
    iteration: batches proposed so far. seen: hash of the data in canonical order. memory: what the last fit left.
    limits: what holds within one batch, and what candidates cost. remaining: experiments that may still be started beyond
    those under trial; None where the campaign has no such budget. ground: of a campaign over a search space, what else
    could be tried: the rows are then the points that were proposed or told. cache: a folder for what may be lost at any time,
    and changes nothing but what a choice costs. at: the fidelity and context that predictions are for, by name; where
    nothing is said, what most observations were made under. columns: [N] of the candidates' columns that the policy reads
    as they stand, by name, as text. costs: what experiments were told to have cost, where that is to be learned from.
    """

    objective: Objective
    ids: NDArray[np.str_]
    features: FeatureTable
    training: Mapping[str, Training]
    blocked: BoolArray
    pending: IntArray
    infeasible: IntArray
    iteration: int = 0
    seen: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    remaining: int | None = None
    ground: Ground | None = None
    cache: Path | None = None
    at: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    costs: Training | None = None


@runtime_checkable
class CandidateSource(Protocol):
    """Where candidates come from. A frozen dataclass; its fields are the keys under `candidates:`."""

    def located(self, base: Path, files: Path) -> CandidateSource:
        """The same source, bound to places: relative paths start at `base`, snapshots are kept under `files`."""
        ...

    def pull(self, fields: Sequence[str] = (), *, refresh: bool = False, progress: Progress | None = None) -> Snapshot:
        """Complete or a loud error; never a partial pool. `fields` are columns needed beyond those configured."""
        ...


@runtime_checkable
class Featurizer(Protocol):
    """Rows to numbers. Pure: the same row gives the same finite numbers, whatever stands beside it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the d features."""
        ...

    @property
    def requires(self) -> tuple[str, ...]:
        """Columns that `transform` reads."""
        ...

    def transform(self, rows: pd.DataFrame) -> FloatArray:
        """Float64 [n, d], finite. InvalidInput names the row, the column and the value that cannot be used."""
        ...


class Posterior(Protocol):
    """A belief about one target. Float64 at its edge, in the target's unit."""

    def mean_variance(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and variance [m] of the noiseless target, in chunks of bounded memory."""
        ...

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """X [m, d] to mean [m] and covariance [m, m]."""
        ...

    def sample(self, X: Tensor, n: int, generator: Any) -> Tensor:
        """n joint draws at X [m, d]: [n, m]."""
        ...


class Surrogate(Protocol):
    """Observations to belief. Never leaks a linear-algebra error; says when it is no better than the mean."""

    def fit(
        self, X: Tensor, y: Tensor, noise: Tensor | None = None, *, memory: Mapping[str, Any] | None = None
    ) -> Posterior:
        """X [n, d], y [n] in the target's unit, noise [n] variances (NaN where unknown)."""
        ...


@runtime_checkable
class Policy(Protocol):
    """What to try next. A frozen dataclass; its fields are the keys under `policy:`."""

    def propose(self, view: View, n: int, generator: np.random.Generator) -> Batch:
        """Deterministic in (view, n, generator); at most n; never a blocked candidate, never one twice.

        A policy that does not look at the view's limits may be cut short by them. One that reads columns of the candidates as
        they stand names them in an attribute `columns`, and finds them in the view's.
        """
        ...


class Measures(Protocol):
    """What every experiment says of itself. A frozen dataclass; its fields are the keys under `experiment:`.

    requires: candidate columns that it reads. targets: what it measures, with units. deterministic: the same candidate
    gives the same answer, so a failure is final at once.
    """

    @property
    def requires(self) -> tuple[str, ...]: ...

    @property
    def targets(self) -> Mapping[str, str]: ...

    @property
    def deterministic(self) -> bool: ...

    def located(self, base: Path, files: Path) -> Self:
        """The same experiment, bound to places: relative paths start at `base`, caches are kept under `files`."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """JSON for provenance: method in words, versions, settings, weights hash, citations."""
        ...


@runtime_checkable
class Experiment(Measures, Protocol):
    """Who finds out, while one waits."""

    def run(self, proposal: Proposal) -> Result:
        """Raises ExperimentFailed, or returns a result with its status; never invents a value."""
        ...


@runtime_checkable
class OutsideExperiment(Measures, Protocol):
    """Somebody else finds out, in their own time: a batch queue, a laboratory. Handing over and collecting are separate.

    A key names one attempt at one proposal, for ever. The campaign commits the key before it hands anything over; after a
    crash it asks `find` whether the outside has it, and hands over only what it has not. together: a batch is handed over
    as one, such as a sheet, and not proposal by proposal.
    """

    @property
    def together(self) -> bool: ...

    def submit(self, work: Mapping[str, Proposal]) -> Mapping[str, Handle]:
        """Hand over proposals by key; a handle (JSON) for each. Raises ExperimentFailed if nothing of it was handed over."""
        ...

    def find(self, keys: Sequence[str]) -> Mapping[str, Handle] | None:
        """Handles of those keys that were handed over. None where the outside cannot say: then a person is asked."""
        ...

    def collect(self, handles: Mapping[str, Handle]) -> Mapping[str, Result]:
        """Results that have come in, by key; what is still under way is absent."""
        ...


@runtime_checkable
class StoppingRule(Protocol):
    """When to stop."""

    def advise(self, view: View, spending: Spending) -> Advice:
        """Evidence in words and numbers."""
        ...
