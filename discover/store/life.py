"""The life of a proposal, as states that the log is folded into."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a proposal stands.

    ::

        proposed ──────► submitted ──────► measured
            │   ╲            │   ╲   ╲────► censored
            │    ╲           │    ╲  ╲────► infeasible
            │     ╲          │     ╲  ╲───► failed
            │      ╲         ▼      ╲─────► in part ───► measured, censored
            ▼       ╲    retryable ───────► submitted (the next attempt), failed at the limit
        withdrawn    ╲───► every result that can follow 'submitted' (told without a submission)
            │
            ╰───────────► every result: a late one is accepted

    | state                  | trains the surrogate    | feeds feasibility | blocks the candidate |
    |------------------------|-------------------------|-------------------|----------------------|
    | proposed, submitted    | as pending              | no                | yes                  |
    | in part                | the targets that it has | feasible          | yes                  |
    | measured               | yes                     | feasible          | yes                  |
    | retryable              | no                      | no                | yes, until its retry |
    | failed                 | no                      | no                | yes                  |
    | infeasible             | no                      | infeasible        | yes                  |
    | censored               | as a bound              | feasible          | yes                  |
    | withdrawn              | no                      | no                | no                   |

    A measured candidate is tried again only where someone asks for a replicate by `propose`. An excluded candidate
    is not a state of a proposal: it keeps what was measured and is blocked until it is readmitted.
    """

    PROPOSED = "proposed"
    SUBMITTED = "submitted"
    IN_PART = "measured in part"
    RETRYABLE = "failed, retryable"
    MEASURED = "measured"
    CENSORED = "censored"
    FAILED = "failed"
    INFEASIBLE = "infeasible"
    WITHDRAWN = "withdrawn"

    @property
    def pending(self) -> bool:
        """Whether a result is still expected."""
        return self in (State.PROPOSED, State.SUBMITTED, State.IN_PART, State.RETRYABLE)

    @property
    def blocks(self) -> bool:
        """Whether its candidate must not be proposed again by a policy."""
        return self is not State.WITHDRAWN

    @property
    def accepts_result(self) -> bool:
        """Whether a first result may be told: open, or withdrawn and late."""
        return self.pending or self is State.WITHDRAWN
