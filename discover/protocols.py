"""The contracts between rooms, and the values that pass through the doors.

A row of data visits the rooms in this order, once per iteration:
candidates, features, surrogate, acquisition, policy, experiment, store. Values are frozen; shapes are in the docstrings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from discover.limits import Limits
from discover.objective import Objective

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from discover.candidates.ground import Ground
    from discover.candidates.snapshot import Snapshot

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Status = Literal["measured", "failed", "infeasible", "censored"]
STATUSES: tuple[Status, ...] = ("measured", "failed", "infeasible", "censored")
Handle = Mapping[str, Any]
"""What an outside experiment remembers of a submission, as JSON: a job's number, a sheet's name."""
Progress = Callable[[int, "int | None"], None]
"""Called with (done, total); total is None while it is unknown."""


@dataclass(frozen=True)
class Candidate:
    """Something that can be tried. `values` is JSON: all of its columns; `version` is their content hash."""

    id: str
    version: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Value:
    """One outcome in its target's unit: a number, its standard deviation, and for a censored one the side it lies on.

    bound "below" says that the truth is at most `value`, "above" that it is at least `value`.
    """

    value: float
    std: float | None = None
    bound: Literal["below", "above"] | None = None


@dataclass(frozen=True)
class Prediction:
    """What the surrogate believed of one target, in the target's unit."""

    mean: float
    std: float


@dataclass(frozen=True)
class Proposal:
    """A candidate chosen for trial, with the reason.

    A policy fills everything down to `details`; the campaign adds `proposal_id` and the whole `candidate`
    when it commits the batch. `probability` is the chance with which a stochastic policy made this choice.
    """

    candidate_id: str
    policy: str
    reason: str
    probability: float | None = None
    predicted: Mapping[str, Prediction] = field(default_factory=dict)
    acquisition: float | None = None
    rank: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    proposal_id: str = ""
    candidate: Candidate | None = None


@dataclass(frozen=True)
class Batch:
    """What a policy returns: at most n proposals, and what it learned on the way.

    learned: JSON for the store: model settings, diagnostics, `verdict` in words, and under `memory` what the next fit
    takes from this one, exact. shortage: why there are fewer proposals than were asked for, or "".
    """

    proposals: tuple[Proposal, ...]
    learned: Mapping[str, Any] = field(default_factory=dict)
    shortage: str = ""

    def __len__(self) -> int:
        return len(self.proposals)

    def __iter__(self) -> Iterator[Proposal]:
        return iter(self.proposals)


@dataclass(frozen=True)
class Result:
    """What an experiment found out about one proposal.

    values: by target; only targets that were found out. `retryable` belongs to status "failed". `details` is JSON kept
    with the observation, such as a fitted curve; `cached` says that a stored calculation was used again. raw: where the
    raw data are (`link`) and their hash (`sha256`). fidelity, context: how it was found out, such as "low" and
    {"reactor": "A"}, where that differs between results.
    """

    status: Status
    values: Mapping[str, Value] = field(default_factory=dict)
    reason: str = ""
    retryable: bool = False
    cost: float | None = None
    cached: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)
    fidelity: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """What was found out: one target of one candidate, as the store has it now."""

    candidate_id: str
    target: str
    value: float
    std: float | None = None
    bound: Literal["below", "above"] | None = None
    unit: str = ""
    replicate: int = 0
    fidelity: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    source: str = ""
    measured_at: str | None = None
    note: str = ""
    raw: Mapping[str, str] = field(default_factory=dict)
    proposal_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0


BlockKind = Literal["numbers", "categories", "descriptors", "composition", "structure", "fingerprint", "embedding"]


@dataclass(frozen=True)
class Block:
    """Features `start` to `stop` (not included) that belong together, for they encode one thing.

    kind: numbers as they stand; categories, the one-hot columns of one column; descriptors of one column; of a formula its
    composition, of crystals their structure; a fingerprint of bits or counts; an embedding. name: the column that they
    were made from. Where two blocks have one name, they are two encodings of the same, and either may be the better.
    """

    name: str
    kind: BlockKind
    start: int
    stop: int


@dataclass(frozen=True)
class FeatureTable:
    """Rows as numbers: `values` [N, d] float64, finite, one name a column. `hash` is over names and values.

    blocks: which features belong together, from the first to the last; () where that is not known. scale: centres [d] and
    spreads [d] that the features have by nature, as in a search space; None where the rows are all that there is.
    """

    names: tuple[str, ...]
    values: FloatArray
    hash: str
    blocks: tuple[Block, ...] = ()
    scale: tuple[FloatArray, FloatArray] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Training:
    """Data of one target for a fit, in canonical order (row, then replicate, then value).

    rows: [n] positions in the pool. values: [n] in the target's unit. stds: [n], NaN where unknown.
    bounds: [n] int, 0 for a value, -1 where the truth is at most it, +1 where it is at least it.
    conditions: [n] context of each, with its fidelity under `fidelity`; () where nothing is said of any.
    """

    rows: IntArray
    values: FloatArray
    stds: FloatArray
    bounds: IntArray
    conditions: tuple[Mapping[str, Any], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


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


@dataclass(frozen=True)
class Advice:
    """Whether to stop, with the evidence in words and numbers."""

    stop: bool
    evidence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Spending:
    """What a campaign has used so far: experiments started (failures and retries count), and their cost."""

    experiments: int = 0
    cost: float = 0.0


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
