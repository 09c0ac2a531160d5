"""The values that pass through the doors, from room to room. They are frozen; shapes are in the docstrings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
